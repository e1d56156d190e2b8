//! The outbox as JavaScript sees it. `pkg/outbox.js` adds what is the browser's: locks, channels, and when to drain.

use core::cell::Cell;
use std::rc::Rc;

use js_sys::{Function, Promise};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

#[cfg(feature = "relay")]
use super::relay::Relay;
use super::{Sink, error, promise, read, to_js};
use crate::error::Error;
use crate::host::store::HostStore;
use crate::host::web::Host;
use crate::host::{js, time};
use crate::json::{Json, to_text};
use crate::outbox::courier::{Courier, End, Witness};
use crate::outbox::job::{Job, State};
use crate::race::{Racer, after_looks};
use crate::sync::client::Client;
use crate::text::canonical_id;

/// From a tab that has been silent for so long its lock may be taken, in ms: `pkg/lock.js` waits for longer.
const SILENCE_MS: i64 = 10_000;

/// Images on their way, kept in a store until their rows are confirmed.
#[wasm_bindgen]
pub struct Outbox {
    courier: Rc<Courier<Host, HostStore>>,
}

#[wasm_bindgen]
impl Outbox {
    /// An outbox over `store` (see `pkg/store.js`) that sends through `sink`. `on_change` is called with a job's id, its
    /// state and its JSON text after every change. Throws an `ImagenCloudError`.
    #[wasm_bindgen(constructor)]
    pub fn new(sink: &Sink, store: HostStore, options: JsValue, on_change: Function) -> Result<Outbox, JsValue> {
        Self::open(sink.client.clone(), store, options, on_change)
    }

    fn open(
        client: Rc<Client<Host>>,
        store: HostStore,
        options: JsValue,
        on_change: Function,
    ) -> Result<Outbox, JsValue> {
        if client.owner().is_none() {
            return Err(error::to_js(Error::option("ownerUserId", "is needed: an outbox belongs to a user")));
        }
        let limits = read::outbox_options(&options).map_err(error::to_js)?;
        let courier = Courier::new(client, store, limits, Rc::new(Changes(on_change)));
        Ok(Self { courier: Rc::new(courier) })
    }

    /// Whether a job's text may name such a state.
    #[wasm_bindgen(js_name = isState)]
    pub fn is_state(name: &str) -> bool {
        State::deserialize(&Json::Text(name.to_owned())).is_ok()
    }

    /// Whether a text is a job's.
    #[wasm_bindgen(js_name = isJob)]
    pub fn is_job(text: &str) -> bool {
        js::parse_json(&text.into()).is_some_and(|json| Job::parse(0, &json).is_some())
    }

    /// An id as the jobs have theirs, whatever way of writing a UUID it comes in.
    #[wasm_bindgen(js_name = idOf)]
    pub fn id_of(id: &str) -> String {
        canonical_id(id).unwrap_or_else(|| id.to_owned())
    }

    /// Stores a request and its image. Resolves to `{ storagePath, imageId }`.
    pub fn enqueue(&self, request: JsValue) -> Promise {
        let request = read::sync_request(&request);
        let courier = self.courier.clone();
        promise(Box::pin(async move { courier.enqueue(request?).await.map(|synced| to_js(&synced)) }))
    }

    /// Tries every job that is due, and with `forced` those that wait on their own account. An aborted `signal` is a
    /// pause. The caller holds the outbox's lock. After a silence `look` is called, which aborts the signal where another tab has
    /// taken the lock meanwhile, and the promise that it gives is waited for before anything else is done.
    pub fn drain(&self, forced: bool, signal: JsValue, look: Function) -> Promise {
        let courier = self.courier.clone();
        let seen_ms = Cell::new(js::now_ms());
        promise(Box::pin(async move {
            let look_after_silence = || -> Option<Racer<'_, ()>> {
                let now_ms = js::now_ms();
                let is_usual = (0..SILENCE_MS).contains(&(now_ms - seen_ms.replace(now_ms)));
                (!is_usual).then(|| -> Racer<'_, ()> { Box::pin(time::told(&look)) })
            };
            let drain = courier.drain(forced, Box::pin(time::abortion_of(&signal)));
            after_looks(Box::pin(drain), look_after_silence).await.map(|drained| to_js(&drained))
        }))
    }

    /// Has the drain under way look at the store again.
    #[wasm_bindgen(js_name = lookAgain)]
    pub fn look_again(&self) {
        self.courier.look_again();
    }

    /// Has the drain under way let go of a job that was discarded, if it was.
    pub fn discarded(&self, id: &str) {
        self.courier.discarded(id);
    }

    /// Tells the server that nobody will go on with this upload.
    pub fn abandon(&self, upload_id: String) -> Promise {
        let courier = self.courier.clone();
        promise(Box::pin(async move { courier.abandon(&upload_id).await.map(|()| JsValue::UNDEFINED) }))
    }

    /// Has an image removed, wherever it is.
    pub fn remove(&self, image_id: String) -> Promise {
        let courier = self.courier.clone();
        promise(Box::pin(async move { courier.remove(&image_id).await.map(|()| JsValue::UNDEFINED) }))
    }

    /// Puts a failed job right. The request has its `imageId` and its image.
    pub fn mend(&self, request: JsValue) -> Promise {
        let request = read::sync_request(&request);
        let courier = self.courier.clone();
        promise(Box::pin(async move { courier.mend(request?).await.map(|()| JsValue::UNDEFINED) }))
    }

    /// Makes a failed or waiting job ready to be tried again.
    pub fn retry(&self, id: String) -> Promise {
        let courier = self.courier.clone();
        promise(Box::pin(async move { courier.retry(&id).await.map(|()| JsValue::UNDEFINED) }))
    }
}

#[cfg(feature = "relay")]
#[wasm_bindgen]
impl Outbox {
    /// The same through a relay.
    #[wasm_bindgen(js_name = forRelay)]
    pub fn for_relay(
        relay: &Relay,
        store: HostStore,
        options: JsValue,
        on_change: Function,
    ) -> Result<Outbox, JsValue> {
        Self::open(relay.client.clone(), store, options, on_change)
    }
}

/// How much of a job's image is sent.
#[derive(Serialize)]
struct Bytes {
    sent: u64,
    total: u64,
}

/// The package's own function.
struct Changes(Function);

impl Witness for Changes {
    fn changed(&self, job: &Job) {
        js::tell_change(&self.0, &job.id, &to_js(&job.state), Some(&job.to_text()));
    }

    fn progress(&self, id: &str, sent: u64, total: u64) {
        let bytes = to_text(&Bytes { sent, total });
        js::tell_change(&self.0, id, &"progress".into(), Some(&bytes));
    }

    fn ended(&self, id: &str, how: End) {
        js::tell_change(&self.0, id, &how.as_str().into(), None);
    }
}
