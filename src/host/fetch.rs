//! Requests by `fetch`, the host's own or one of the caller's.

use core::cell::Cell;
use js_sys::Function;
use serde::{Serialize, Serializer};
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, Request, RequestInit, Response};

use super::body::Body;
use super::thrown::{failure_of, is_about_cache};
use super::time::{OnDrop, settled};
use super::{js, place};
use crate::json::to_text;
use crate::wire::http::{self, Failure};

#[wasm_bindgen]
extern "C" {
    // Looked for when it is called, since frameworks put their own in its place. web-sys has a window's and a worker's,
    // each for itself.
    #[wasm_bindgen(catch, js_name = fetch)]
    fn fetch_of_any_global(url: &str, init: &RequestInit) -> Result<JsValue, JsValue>;

    /// What a `fetch` gave. It may be anybody's, and of its properties web-sys takes for granted that they don't throw and
    /// are what they should be.
    #[wasm_bindgen(extends = Response)]
    type Answer;
    #[wasm_bindgen(structural, method, getter, catch)]
    fn status(this: &Answer) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, getter, catch)]
    fn redirected(this: &Answer) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, getter, catch)]
    fn headers(this: &Answer) -> Result<AnswersHeaders, JsValue>;

    /// The same for its headers.
    type AnswersHeaders;
    #[wasm_bindgen(structural, method, catch)]
    fn get(this: &AnswersHeaders, name: &str) -> Result<JsValue, JsValue>;
}

/// A request without what it carries.
pub(super) struct Head {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) fresh: bool,
}

impl Head {
    /// Its headers, with the one that its body brings.
    pub(super) fn headers_with<'a>(&'a self, body: &'a Body) -> impl Iterator<Item = (&'static str, &'a str)> {
        let content_type = body.content_type.as_deref().map(|value| ("Content-Type", value));
        self.headers.iter().map(|(name, value)| (*name, value.as_str())).chain(content_type)
    }
}

/// The headers of a request as an object's members.
struct Headers<'a>(&'a Head, &'a Body);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.headers_with(self.1))
    }
}

/// Sends a request and reads the whole answer. Dropped before its end, it aborts the request.
/// `refuses_cache` is what is known of the caller's `fetch`.
pub(super) async fn exchange(
    fetch: Option<&Function>,
    refuses_cache: &Cell<bool>,
    head: &Head,
    body: &Body,
) -> Result<http::Response, Failure> {
    let controller = AbortController::new().ok();
    let is_over = Cell::new(false);
    let _sending = OnDrop(|| {
        if let Some(controller) = controller.as_ref().filter(|_| !is_over.get()) {
            controller.abort();
        }
    });
    let ask = async |uncached: bool| {
        let init = init_of(head, body, uncached);
        init.set_signal(controller.as_ref().map(AbortController::signal).as_ref());
        let given = match fetch {
            Some(fetch) => fetch.call2(&JsValue::UNDEFINED, &head.url.as_str().into(), &init)?,
            None => fetch_of_any_global(&head.url, &init)?,
        };
        settled(&given).await
    };
    let uncached = head.fresh && knows_cache() && !refuses_cache.get();
    let mut given = ask(uncached).await;
    if let Err(thrown) = &given
        && uncached
        && fetch.is_some()
        && is_about_cache(thrown)
    {
        refuses_cache.set(true);
        given = ask(false).await;
    }
    let answer = match given {
        Ok(answer) => read(answer.unchecked_into(), head).await,
        Err(thrown) => Err(failure_of(thrown)),
    };
    is_over.set(true);
    answer
}

/// As one text, since each member of it would be a call and each header two.
fn init_of(head: &Head, body: &Body, uncached: bool) -> RequestInit {
    // No redirect is followed, since the keys would go along. Node then also keeps no copy of a body, which it does for the
    // sake of redirects and windows. Other hosts give the redirect as the answer, pages as one of which nothing can be read.
    let redirect = if is_node() { r#""error","window":null"# } else { r#""manual""# };
    // No cache may answer instead of the server, or keep its answer: frameworks have caches of their own in `fetch`.
    let cache = if uncached { r#""cache":"no-store","# } else { "" };
    let (method, headers) = (head.method, to_text(&Headers(head, body)));
    let text = format!(r#"{{"method":"{method}","redirect":{redirect},{cache}"headers":{headers}}}"#);
    let init: RequestInit = js::json(&text).unchecked_into();
    if !body.content.is_undefined() {
        init.set_body(&body.content);
    }
    init
}

thread_local! {
    static IS_NODE: Cell<Option<bool>> = const { Cell::new(None) };
    static KNOWS_CACHE: Cell<Option<bool>> = const { Cell::new(None) };
}

fn is_node() -> bool {
    place::once(&IS_NODE, place::is_node)
}

/// workerd of 2024 knows no `cache`. Asked when it is needed: it has Node load all of its fetch.
fn knows_cache() -> bool {
    place::once(&KNOWS_CACHE, || {
        let init = js::json(r#"{"cache":"no-store"}"#);
        Request::new_with_str_and_init("http://x", init.unchecked_ref()).is_ok()
    })
}

async fn read(answer: Answer, head: &Head) -> Result<http::Response, Failure> {
    let Some(status) = answer.status().map_err(failure_of)?.as_f64() else {
        return Err(failure_of(js_sys::TypeError::new("fetch gave no Response").into()));
    };
    let is_hidden = || js::text(&answer, "type").as_deref() == Some("opaqueredirect");
    if answer.redirected().is_ok_and(|is_redirected| is_redirected == true) || status == 0.0 && is_hidden() {
        return Err(Failure::Redirect);
    }
    let status = status as u16;
    let is_resumable = head.headers.iter().any(|(name, _)| *name == http::RESUMABLE);
    let headers = match http::counting(status, is_resumable) {
        [] => Vec::new(),
        names => headers_of(&answer.headers().map_err(failure_of)?, names),
    };
    let text = answer.text().map_err(failure_of)?;
    let text = settled(&text).await.map_err(failure_of)?;
    answer_of(status, headers, &text)
}

/// The answer, of its body's text.
pub(super) fn answer_of(
    status: u16,
    headers: Vec<(&'static str, String)>,
    text: &JsValue,
) -> Result<http::Response, Failure> {
    let body = match js::text_of(text) {
        Some(body) => body,
        None if text.is_string() => return Err(Failure::TooLong),
        None => String::new(),
    };
    let json = if body.is_empty() { None } else { js::parse_json(text) };
    Ok(http::Response { status, headers, json, body })
}

fn headers_of(headers: &AnswersHeaders, names: &[&'static str]) -> Vec<(&'static str, String)> {
    let header = |name: &&'static str| {
        let value = js::text_of(&headers.get(name).ok()?);
        Some((*name, value.filter(|value| !value.is_empty() && !value.contains(['\n']))?))
    };
    names.iter().filter_map(header).collect()
}
