//! Runs futures where there is no event loop: what waits says for what, and the host waits for all of that at once.

use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Wake;

use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{Pollable, poll};

use crate::race::Racer;

const NS_A_MS: u64 = 1_000_000;

/// What one future waits for; empty once it was given to a caller.
type Slot = Rc<RefCell<Option<Pollable>>>;

thread_local! {
    /// What the work that is being looked at waits for. Weak: what a future that is dropped has waited for must be gone
    /// before what it belonged to is.
    static WAITING: RefCell<Vec<Weak<RefCell<Option<Pollable>>>>> = const { RefCell::new(Vec::new()) };
}

/// Ends when what `subscribe` gives is ready.
pub(super) struct Ready<F> {
    subscribe: F,
    slot: Slot,
}

pub(super) fn ready<F: Fn() -> Pollable + Unpin>(subscribe: F) -> Ready<F> {
    Ready { subscribe, slot: Rc::default() }
}

impl<F: Fn() -> Pollable + Unpin> Future for Ready<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.slot.borrow_mut().get_or_insert_with(&self.subscribe).ready() {
            return Poll::Ready(());
        }
        WAITING.with_borrow_mut(|waiting| waiting.push(Rc::downgrade(&self.slot)));
        Poll::Pending
    }
}

/// Waits.
pub(super) async fn sleep(ms: u32) {
    let end = monotonic_clock::now().saturating_add(u64::from(ms) * NS_A_MS);
    ready(|| monotonic_clock::subscribe_instant(end)).await;
}

/// Barks when nobody has calmed it for too long.
pub(super) struct Watchdog(Cell<u64>);

impl Watchdog {
    pub(super) fn new(ms: u32) -> Self {
        let watchdog = Self(Cell::new(0));
        watchdog.calm(ms);
        watchdog
    }

    /// Has it wait for as long as this from now on.
    pub(super) fn calm(&self, ms: u32) {
        self.0.set(monotonic_clock::now().saturating_add(u64::from(ms) * NS_A_MS));
    }

    /// Ends when nobody has calmed it for too long.
    pub(super) async fn bark(&self) {
        while monotonic_clock::now() < self.0.get() {
            let end = self.0.get();
            ready(|| monotonic_clock::subscribe_instant(end)).await;
        }
    }
}

/// What some work waits for.
pub struct Waits(Vec<Slot>);

impl Waits {
    /// Blocks until one of them is ready.
    fn wait(&self) {
        let slots: Vec<_> = self.0.iter().map(|slot| slot.borrow()).collect();
        poll(&slots.iter().filter_map(|slot| slot.as_ref()).collect::<Vec<_>>());
    }

    /// Gives them away; who waits then asks for others when it is looked at again.
    pub fn take(self) -> Vec<Pollable> {
        self.0.iter().filter_map(|slot| slot.take()).collect()
    }
}

/// One part of the work has done something that another part of it waits for.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does what can be done of some work without blocking: its result, or what it waits for.
pub fn step<T>(work: &mut Racer<'_, T>) -> Result<T, Waits> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    loop {
        WAITING.take();
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Ok(result);
        }
        if !woken.0.swap(false, Ordering::Relaxed) {
            return Err(Waits(WAITING.take().iter().filter_map(Weak::upgrade).collect()));
        }
    }
}

/// Does some work to its end.
pub fn block_on<T>(mut work: Racer<'_, T>) -> T {
    loop {
        match step(&mut work) {
            Ok(result) => return result,
            Err(waits) => waits.wait(),
        }
    }
}
