//! A page, a worker or a server that speaks JavaScript.

use std::rc::Rc;

use js_sys::{Function, Uint8Array, global};
use wasm_bindgen::JsValue;

use super::bytes::HostBytes;
use super::{Platform, fetch, js, timer};
use crate::error::Cause;
use crate::http::{Failure, Request, Response};
use crate::json::Json;
use crate::race::first_of;
use crate::text::is_header_safe;

/// The host, with the callbacks of one sink.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Used instead of the global `fetch`.
    pub fetch: Option<Function>,
    /// Gives the user's token, or a promise of it.
    pub access_token: Option<Function>,
}

impl Host {
    async fn ask_for_token(&self, ask: &Function) -> Result<Option<String>, (String, Option<Cause>)> {
        let failed = |thrown: JsValue| ("failed".to_owned(), Some(Rc::new(thrown) as Cause));
        let answer = ask.call0(&JsValue::UNDEFINED).map_err(failed)?;
        let token = fetch::settled(&answer).await.map_err(failed)?.as_string();
        match token.filter(|token| is_header_safe(token)) {
            Some(token) => Ok(Some(token)),
            None => Err(("gave no token".to_owned(), None)),
        }
    }
}

impl Platform for Host {
    type Bytes = HostBytes;

    async fn send(&self, request: Request<HostBytes>, patience_ms: u32) -> Result<Response, Failure> {
        let cut = async {
            timer::sleep(patience_ms).await;
            Err(Failure::Timeout)
        };
        first_of(Box::pin(fetch::send(self.fetch.as_ref(), request)), Box::pin(cut)).await
    }

    async fn sleep(&self, ms: u32) {
        timer::sleep(ms).await;
    }

    async fn access_token(&self, patience_ms: u32) -> Result<Option<String>, (String, Option<Cause>)> {
        let Some(ask) = &self.access_token else {
            return Ok(None);
        };
        let too_long = async {
            timer::sleep(patience_ms).await;
            Err(("gave no answer in time".to_owned(), None))
        };
        first_of(Box::pin(self.ask_for_token(ask)), Box::pin(too_long)).await
    }

    fn has_access_token(&self) -> bool {
        self.access_token.is_some()
    }

    fn size(&self, bytes: &HostBytes) -> f64 {
        bytes.size()
    }

    fn slice(&self, bytes: &HostBytes, from: f64, to: f64) -> HostBytes {
        bytes.slice(from, to)
    }

    async fn first_bytes(&self, bytes: &HostBytes, count: u32) -> Result<Vec<u8>, Cause> {
        bytes.first(count).await.map_err(|thrown| Rc::new(thrown) as Cause)
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
        let bytes = Uint8Array::new_with_length(16);
        let crypto = js::get(&global(), "crypto").ok()?;
        js::call(&crypto, "getRandomValues", &[bytes.clone().into()]).ok()?;
        bytes.to_vec().try_into().ok()
    }
}

/// Whether others than the key's owner can look into this place: a page, or one of its workers.
///
/// workerd's global is a `ServiceWorkerGlobalScope` too, and Deno's and Bun's workers have a `WorkerGlobalScope`.
pub fn in_browser() -> bool {
    let at = |path: &[&str]| {
        path.iter().try_fold(JsValue::from(global()), |value, name| js::get(&value, name).ok()).unwrap_or_default()
    };
    let user_agent = at(&["navigator", "userAgent"]).as_string();
    let on_server = user_agent.as_deref() == Some("Cloudflare-Workers")
        || [&["process", "versions", "node"][..], &["Deno", "version"], &["Bun", "version"]]
            .into_iter()
            .any(|path| at(path).is_truthy());
    !on_server && (at(&["document"]).is_object() || at(&["WorkerGlobalScope"]).is_function())
}

/// Calls one of the caller's callbacks. What it throws, or rejects later, is its own affair.
pub(crate) fn tell(callback: Option<&Function>, event: &JsValue) {
    let Some(Ok(answer)) = callback.map(|callback| callback.call1(&JsValue::UNDEFINED, event)) else {
        return;
    };
    if js::get(&answer, "catch").is_ok_and(|catch| catch.is_function()) {
        // Any function will do: a rejection that is caught is not reported as unhandled.
        let _ = js::get(&global(), "Boolean").and_then(|ignore| js::call(&answer, "catch", &[ignore]));
    }
}
