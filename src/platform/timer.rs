//! Waiting.

use js_sys::{Function, global};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::js;

/// The longest wait that `setTimeout` knows; a longer one would end at once.
const LONGEST_MS: u32 = i32::MAX as u32;

/// Waits; when dropped, the timer is cleared.
pub(super) async fn sleep(ms: u32) {
    let (elapsed, resolve) = js::deferred();
    let timer = js::call(&global(), "setTimeout", &[resolve.clone().into(), ms.min(LONGEST_MS).into()]);
    let _timer = Timer { timer: timer.unwrap_or_default(), resolve };
    let _ = JsFuture::from(elapsed).await;
}

struct Timer {
    timer: JsValue,
    resolve: Function,
}

impl Drop for Timer {
    fn drop(&mut self) {
        let _ = js::call(&global(), "clearTimeout", core::slice::from_ref(&self.timer));
        // A promise that never settles would keep its callbacks, and with them memory, for good.
        let _ = self.resolve.call0(&JsValue::UNDEFINED);
    }
}
