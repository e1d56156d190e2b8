//! Requests by XMLHttpRequest, which tells of the bytes that are sent; `fetch` does not.

use core::cell::Cell;
use std::rc::Rc;

use js_sys::decode_uri_component;
use wasm_bindgen::prelude::*;
use web_sys::{Event, ProgressEvent, Url, XmlHttpRequest};

use super::body::Body;
use super::fetch::{Head, answer_of};
use super::thrown::failure_of;
use super::time::{Gate, OnDrop, Watchdog, open};
use super::{OnSent, Patience, js};
use crate::text::split_once;
use crate::wire::http::{Failure, READ_HEADERS, Response};

/// What lies between two events of one request, as in the standard of XMLHttpRequest. WebKit has one for every 8 KiB.
const PACE_MS: f64 = 50.0;

/// Whether this host has it: service workers and servers don't.
pub(super) fn is_here() -> bool {
    js::value(&js_sys::global(), "XMLHttpRequest").is_function()
}

/// Sends a request and reads the whole answer. Dropped before its end, it aborts the request. Of bytes that the system has
/// taken, and may still be sending, nothing is seen: once it has all of them, they get `line_ms` more.
pub(super) async fn exchange(
    head: &Head,
    body: &Body,
    patience: Patience,
    watchdog: Rc<Watchdog>,
    on_sent: OnSent,
) -> Result<Response, Failure> {
    let request = XmlHttpRequest::new().map_err(failure_of)?;
    let upload = request.upload().map_err(failure_of)?;
    let told_ms = Cell::new(f64::NEG_INFINITY);
    let progress = Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| {
        let (sent, now_ms, at_end) = (event.loaded(), event.time_stamp(), event.loaded() >= event.total());
        watchdog.calm(if at_end { patience.idle_ms.saturating_add(patience.line_ms) } else { patience.idle_ms });
        if at_end || now_ms - told_ms.get() >= PACE_MS {
            told_ms.set(now_ms);
            on_sent(sent as u64);
        }
    });
    let gate = Gate::new();
    let number = gate.number();
    let end = Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| open(number, event.into(), false));
    let _sending = OnDrop(|| {
        upload.set_onprogress(None);
        request.set_onload(None);
        request.set_onerror(None);
        request.set_onabort(None);
        if request.ready_state() != XmlHttpRequest::DONE {
            drop(request.abort());
        }
    });
    let send = || {
        upload.set_onprogress(Some(progress.as_ref().unchecked_ref()));
        let ended = Some(end.as_ref().unchecked_ref());
        request.set_onload(ended);
        request.set_onerror(ended);
        // A page that is stopped, by its user or by `window.stop()`, ends its requests so.
        request.set_onabort(ended);
        request.open(head.method, &head.url)?;
        for (name, value) in head.headers_with(body) {
            request.set_request_header(name, value)?;
        }
        // Of one type here, whatever it is: there it is told by itself.
        request.send_with_opt_blob(Some(body.content.unchecked_ref()))
    };
    send().map_err(failure_of)?;
    let end: Event = gate.opened().await.unwrap_or_default().unchecked_into();
    if end.type_() != "load" {
        return Err(failure_of(js_sys::TypeError::new("the connection failed or broke").into()));
    }
    read(&request, &head.url)
}

fn read(request: &XmlHttpRequest, url: &str) -> Result<Response, Failure> {
    let answered = js::text(request, "responseURL").unwrap_or_default();
    if !is_same_address(&answered, url) {
        return Err(Failure::Redirect);
    }
    // All that may be read here; asking for another one by its name has browsers complain on the console.
    let all = request.get_all_response_headers().unwrap_or_default();
    let header = |line: &str| {
        let (name, value) = split_once(line, ":")?;
        let name = READ_HEADERS.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
        Some((name, value.trim().to_owned())).filter(|(_, value)| !value.is_empty())
    };
    let headers = all.split(['\n']).filter_map(header).collect();
    let status = request.status().map_err(failure_of)?;
    answer_of(status, headers, &js::value(request, "responseText"))
}

/// XMLHttpRequest can't be kept from following a redirect, but says where the answer came from. Browsers write one address
/// in several ways: escapes are decoded before they are compared. One that says nothing has followed nothing.
fn is_same_address(answered: &str, asked: &str) -> bool {
    let parts = |address: &str| {
        let url = Url::new(address).ok()?;
        Some([url.origin(), url.pathname(), url.search()].map(|part| {
            let decoded = decode_uri_component(&part).ok().and_then(|text| text.as_string());
            decoded.unwrap_or(part)
        }))
    };
    answered.is_empty() || parts(answered).is_some_and(|answered| parts(asked) == Some(answered))
}
