//! Waiting: for a while, for what others promise, for an abort.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::rc::Rc;

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
    // Each returns what forgets `open`. web-sys has timers of a window and of a worker's scope, each for itself; these are of any
    // global.
    fn follow(given: &JsValue, open: &Function) -> Function;
    fn after(ms: i32, open: &Function) -> Function;
    #[wasm_bindgen(js_name = whenAborted)]
    fn when_aborted(signal: &JsValue, open: &Function) -> Function;
}

/// A callback for the host, and who waits for it. Whoever gives it away takes it back before this is dropped.
pub(super) struct Gate {
    open: Closure<dyn Fn(JsValue, JsValue)>,
    passage: Rc<Passage>,
}

#[derive(Default)]
struct Passage {
    /// What it was opened with, or what was thrown.
    came: Cell<Option<Result<JsValue, JsValue>>>,
    waiting: Cell<Option<Waker>>,
}

impl Gate {
    pub(super) fn new() -> Self {
        let passage: Rc<Passage> = Rc::default();
        let inside = passage.clone();
        // Hosts call it with one value, and `follow` says whether that was thrown.
        let open = Closure::new(move |value, is_thrown: JsValue| {
            inside.came.set(Some(if is_thrown.is_truthy() { Err(value) } else { Ok(value) }));
            if let Some(waiting) = inside.waiting.take() {
                waiting.wake();
            }
        });
        Self { open, passage }
    }

    /// What opens it.
    pub(super) fn open(&self) -> &Function {
        self.open.as_ref().unchecked_ref()
    }

    /// Ends when it is open, with what it was opened with.
    pub(super) async fn opened(&self) -> Result<JsValue, JsValue> {
        poll_fn(|context| match self.passage.came.take() {
            Some(came) => Poll::Ready(came),
            None => {
                self.passage.waiting.set(Some(context.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

/// What the host was asked to open a gate for; it forgets that when this is dropped.
struct Asked(Function);

impl Asked {
    /// A longer wait than `setTimeout` knows would end at once. Where there are no timers it does not end.
    fn timer(gate: &Gate, ms: u32) -> Self {
        Self(after(i32::try_from(ms).unwrap_or(i32::MAX), gate.open()))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        drop(self.0.call0(&JsValue::UNDEFINED));
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
    gate: Gate,
    timer: RefCell<Asked>,
}

impl Watchdog {
    pub(super) fn new(ms: u32) -> Self {
        let gate = Gate::new();
        let timer = RefCell::new(Asked::timer(&gate, ms));
        Self { gate, timer }
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
    let _following = Asked(follow(given, gate.open()));
    gate.opened().await
}

/// Ends when the signal is aborted.
pub(crate) async fn abortion_of(signal: &JsValue) {
    // At once, and not a turn later, for one that is aborted already.
    if is_aborted(signal) {
        return;
    }
    let gate = Gate::new();
    let _listening = Asked(when_aborted(signal, gate.open()));
    drop(gate.opened().await);
}

pub(crate) fn is_aborted(signal: &JsValue) -> bool {
    js::value(signal, "aborted").is_truthy()
}
