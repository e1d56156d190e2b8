//! What `safe.js` and `host.js` do for us, which never throws, JSON, and random bytes.

use js_sys::{Array, JSON, Object};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;
use web_sys::Crypto;

use crate::json::Json;

#[wasm_bindgen(module = "/src/host/safe.js")]
extern "C" {
    /// A property; `undefined` if it can't be read.
    pub(crate) fn value(target: &JsValue, name: &str) -> JsValue;
    /// A property that is a string.
    pub(crate) fn text(target: &JsValue, name: &str) -> Option<String>;
    /// A property that is a number.
    pub(crate) fn number(target: &JsValue, name: &str) -> Option<f64>;
    /// A property that is a bigint.
    #[wasm_bindgen(js_name = value)]
    pub(crate) fn long(target: &JsValue, name: &str) -> i64;
    /// A text, and none that is too long.
    #[wasm_bindgen(js_name = textOf)]
    pub(super) fn text_of(found: &JsValue) -> Option<String>;
    /// What an error says.
    #[wasm_bindgen(js_name = messageOf)]
    pub(super) fn message_of(thrown: &JsValue) -> String;
}

#[wasm_bindgen(module = "/src/host/host.js")]
extern "C" {
    /// An `Error` of such details.
    pub(crate) fn failure(details: &JsValue, cause: JsValue) -> JsValue;
    /// What became of one image of many.
    pub(crate) fn outcome(landed: &JsValue, error: JsValue) -> JsValue;
    /// Calls a callback.
    pub(crate) fn tell(callback: &JsValue, event: JsValue);
    /// The same for the outbox's: a job's id, its state, and its text.
    #[wasm_bindgen(js_name = tell)]
    pub(crate) fn tell_change(callback: &JsValue, id: &str, state: &JsValue, job: Option<&str>);
}

#[wasm_bindgen]
extern "C" {
    /// js-sys has it of texts that come from here: an answer would go back and forth.
    #[wasm_bindgen(catch, js_namespace = JSON)]
    fn parse(text: &JsValue) -> Result<JsValue, JsValue>;

    /// A test's clock may be in its place, which gives what it likes.
    #[wasm_bindgen(catch, js_namespace = Date, js_name = now)]
    fn date_now() -> Result<JsValue, JsValue>;
}

/// How far from 1970 a time may be in JavaScript, in ms.
const LAST_MS: f64 = 8.64e15;

/// The time in ms; one that there can't be is 1970.
pub(crate) fn now_ms() -> i64 {
    let told = date_now().ok().and_then(|now| now.as_f64());
    told.filter(|ms| ms.abs() <= LAST_MS).unwrap_or_default() as i64
}

/// How deep an answer may be nested: much deeper than any that is read here.
const JSON_DEPTH: u32 = 16;

/// What JSON says; `undefined` for a text that is none.
pub(crate) fn json(text: &str) -> JsValue {
    JSON::parse(text).unwrap_or_default()
}

/// What the host's `JSON.parse` makes of a text; `None` for a text that is no JSON.
pub(crate) fn parse_json(text: &JsValue) -> Option<Json> {
    parse(text).ok().filter(|value| !value.is_undefined()).map(|value| to_json(&value, JSON_DEPTH))
}

/// Values below `depth` count as null.
fn to_json(value: &JsValue, depth: u32) -> Json {
    if let Some(text) = value.as_string() {
        Json::Text(text)
    } else if let Some(number) = value.as_f64() {
        Json::Number(number)
    } else if let Some(bool) = value.as_bool() {
        Json::Bool(bool)
    } else if value.is_null() || depth == 0 {
        Json::Null
    } else if let Some(array) = value.dyn_ref::<Array>() {
        Json::Array(array.iter().map(|item| to_json(&item, depth - 1)).collect())
    } else {
        let member = |entry: JsValue| {
            let entry: Array = entry.unchecked_into();
            (entry.get(0).as_string().unwrap_or_default(), to_json(&entry.get(1), depth - 1))
        };
        Json::Object(Object::entries(value.unchecked_ref::<Object>()).iter().map(member).collect())
    }
}

/// A value of serde's as JavaScript has it.
pub(crate) fn written(value: &impl Serialize) -> JsValue {
    value.serialize(&Serializer::json_compatible()).unwrap_or_default()
}

/// Random bytes that nobody can guess, where the host has a source of them.
pub(super) fn random_bytes<const N: usize>() -> Option<[u8; N]> {
    let crypto: Crypto = Some(value(&js_sys::global(), "crypto")).filter(JsValue::is_object)?.unchecked_into();
    let mut bytes = [0; N];
    crypto.get_random_values_with_u8_array(&mut bytes).ok()?;
    Some(bytes)
}
