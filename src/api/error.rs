//! The library's error as a JavaScript `Error`.

use wasm_bindgen::JsValue;

use crate::error::Error;
use crate::platform::js;

/// An `Error` named `ImagenCloudError`, with what is known of it as properties.
pub(super) fn to_js(error: Error) -> JsValue {
    let cause = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<JsValue>());
    js::failure(&error.to_text(), cause.cloned().unwrap_or_default())
}
