//! A page, a worker or a server that speaks JavaScript.

use core::cell::Cell;
use core::ops::Range;
use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::JsValue;

use super::fetch::Head;
pub use super::image::HostBytes;
pub use super::place::in_browser;
use super::time::{self, Watchdog, settled, within};
use super::{OnSent, Patience, Platform, body, fetch, image, js, place, xhr};
use crate::error::Cause;
use crate::image::thumbnail::Thumbnail;
use crate::json::Json;
use crate::race::first_of;
use crate::text::{bare_token, is_token};
use crate::wire::event::Event;
use crate::wire::http::{Failure, Request, Response};

/// The host, with the callbacks of one sink.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Used instead of the global `fetch`.
    pub fetch: Option<Function>,
    /// Gives the user's token, or a promise of it.
    pub access_token: Option<Function>,
    /// Draws the small picture of a Blob or of bytes, or gives nothing.
    pub draw: Option<Function>,
    /// Told of every request.
    pub on_event: Option<Function>,
    /// Whether `fetch` has refused to be told of caches.
    pub refuses_cache: Rc<Cell<bool>>,
}

impl Platform for Host {
    type Bytes = HostBytes;

    async fn send(
        &self,
        request: Request<HostBytes>,
        patience: Patience,
        on_sent: Option<OnSent>,
    ) -> Result<Response, Failure> {
        // Who it goes as stands among its headers.
        let Request { method, url, headers, payload, fresh, authority: _ } = request;
        let head = Head { method: method.as_str(), url, headers, fresh };
        let on_sent = on_sent.filter(|_| self.fetch.is_none() && xhr::is_here());
        let line_ms = if on_sent.is_some() { 0 } else { patience.line_ms };
        let watchdog = Rc::new(Watchdog::new(patience.idle_ms.saturating_add(line_ms)));
        // A caller's fetch in a page or in workerd ends in the host's own, which knows its Blobs; in Node it may be anybody's.
        let has_files = payload.files().next().is_some();
        let bytes_only = has_files && self.fetch.is_some() && place::is_server();
        let work = async {
            // In Firefox a file that was replaced meanwhile would be sent as it is now, and one that became shorter would
            // never have been sent.
            image::check(&payload).await?;
            let body = body::body_of(&payload, bytes_only).await?;
            let sent = match on_sent {
                Some(on_sent) => xhr::exchange(&head, &body, patience, watchdog.clone(), on_sent).await,
                None => fetch::exchange(self.fetch.as_ref(), &self.refuses_cache, &head, &body).await,
            };
            if !sent.as_ref().is_ok_and(|response| (200..300).contains(&response.status)) {
                image::doubt(&payload);
            }
            image::check(&payload).await?;
            sent
        };
        let barked = async {
            watchdog.bark().await;
            Err(Failure::Timeout)
        };
        first_of(Box::pin(work), Box::pin(barked)).await
    }

    async fn sleep(&self, ms: u32) {
        time::sleep(ms).await;
    }

    async fn access_token(&self, patience_ms: u32) -> Result<Option<String>, (String, Option<Cause>)> {
        let Some(ask) = &self.access_token else {
            return Ok(None);
        };
        let asking = async { settled(&ask.call0(&JsValue::UNDEFINED)?).await };
        let token = match within(patience_ms, asking).await {
            None => return Err(("gave no answer in time".to_owned(), None)),
            Some(Err(thrown)) => return Err(("failed".to_owned(), Some(Rc::new(thrown)))),
            Some(Ok(token)) => js::text_of(&token).unwrap_or_default(),
        };
        match bare_token(&token) {
            token if is_token(token) => Ok(Some(token.to_owned())),
            _ => Err(("gave no token".to_owned(), None)),
        }
    }

    fn has_access_token(&self) -> bool {
        self.access_token.is_some()
    }

    fn size(&self, bytes: &HostBytes) -> u64 {
        bytes.size()
    }

    fn slice(&self, bytes: &HostBytes, piece: Range<u64>) -> HostBytes {
        bytes.slice(piece)
    }

    fn own_type(&self, bytes: &HostBytes) -> Option<String> {
        bytes.own_type()
    }

    async fn thumbnail(&self, bytes: &HostBytes, wanted: &Thumbnail) -> Option<HostBytes> {
        let draw = self.draw.as_ref()?;
        let image = bytes.content(place::is_server()).await.ok()?;
        let drawn = draw.call3(&JsValue::UNDEFINED, &image, &wanted.side.into(), &wanted.mime_type.as_str().into());
        let drawn = settled(&drawn.ok()?).await.ok().filter(JsValue::is_object)?;
        HostBytes::new(&drawn).ok()
    }

    #[cfg(feature = "outbox")]
    async fn load(&self, bytes: &HostBytes) {
        bytes.load().await;
    }

    async fn read(&self, bytes: &HostBytes, piece: Range<u32>) -> Result<Vec<u8>, Cause> {
        bytes.read(piece).await.map_err(|thrown| Rc::new(thrown) as Cause)
    }

    fn tell(&self, event: &Event) {
        if let Some(on_event) = &self.on_event {
            js::tell(on_event, js::written(event));
        }
    }

    fn now_ms(&self) -> i64 {
        js::now_ms()
    }

    fn parse_json(&self, text: &str) -> Option<Json> {
        js::parse_json(&text.into())
    }

    fn parse_date(&self, date: &str) -> Option<i64> {
        Some(js_sys::Date::parse(date)).filter(|ms| ms.is_finite()).map(|ms| ms as i64)
    }

    fn jitter(&self) -> f64 {
        js_sys::Math::random()
    }

    fn random_bytes(&self) -> Option<[u8; 16]> {
        js::random_bytes()
    }
}
