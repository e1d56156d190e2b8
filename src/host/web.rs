//! A page, a worker or a server that speaks JavaScript.

use core::ops::Range;
use std::rc::Rc;

use js_sys::{Function, Promise, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

pub use super::js::in_browser;
use super::{OnSent, Patience, Platform, js};
use crate::error::Cause;
use crate::json::{Json, ObjectText};
use crate::text::{bare_token, is_header_safe};
use crate::wire::http::{Failure, Payload, READ_HEADERS, Request, Response};

/// The host, with the callbacks of one sink.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Used instead of the global `fetch`.
    pub fetch: Option<Function>,
    /// Gives the user's token, or a promise of it.
    pub access_token: Option<Function>,
}

/// An image's bytes, which stay on JavaScript's side: a `Blob` or a copy.
#[derive(Clone, Debug)]
pub struct HostBytes(pub JsValue);

impl HostBytes {
    /// Takes what a caller passes as an image. The error is the problem with it.
    pub fn new(image: &JsValue) -> Result<Self, String> {
        let taken = js::take_image(image);
        taken.as_string().map_or(Ok(Self(taken)), Err)
    }
}

impl Platform for Host {
    type Bytes = HostBytes;

    async fn send(
        &self,
        request: Request<HostBytes>,
        patience: Patience,
        on_sent: Option<OnSent>,
    ) -> Result<Response, Failure> {
        let mut headers = ObjectText::default();
        for (name, value) in &request.headers {
            headers.text(name, value);
        }
        let fresh = request.fresh;
        let payload = match request.payload {
            Payload::Empty => JsValue::UNDEFINED,
            Payload::Json(text) => text.into(),
            Payload::Image(HostBytes(image)) => image,
            Payload::Form(request, HostBytes(image)) => js::form(&request, &image),
        };
        let (method, url, headers) = (request.method.as_str(), request.url.as_str(), headers.finish());
        let answer = match on_sent.filter(|_| self.fetch.is_none() && js::sees_progress()) {
            Some(on_sent) => {
                let on_sent = Closure::new(move |sent| on_sent(sent));
                let Patience { idle_ms, line_ms } = patience;
                js::end_of(js::exchange_seen(method, url, &headers, payload, idle_ms, line_ms, &on_sent)).await
            }
            None => {
                let patience_ms = patience.idle_ms.saturating_add(patience.line_ms);
                let fetch = self.fetch.clone();
                js::end_of(js::exchange(fetch, method, url, &headers, payload, fresh, patience_ms)).await
            }
        };
        read(&answer)
    }

    async fn sleep(&self, ms: u32) {
        js::wait(ms).await;
    }

    async fn access_token(&self, patience_ms: u32) -> Result<Option<String>, (String, Option<Cause>)> {
        let Some(ask) = &self.access_token else {
            return Ok(None);
        };
        let answer = js::end_of(js::ask_for_token(ask, patience_ms)).await;
        if let Some(problem) = js::text(&answer, "problem") {
            return Err((problem, cause(&answer)));
        }
        let token = js::text(&answer, "token").unwrap_or_default();
        match bare_token(&token) {
            token if is_header_safe(token) => Ok(Some(token.to_owned())),
            _ => Err(("gave no token".to_owned(), None)),
        }
    }

    fn has_access_token(&self) -> bool {
        self.access_token.is_some()
    }

    fn size(&self, bytes: &HostBytes) -> f64 {
        js::size(&bytes.0)
    }

    fn slice(&self, bytes: &HostBytes, from: f64, to: f64) -> HostBytes {
        HostBytes(js::slice(&bytes.0, from, to))
    }

    fn own_type(&self, bytes: &HostBytes) -> Option<String> {
        js::text(&bytes.0, "type")
    }

    async fn read(&self, bytes: &HostBytes, piece: Range<u32>) -> Result<Vec<u8>, Cause> {
        let read = match js::read_piece(&bytes.0, piece.start, piece.end).dyn_into::<Uint8Array>() {
            Ok(read) => read,
            // Whatever has a `then`: what is a Promise here need not be one to its host.
            Err(promise) => {
                let read = JsFuture::from(promise.unchecked_into::<Promise>()).await;
                read.map_err(|thrown| Rc::new(thrown) as Cause)?.unchecked_into()
            }
        };
        Ok(read.to_vec())
    }

    fn now_ms(&self) -> f64 {
        js_sys::Date::now()
    }

    fn parse_json(&self, text: &str) -> Option<Json> {
        js::parse_json(text)
    }

    fn parse_date(&self, date: &str) -> Option<f64> {
        Some(js_sys::Date::parse(date)).filter(|ms| ms.is_finite())
    }

    fn dice(&self) -> f64 {
        js_sys::Math::random()
    }

    fn random_bytes(&self) -> Option<[u8; 16]> {
        js::random_bytes(16)?.to_vec().try_into().ok()
    }
}

fn read(answer: &JsValue) -> Result<Response, Failure> {
    if let Some(text) = answer.as_string() {
        let mut lines = text.splitn(READ_HEADERS.len() + 2, '\n');
        let status = lines.next().and_then(|status| status.parse().ok()).unwrap_or_default();
        let headers = READ_HEADERS.into_iter().zip(&mut lines).filter(|(_, value)| !value.is_empty());
        let headers = headers.map(|(name, value)| (name, value.to_owned())).collect();
        let body = lines.next().unwrap_or_default().to_owned();
        return Ok(Response { status, headers, json: js::parse_json(&body), body });
    }
    let Some(problem) = js::text(answer, "problem") else {
        return Err(Failure::Timeout);
    };
    Err(match js::text(answer, "kind").as_deref() {
        Some("image") => Failure::Image(problem, cause(answer)),
        Some("redirect") => Failure::Redirect,
        Some("called off") => Failure::CalledOff(cause(answer)),
        _ => Failure::Network(problem, cause(answer)),
    })
}

/// What was thrown.
fn cause(answer: &JsValue) -> Option<Cause> {
    Some(Rc::new(js::value(answer, "thrown")))
}
