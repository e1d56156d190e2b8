//! The library's error as a JavaScript `Error`.

use js_sys::Object;
use wasm_bindgen::{JsCast, JsValue};

use crate::error::Error;
use crate::platform::js;

/// An `Error` named `ImagenCloudError`, with what is known of it as properties.
pub(super) fn to_js(error: Error) -> JsValue {
    let value: Object = js_sys::Error::new(&error.message).unchecked_into();
    let text = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            js::set(&value, name, &text.into());
        }
    };
    text("name", Some("ImagenCloudError"));
    text("stage", Some(error.stage.as_str()));
    text("code", Some(error.code.as_str()));
    text("field", error.field.as_deref());
    text("serverCode", error.server_code.as_deref());
    text("storagePath", error.storage_path.as_deref());
    text("imageId", error.image_id.as_deref());
    if let Some(status) = error.status {
        js::set(&value, "status", &status.into());
    }
    js::set(&value, "retryable", &error.retryable.into());
    if let Some(ms) = error.retry_after_ms {
        js::set(&value, "retryAfterMs", &ms.into());
    }
    js::set(&value, "attempts", &error.attempts.into());
    if let Some(cause) = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<JsValue>()) {
        js::set(&value, "cause", cause);
    }
    value.into()
}
