//! The library's error as a JavaScript `Error`.

use wasm_bindgen::JsValue;

use crate::error::Error;
use crate::host::{js, thrown};

fn cause(error: &Error) -> Option<&JsValue> {
    error.cause.as_ref()?.downcast_ref()
}

/// Whether a framework threw what is behind it, to go on otherwise: it has to get that back.
#[cfg(any(feature = "gallery", feature = "many"))]
pub(super) fn is_called_off(error: &Error) -> bool {
    cause(error).is_some_and(thrown::is_control_flow)
}

/// An `Error` named `ImagenCloudError`, with what is known of it as properties; or what a framework threw.
pub(super) fn to_js(error: Error) -> JsValue {
    let cause = cause(&error).cloned().unwrap_or_default();
    if thrown::is_control_flow(&cause) { cause } else { js::failure(&super::to_js(&*error), cause) }
}
