//! The library's error as a JavaScript `Error`.

use wasm_bindgen::JsValue;

use crate::error::Error;
use crate::json::ObjectText;
use crate::platform::js;

/// An `Error` named `ImagenCloudError`, with what is known of it as properties.
pub(super) fn to_js(error: Error) -> JsValue {
    let mut json = ObjectText::default();
    for (name, text) in [
        ("name", Some("ImagenCloudError")),
        ("message", Some(error.message.as_str())),
        ("stage", Some(error.stage.as_str())),
        ("code", Some(error.code.as_str())),
        ("field", error.field.as_deref()),
        ("serverCode", error.server_code.as_deref()),
        ("storagePath", error.storage_path.as_deref()),
        ("imageId", error.image_id.as_deref()),
    ] {
        if let Some(text) = text {
            json.text(name, text);
        }
    }
    for (name, number) in [
        ("status", error.status.map(u32::from)),
        ("retryAfterMs", error.retry_after_ms),
        ("attempts", Some(error.attempts)),
    ] {
        if let Some(number) = number {
            json.raw(name, &number.to_string());
        }
    }
    json.raw("retryable", if error.retryable { "true" } else { "false" });
    let cause = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<JsValue>());
    js::failure(&json.finish(), cause.cloned().unwrap_or_default())
}
