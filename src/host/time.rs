//! Waiting: for a while, for what others promise, for an abort.

use core::cell::RefCell;

use js_sys::{Array, Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::EventTarget;

use super::js;
use crate::race::first_of;

// web-sys has these of a window and of a worker's scope, each for itself; here they are of any global. Node's timers are
// objects.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_name = setTimeout)]
    fn set_timeout(done: &Function, ms: i32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue) -> Result<(), JsValue>;
}

/// Runs when it is dropped.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A promise that `open` settles, and that is settled when this is dropped at the latest: what waits for a promise keeps
/// its memory until then.
pub(super) struct Gate {
    promise: Promise,
    pub(super) open: Function,
}

impl Gate {
    pub(super) fn new() -> Self {
        let mut open = None;
        let promise = Promise::new(&mut |resolve, _| open = Some(resolve));
        Self { promise, open: open.unwrap_or_default() }
    }

    /// Ends when it is open, with what it was opened with.
    pub(super) async fn opened(&self) -> JsValue {
        JsFuture::from(self.promise.clone()).await.unwrap_or_default()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        drop(self.open.call0(&JsValue::UNDEFINED));
    }
}

/// A timer that opens a gate, unless it is dropped before.
struct Timer(JsValue);

impl Timer {
    /// A longer wait than `setTimeout` knows would end at once. Where there are no timers, as in workerd while a Worker's
    /// modules are evaluated, it does not end.
    fn new(gate: &Gate, ms: u32) -> Self {
        Self(set_timeout(&gate.open, i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or_default())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        drop(clear_timeout(&self.0));
    }
}

/// Waits.
pub(super) async fn sleep(ms: u32) {
    let gate = Gate::new();
    let _timer = Timer::new(&gate, ms);
    gate.opened().await;
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
    timer: RefCell<Timer>,
}

impl Watchdog {
    pub(super) fn new(ms: u32) -> Self {
        let gate = Gate::new();
        let timer = RefCell::new(Timer::new(&gate, ms));
        Self { gate, timer }
    }

    /// Has it wait once more, for as long as this.
    pub(super) fn calm(&self, ms: u32) {
        self.timer.replace(Timer::new(&self.gate, ms));
    }

    pub(super) async fn bark(&self) {
        self.gate.opened().await;
    }
}

/// What comes of something that others gave: whatever has a `then` is a promise, of which nothing else is known.
pub(super) async fn settled(given: &JsValue) -> Result<JsValue, JsValue> {
    let gate = Gate::new();
    JsFuture::from(Promise::race(&Array::of2(given, &gate.promise))).await
}

/// Ends when the signal is aborted.
pub(crate) async fn abortion_of(signal: &JsValue) {
    // At once, and not a turn later, for one that is aborted already.
    if is_aborted(signal) {
        return;
    }
    let gate = Gate::new();
    let target: &EventTarget = signal.unchecked_ref();
    drop(target.add_event_listener_with_callback("abort", &gate.open));
    let _listening = OnDrop(|| drop(target.remove_event_listener_with_callback("abort", &gate.open)));
    gate.opened().await;
}

pub(crate) fn is_aborted(signal: &JsValue) -> bool {
    js::value(signal, "aborted").is_truthy()
}
