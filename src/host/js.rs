//! What `safe.js`, `host.js` and `image.js` do for us. None of it throws.

use js_sys::{Array, Function, Object, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

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
    /// What an error says.
    #[wasm_bindgen(js_name = messageOf)]
    pub(super) fn message_of(thrown: &JsValue) -> String;
}

#[wasm_bindgen(module = "/src/host/host.js")]
extern "C" {
    /// What JSON says; `undefined` for a text that is none.
    pub(crate) fn json(text: &str) -> JsValue;
    /// An `Error` of such details.
    pub(crate) fn failure(details: &JsValue, cause: JsValue) -> JsValue;
    /// What became of one image of many.
    pub(crate) fn outcome(landed: &JsValue, error: JsValue) -> JsValue;
    /// Calls a callback.
    pub(crate) fn tell(callback: &JsValue, event: JsValue);
    /// The same for the outbox's: a job's id, its state, and its text.
    #[wasm_bindgen(js_name = tell)]
    pub(crate) fn tell_change(callback: &JsValue, id: &str, state: &JsValue, job: Option<&str>);

    /// Something that goes on at the host.
    pub(super) type Task;
    #[wasm_bindgen(method, getter)]
    fn promise(this: &Task) -> Promise;
    #[wasm_bindgen(method)]
    fn stop(this: &Task);

    fn sleep(ms: u32) -> Task;
    fn aborted(signal: &JsValue) -> Task;
    #[wasm_bindgen(js_name = askForToken)]
    pub(super) fn ask_for_token(ask: &JsValue, patience_ms: u32) -> Task;
    pub(super) fn exchange(
        fetch: Option<Function>,
        method: &str,
        url: &str,
        headers: &str,
        payload: JsValue,
        fresh: bool,
        patience_ms: u32,
    ) -> Task;
    /// Whether this host can watch the bytes of a request.
    #[wasm_bindgen(js_name = seesProgress)]
    pub(super) fn sees_progress() -> bool;
    #[wasm_bindgen(js_name = exchangeSeen)]
    pub(super) fn exchange_seen(
        method: &str,
        url: &str,
        headers: &str,
        payload: JsValue,
        idle_ms: u32,
        line_ms: u32,
        on_sent: &Closure<dyn Fn(f64)>,
    ) -> Task;

    #[wasm_bindgen(js_name = randomBytes)]
    pub(super) fn random_bytes(count: u32) -> Option<Uint8Array>;
    /// Whether others than the key's owner can look into this place: a page, or one of its workers.
    #[wasm_bindgen(js_name = inBrowser)]
    pub fn in_browser() -> bool;
    /// Whether a framework threw it to go on otherwise.
    #[wasm_bindgen(js_name = isControlFlow)]
    pub(crate) fn is_control_flow(thrown: &JsValue) -> bool;
}

#[wasm_bindgen(module = "/src/host/image.js")]
extern "C" {
    /// The body of a form.
    pub(super) fn form(request: &str, image: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = takeImage)]
    pub(super) fn take_image(image: &JsValue) -> JsValue;
    pub(super) fn size(image: &JsValue) -> f64;
    /// A piece, without copying a byte.
    pub(super) fn slice(image: &JsValue, from: f64, to: f64) -> JsValue;
    #[wasm_bindgen(js_name = readPiece)]
    pub(super) fn read_piece(image: &JsValue, from: u32, to: u32) -> JsValue;
    /// All bytes as an `ArrayBuffer`, which every browser can store; Safari can't always store a `Blob`.
    #[wasm_bindgen(js_name = wholeImage)]
    pub(super) fn whole_image(image: &JsValue) -> Promise;
}

/// Waits for a task, and stops it when dropped.
pub(super) async fn end_of(task: Task) -> JsValue {
    let task = StopOnDrop(task);
    JsFuture::from(task.0.promise()).await.unwrap_or_default()
}

struct StopOnDrop(Task);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Waits.
pub(super) async fn wait(ms: u32) {
    end_of(sleep(ms)).await;
}

/// Ends when the signal is aborted.
pub(crate) async fn abortion_of(signal: &JsValue) {
    // At once, and not a turn later, for one that is aborted already.
    if !is_aborted(signal) {
        end_of(aborted(signal)).await;
    }
}

pub(crate) fn is_aborted(signal: &JsValue) -> bool {
    value(signal, "aborted").is_truthy()
}

/// How deep an answer may be nested: much deeper than any that is read here.
const JSON_DEPTH: u32 = 16;

/// What the host's `JSON.parse` makes of a text; `None` for a text that is no JSON.
pub(super) fn parse_json(text: &str) -> Option<Json> {
    Some(json(text)).filter(|value| !value.is_undefined()).map(|value| to_json(&value, JSON_DEPTH))
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
