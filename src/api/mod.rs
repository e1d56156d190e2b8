//! What JavaScript calls. Thin: reads the arguments, starts the work, and makes values and errors of what comes back.

mod error;
mod outbox;
mod read;

use std::rc::Rc;

use js_sys::{Function, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::client::{Call, Client, Observer, Progress, Retrying, Synced, Work};
use crate::config::Config;
use crate::error::{Code, Error};
use crate::platform::host::{Host, in_browser, tell};
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
    let read = || Ok((client?, read::sync_request(request)?, read::call_options(options, &read::SYNC_OPTIONS)?));
    start(read().map(|(client, request, options)| {
        let call = Rc::new(call(&options));
        let running = call.clone();
        let work = async move { client.sync(request, &running).await.map(|synced| synced_to_js(&synced)) };
        Started { work: Box::pin(work), call, signal: options.signal }
    }))
}

fn start_signed_url(client: Connected, path: &JsValue, ttl_seconds: &JsValue, options: &JsValue) -> Promise {
    let read = || {
        Ok((
            client?,
            read::storage_path(path)?,
            read::ttl_seconds(ttl_seconds)?,
            read::call_options(options, &read::CALL_OPTIONS)?,
        ))
    };
    start(read().map(|(client, path, ttl_seconds, options)| {
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
    signal: Option<JsValue>,
}

/// Runs a call as a promise of its own: it lives on when the handle it was started from is freed.
fn start(started: Result<Started, Error>) -> Promise {
    future_to_promise(async move {
        let Started { work, call, signal } = started.map_err(error::to_js)?;
        let stopped = async {
            let reason = aborted(signal).await;
            Err(call.stopped(Code::Aborted, "aborted by the caller").with_cause(Some(Rc::new(reason))))
        };
        first_of(Box::pin(stopped), work).await.map_err(error::to_js)
    })
}

/// Ends when the signal is aborted, with its reason; without a signal never.
async fn aborted(signal: Option<JsValue>) -> JsValue {
    let Some(signal) = signal else {
        return core::future::pending().await;
    };
    if !js::get(&signal, "aborted").is_ok_and(|aborted| aborted.is_truthy()) {
        let (promise, resolve) = js::deferred();
        let listener = Listener { signal: &signal, resolve };
        let _ = js::call(&signal, "addEventListener", &["abort".into(), listener.resolve.clone().into()]);
        let _ = JsFuture::from(promise).await;
    }
    js::get(&signal, "reason").unwrap_or_default()
}

/// Listens to a signal for as long as the call runs.
struct Listener<'a> {
    signal: &'a JsValue,
    resolve: Function,
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        let _ = js::call(self.signal, "removeEventListener", &["abort".into(), self.resolve.clone().into()]);
        // A promise that never settles would keep its callbacks, and with them memory, for good.
        let _ = self.resolve.call0(&JsValue::UNDEFINED);
    }
}

struct Callbacks {
    on_progress: Option<Function>,
    on_retry: Option<Function>,
}

impl Observer for Callbacks {
    fn progress(&self, progress: Progress) {
        if self.on_progress.is_some() {
            let event = Object::new();
            js::set(&event, "stage", &progress.stage.into());
            js::set(&event, "sent", &progress.sent.into());
            js::set(&event, "total", &progress.total.into());
            tell(self.on_progress.as_ref(), &event);
        }
    }

    fn retrying(&self, retrying: Retrying) {
        if self.on_retry.is_some() {
            let event = Object::new();
            js::set(&event, "stage", &retrying.stage.as_str().into());
            js::set(&event, "code", &retrying.code.as_str().into());
            if let Some(status) = retrying.status {
                js::set(&event, "status", &status.into());
            }
            js::set(&event, "attempt", &retrying.attempt.into());
            js::set(&event, "waitMs", &retrying.wait_ms.into());
            tell(self.on_retry.as_ref(), &event);
        }
    }
}

fn synced_to_js(synced: &Synced) -> JsValue {
    let result = Object::new();
    js::set(&result, "storagePath", &synced.storage_path.as_str().into());
    js::set(&result, "imageId", &synced.image_id.as_str().into());
    result.into()
}
