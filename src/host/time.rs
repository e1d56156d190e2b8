//! Waiting: for a while, for what others promise, for an abort.

use core::cell::RefCell;
use core::future::poll_fn;
use core::mem;
use core::task::{Poll, Waker};

use js_sys::Function;
use wasm_bindgen::prelude::*;

use super::js;
use crate::race::first_of;

/// Runs when it is dropped.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[wasm_bindgen(module = "/src/host/host.js")]
extern "C" {
    // Each has the host open a gate, and returns what forgets that. web-sys has timers of a window and of a worker's scope, each
    // for itself; these are of any global.
    fn follow(given: &JsValue, open: &Function, gate: u32) -> Function;
    fn after(ms: i32, open: &Function, gate: u32) -> Function;
    #[wasm_bindgen(js_name = whenAborted)]
    fn when_aborted(signal: &JsValue, open: &Function, gate: u32) -> Function;
    fn forget(asked: &Function);
}

/// Where somebody waits for the host, which opens it by its number: a callback for each would be five objects of the host's, of
/// which its collector has to tell us the end. Whoever gives it away takes it back before this is dropped.
pub(super) struct Gate(u32);

#[derive(Default)]
struct Passage {
    /// What it was opened with, or what was thrown.
    came: Option<Result<JsValue, JsValue>>,
    waiting: Option<Waker>,
}

/// The passages by their gates' numbers, and the numbers that are free.
struct Gates {
    passages: Vec<Passage>,
    free: Vec<u32>,
}

thread_local! {
    static GATES: RefCell<Gates> = const { RefCell::new(Gates { passages: Vec::new(), free: Vec::new() }) };
    static OPEN: Closure<dyn Fn(u32, JsValue, bool)> = Closure::new(open);
}

/// Opens a gate with a value, or with what was thrown.
pub(super) fn open(gate: u32, value: JsValue, is_thrown: bool) {
    let came = Some(if is_thrown { Err(value) } else { Ok(value) });
    let Passage { waiting, .. } = exchanged(gate, Passage { came, waiting: None });
    if let Some(waiting) = waiting {
        waiting.wake();
    }
}

/// Puts another passage in a gate's place. What was there is dropped by who gets it: a task may end by that, and with it other gates.
fn exchanged(gate: u32, passage: Passage) -> Passage {
    GATES.with_borrow_mut(|gates| match gates.passages.get_mut(gate as usize) {
        Some(place) => mem::replace(place, passage),
        None => passage,
    })
}

impl Gate {
    pub(super) fn new() -> Self {
        Self(GATES.with_borrow_mut(|Gates { passages, free }| {
            free.pop().unwrap_or_else(|| {
                passages.push(Passage::default());
                (passages.len() - 1) as u32
            })
        }))
    }

    /// What [`open`] knows it by.
    pub(super) fn number(&self) -> u32 {
        self.0
    }

    /// Ends when it is open, with what it was opened with.
    pub(super) async fn opened(&self) -> Result<JsValue, JsValue> {
        poll_fn(|context| {
            let waiting = Some(context.waker().clone());
            match exchanged(self.0, Passage { came: None, waiting }).came {
                Some(came) => Poll::Ready(came),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        drop(exchanged(self.0, Passage::default()));
        GATES.with_borrow_mut(|gates| gates.free.push(self.0));
    }
}

/// What the host was asked to open a gate for; it forgets that when this is dropped.
struct Asked(Function);

impl Asked {
    /// `ask` is given what opens the gate, and its number.
    fn new(gate: &Gate, ask: impl FnOnce(&Function, u32) -> Function) -> Self {
        Self(OPEN.with(|open| ask(open.as_ref().unchecked_ref(), gate.0)))
    }

    /// A longer wait than `setTimeout` knows would end at once. Where there are no timers it does not end.
    fn timer(gate: &Gate, ms: u32) -> Self {
        Self::new(gate, |open, gate| after(i32::try_from(ms).unwrap_or(i32::MAX), open, gate))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        forget(&self.0);
    }
}

/// Waits.
pub(super) async fn sleep(ms: u32) {
    let gate = Gate::new();
    let _timer = Asked::timer(&gate, ms);
    drop(gate.opened().await);
}

/// What `work` gives, or nothing when it takes too long.
pub(super) async fn within<T>(ms: u32, work: impl Future<Output = T>) -> Option<T> {
    let late = async {
        sleep(ms).await;
        None
    };
    first_of(Box::pin(async { Some(work.await) }), Box::pin(late)).await
}

/// Barks when nobody has calmed it for too long.
pub(super) struct Watchdog {
    timer: RefCell<Asked>,
    gate: Gate,
}

impl Watchdog {
    pub(super) fn new(ms: u32) -> Self {
        let gate = Gate::new();
        let timer = RefCell::new(Asked::timer(&gate, ms));
        Self { timer, gate }
    }

    /// Has it wait once more, for as long as this.
    pub(super) fn calm(&self, ms: u32) {
        self.timer.replace(Asked::timer(&self.gate, ms));
    }

    pub(super) async fn bark(&self) {
        drop(self.gate.opened().await);
    }
}

/// What comes of something that others gave: whatever has a `then` is a promise, of which nothing else is known.
pub(super) async fn settled(given: &JsValue) -> Result<JsValue, JsValue> {
    let gate = Gate::new();
    let _following = Asked::new(&gate, |open, gate| follow(given, open, gate));
    gate.opened().await
}

/// Calls a function and waits for the promise that it gives, whatever comes of that.
#[cfg(feature = "outbox")]
pub(crate) async fn told(look: &Function) {
    if let Ok(looking) = look.call0(&JsValue::UNDEFINED) {
        drop(settled(&looking).await);
    }
}

/// Ends when the signal is aborted.
pub(crate) async fn abortion_of(signal: &JsValue) {
    // At once, and not a turn later, for one that is aborted already.
    if is_aborted(signal) {
        return;
    }
    let gate = Gate::new();
    let _listening = Asked::new(&gate, |open, gate| when_aborted(signal, open, gate));
    drop(gate.opened().await);
}

pub(crate) fn is_aborted(signal: &JsValue) -> bool {
    js::value(signal, "aborted").is_truthy()
}
