//! What was thrown, and what it means for a request.

use std::rc::Rc;

use wasm_bindgen::JsValue;

use super::js;
use crate::text::contains;
use crate::wire::http::Failure;

/// Whether somebody threw to have its framework do something else, and not because anything failed: Next.js while it
/// prerenders, and React. It marks what it throws with a digest, or as a postponement.
pub(crate) fn is_control_flow(thrown: &JsValue) -> bool {
    let marked = || js::value(thrown, "digest").is_string() || !js::value(thrown, "$$typeof").is_undefined();
    thrown.is_object() && marked()
}

/// What a failed `fetch` says; Node hides the reason in the cause.
fn reason_of(thrown: &JsValue) -> String {
    let (message, cause) = (js::message_of(thrown), js::value(thrown, "cause"));
    if cause.is_object() { format!("{message} ({})", js::message_of(&cause)) } else { message }
}

/// What Node, Bun, Deno and node-fetch say of a redirect that they are told not to follow.
const REDIRECT_WORDS: [&str; 4] =
    ["unexpected redirect", "unexpectedredirect", "redirect mode is set to error", "encountered redirect"];

/// Why a request has no answer, by what was thrown.
pub(super) fn failure_of(thrown: JsValue) -> Failure {
    if is_control_flow(&thrown) {
        return Failure::CalledOff(Some(Rc::new(thrown)));
    }
    let reason = reason_of(&thrown);
    let words = reason.to_ascii_lowercase();
    match REDIRECT_WORDS.into_iter().any(|known| contains(&words, known)) {
        true => Failure::Redirect,
        false => Failure::Network(reason, Some(Rc::new(thrown))),
    }
}

/// Whether a caller's `fetch` refuses to hear of `cache`.
pub(super) fn is_about_cache(thrown: &JsValue) -> bool {
    let message = js::message_of(thrown);
    let mut words = message.as_bytes().split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    !is_control_flow(thrown) && words.any(|word| word.eq_ignore_ascii_case(b"cache"))
}
