//! Requests by `fetch`.

use std::rc::Rc;

use js_sys::{Function, Object, Promise, global};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::bytes::HostBytes;
use super::js::{self, Thrown};
use crate::http::{Failure, Payload, READ_HEADERS, Request, Response};

/// Sends a request by the caller's `fetch` or the global one. When dropped, the request is aborted.
pub(super) async fn send(fetch: Option<&Function>, request: Request<HostBytes>) -> Result<Response, Failure> {
    exchange(fetch, request).await.map_err(|thrown| Failure::Network(reason(&thrown), Some(Rc::new(thrown))))
}

async fn exchange(fetch: Option<&Function>, request: Request<HostBytes>) -> Thrown<Response> {
    let controller = js::construct("AbortController", &[])?;
    let _abort = AbortOnDrop(&controller);
    let init = Object::new();
    js::set(&init, "method", &request.method.as_str().into());
    js::set(&init, "signal", &js::get(&controller, "signal")?);
    let headers = Object::new();
    for (name, value) in &request.headers {
        js::set(&headers, name, &value.into());
    }
    js::set(&init, "headers", &headers);
    match &request.payload {
        Payload::Empty => {}
        Payload::Json(text) => js::set(&init, "body", &text.into()),
        Payload::Image(image) => js::set(&init, "body", &image.body()),
    }
    let answer = match fetch {
        Some(fetch) => fetch.call2(&JsValue::UNDEFINED, &request.url.into(), &init)?,
        None => js::call(&global(), "fetch", &[request.url.into(), init.into()])?,
    };
    read(&settled(&answer).await?).await
}

async fn read(answer: &JsValue) -> Thrown<Response> {
    let Some(status) = js::get(answer, "status")?.as_f64() else {
        return Err(js_sys::TypeError::new("fetch gave no Response").into());
    };
    let headers = js::get(answer, "headers")?;
    let header = |name: &'static str| Some((name, js::call(&headers, "get", &[name.into()]).ok()?.as_string()?));
    let headers = READ_HEADERS.into_iter().filter_map(header).collect();
    let body = settled(&js::call(answer, "text", &[])?).await?;
    let body = body.as_string().unwrap_or_default();
    Ok(Response { status: status as u16, headers, json: js::parse_json(&body), body })
}

/// Awaits a promise or takes a value as it is.
pub(super) async fn settled(value: &JsValue) -> Thrown<JsValue> {
    JsFuture::from(Promise::resolve(value)).await
}

/// What a failed `fetch` says; Node hides the reason in the cause.
fn reason(thrown: &JsValue) -> String {
    let cause = js::get(thrown, "cause").ok().filter(|cause| cause.is_object());
    match cause {
        Some(cause) => format!("{} ({})", js::message_of(thrown), js::message_of(&cause)),
        None => js::message_of(thrown),
    }
}

struct AbortOnDrop<'a>(&'a JsValue);

impl Drop for AbortOnDrop<'_> {
    fn drop(&mut self) {
        // After the answer is read this is without effect.
        let _ = js::call(self.0, "abort", &[]);
    }
}
