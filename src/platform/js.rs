//! Access to JavaScript values that never traps: a getter, a callback or a foreign object may throw at any time, and an
//! exception that crosses the wasm's frames leaves them half done.

use js_sys::{Array, Function, JSON, Object, Promise, Reflect, global};
use wasm_bindgen::{JsCast, JsValue};

use crate::json::Json;

/// What was thrown, or a value.
pub(crate) type Thrown<T> = Result<T, JsValue>;

/// A property.
pub(crate) fn get(target: &JsValue, name: &str) -> Thrown<JsValue> {
    Reflect::get(target, &name.into())
}

/// A property of an object that was made here.
pub(crate) fn set(target: &Object, name: &str, value: &JsValue) {
    // A plain object of our own takes any property.
    let _ = Reflect::set(target, &name.into(), value);
}

/// Calls a method.
pub(crate) fn call(target: &JsValue, name: &str, arguments: &[JsValue]) -> Thrown<JsValue> {
    let method = get(target, name)?;
    let Some(method) = method.dyn_ref::<Function>() else {
        return Err(js_sys::TypeError::new(&format!("{name} is no function")).into());
    };
    Reflect::apply(method, target, &arguments.iter().collect::<Array>())
}

/// `new globalThis[name](…arguments)`.
pub(crate) fn construct(name: &str, arguments: &[JsValue]) -> Thrown<JsValue> {
    let class = get(&global(), name)?;
    let Some(class) = class.dyn_ref::<Function>() else {
        return Err(js_sys::TypeError::new(&format!("{name} is missing here")).into());
    };
    Reflect::construct(class, &arguments.iter().collect::<Array>())
}

/// A promise, and what resolves it.
pub(crate) fn deferred() -> (Promise, Function) {
    // Not `Function::default()`: it makes code from text, which workerd and a page's policy forbid.
    let mut resolve: Function = JsValue::UNDEFINED.unchecked_into();
    let promise = Promise::new(&mut |done, _| resolve = done);
    (promise, resolve)
}

/// What an error says, for a message.
pub(crate) fn message_of(thrown: &JsValue) -> String {
    let message = get(thrown, "message").ok().and_then(|message| message.as_string());
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| "unknown error".to_owned())
}

/// How deep an answer may be nested: much deeper than any that is read here.
const JSON_DEPTH: u32 = 16;

/// What the host's `JSON.parse` makes of a text; `None` for a text that is no JSON.
pub(crate) fn parse_json(text: &str) -> Option<Json> {
    JSON::parse(text).ok().map(|value| to_json(&value, JSON_DEPTH))
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
        let member = |name: JsValue| {
            let value = Reflect::get(value, &name).ok()?;
            Some((name.as_string()?, to_json(&value, depth - 1)))
        };
        Json::Object(Object::keys(value.unchecked_ref::<Object>()).iter().filter_map(member).collect())
    }
}
