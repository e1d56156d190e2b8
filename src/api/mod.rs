//! What JavaScript calls. Thin: reads the arguments, starts the work, and makes values and errors of what comes back.

mod error;
mod outbox;
mod read;

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::client::{Call, Client, Observer, Progress, Retrying, Synced, Work};
use crate::config::Config;
use crate::error::{Code, Error};
use crate::json::ObjectText;
use crate::platform::host::{Host, in_browser};
use crate::platform::js;
use crate::race::first_of;
use read::CallOptions;

/// A configured connection to a Supabase project. Safe to use for any number of calls at once.
#[wasm_bindgen]
pub struct Sink {
    client: Rc<Client<Host>>,
}

#[wasm_bindgen]
impl Sink {
    /// Checks the options; throws an `ImagenCloudError`.
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue) -> Result<Sink, JsValue> {
        connect(&options).map(|client| Self { client }).map_err(error::to_js)
    }

    /// A sink from the environment's variables, or `undefined` where the URL or the key is missing.
    #[wasm_bindgen(js_name = fromEnv)]
    pub fn from_env(env: JsValue) -> Result<Option<Sink>, JsValue> {
        if !env.is_object() {
            return Err(error::to_js(Error::option("env", "must be an object of variables")));
        }
        let Some(options) = Config::options_from_env(|name| read::env(&env, name)) else {
            return Ok(None);
        };
        let config = Config::new(options, in_browser()).map_err(error::to_js)?;
        Ok(Some(Self { client: Rc::new(Client::new(config, Host::default())) }))
    }

    /// The owner of all rows; empty if none is set.
    #[wasm_bindgen(getter, js_name = ownerUserId)]
    pub fn owner_user_id(&self) -> String {
        self.client.owner_user_id().to_owned()
    }

    /// Uploads an image and inserts its row. Resolves to `{ storagePath, imageId }`.
    pub fn sync(&self, request: JsValue, options: JsValue) -> Promise {
        start_sync(Ok(self.client.clone()), &request, &options)
    }

    /// A URL that answers with the image under `storage_path`.
    #[wasm_bindgen(js_name = signedUrl)]
    pub fn signed_url(&self, storage_path: JsValue, ttl_seconds: JsValue, options: JsValue) -> Promise {
        start_signed_url(Ok(self.client.clone()), &storage_path, &ttl_seconds, &options)
    }
}

/// `Sink.sync` without keeping a sink.
#[wasm_bindgen]
pub fn sync(sink: JsValue, request: JsValue, options: JsValue) -> Promise {
    start_sync(connect(&sink), &request, &options)
}

/// `Sink.signedUrl` without keeping a sink.
#[wasm_bindgen(js_name = signedUrl)]
pub fn signed_url(sink: JsValue, storage_path: JsValue, ttl_seconds: JsValue, options: JsValue) -> Promise {
    start_signed_url(connect(&sink), &storage_path, &ttl_seconds, &options)
}

type Connected = Result<Rc<Client<Host>>, Error>;

fn connect(options: &JsValue) -> Connected {
    let (options, host) = read::options(options)?;
    let config = Config::new(options, in_browser())?;
    Ok(Rc::new(Client::new(config, host)))
}

fn start_sync(client: Connected, request: &JsValue, options: &JsValue) -> Promise {
    let read = || Ok((client?, read::sync_request(request)?, read::sync_options(options)?));
    start(read().map(|(client, request, options)| {
        let call = Rc::new(call(&options));
        let running = call.clone();
        let work = async move { client.sync(request, &running).await.map(|synced| synced_to_js(&synced)) };
        Started { work: Box::pin(work), call, signal: options.signal }
    }))
}

fn start_signed_url(client: Connected, path: &JsValue, ttl_seconds: &JsValue, options: &JsValue) -> Promise {
    let read = || Ok((client?, read::sign_request(path, ttl_seconds)?, read::call_options(options)?));
    start(read().map(|(client, (path, ttl_seconds), options)| {
        let call = Rc::new(call(&options));
        let running = call.clone();
        let work = async move { client.signed_url(&path, ttl_seconds, &running).await.map(JsValue::from) };
        Started { work: Box::pin(work), call, signal: options.signal }
    }))
}

fn call(options: &CallOptions) -> Call {
    let CallOptions { on_progress, on_retry, deadline_ms, .. } = options;
    let callbacks = Callbacks { on_progress: on_progress.clone(), on_retry: on_retry.clone() };
    Call::new(Rc::new(callbacks), *deadline_ms)
}

/// A call whose arguments are read.
struct Started {
    work: Work<'static, JsValue>,
    call: Rc<Call>,
    signal: JsValue,
}

/// Runs a call as a promise of its own: it lives on when the handle it was started from is freed.
fn start(started: Result<Started, Error>) -> Promise {
    future_to_promise(async move {
        let Started { work, call, signal } = started.map_err(error::to_js)?;
        let result = if signal.is_undefined() {
            work.await
        } else {
            let stopped = async {
                js::abortion_of(&signal).await;
                let reason = Rc::new(js::value(&signal, "reason"));
                Err(call.stopped(Code::Aborted, "aborted by the caller").with_cause(Some(reason)))
            };
            first_of(Box::pin(stopped), work).await
        };
        result.map_err(error::to_js)
    })
}

/// The caller's callbacks, each `undefined` where it is not given.
struct Callbacks {
    on_progress: JsValue,
    on_retry: JsValue,
}

impl Observer for Callbacks {
    fn progress(&self, progress: Progress) {
        let mut event = ObjectText::default();
        event.text("stage", progress.stage);
        event.raw("sent", &(progress.sent as u64).to_string());
        event.raw("total", &(progress.total as u64).to_string());
        js::tell(&self.on_progress, js::json(&event.finish()));
    }

    fn retrying(&self, retrying: Retrying) {
        let mut event = ObjectText::default();
        event.text("stage", retrying.stage.as_str());
        event.text("code", retrying.code.as_str());
        if let Some(status) = retrying.status {
            event.raw("status", &status.to_string());
        }
        event.raw("attempt", &retrying.attempt.to_string());
        event.raw("waitMs", &retrying.wait_ms.to_string());
        js::tell(&self.on_retry, js::json(&event.finish()));
    }
}

fn synced_to_js(synced: &Synced) -> JsValue {
    let mut result = ObjectText::default();
    result.text("storagePath", &synced.storage_path);
    result.text("imageId", &synced.image_id);
    js::json(&result.finish())
}
