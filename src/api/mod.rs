//! What JavaScript calls. Thin: reads the arguments, starts the work, and makes values and errors of what comes back.

mod error;
#[cfg(feature = "gallery")]
mod gallery;
#[cfg(feature = "many")]
mod many;
#[cfg(feature = "outbox")]
mod outbox;
mod read;
#[cfg(feature = "relay")]
mod relay;

use core::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Function, Promise};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::config::{Config, Target};
use crate::error::{Cause, Error};
use crate::host::web::{Host, HostBytes, in_browser};
use crate::host::{js, time};
use crate::image::meta::SyncRequest;
use crate::image::path::StoragePath;
use crate::image::slug;
use crate::race::Racer;
use crate::sync::call::{self, Abort, Call, Observer, Progress, Reached, Retrying, Work};
use crate::sync::client::Client;
use crate::wire::sign;
use read::CallOptions;
use read::link::WantedLink;

/// A configured connection to a Supabase project. Safe to use for any number of calls at once.
#[wasm_bindgen]
pub struct Sink {
    client: Rc<Client<Host>>,
}

#[wasm_bindgen]
impl Sink {
    /// Checks the options; throws an `ImagenCloudError`. `draw` makes small pictures.
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue, draw: JsValue) -> Result<Sink, JsValue> {
        connect(&options, &draw, Target::Project).map(|client| Self { client }).map_err(error::to_js)
    }

    /// A sink from the environment's variables, or `undefined` where the URL or the key is missing and not `required`.
    #[wasm_bindgen(js_name = fromEnv)]
    pub fn from_env(env: JsValue, options: JsValue) -> Result<Option<Sink>, JsValue> {
        if !env.is_object() {
            return Err(error::to_js(Error::option("env", "must be an object of variables")));
        }
        let required = read::env_options(&options).map_err(error::to_js)?;
        let parse_json = |text: &str| js::parse_json(&text.into());
        let options = match Config::options_from_env(&|name| read::env(&env, name), &parse_json) {
            Err(missing) if required => return Err(error::to_js(missing)),
            Err(_) => return Ok(None),
            Ok(options) => options,
        };
        let config = Config::new(options, in_browser()).map_err(error::to_js)?;
        Ok(Some(Self { client: Rc::new(Client::new(config, Host::default())) }))
    }

    /// The owner of all rows; empty if none is set.
    #[wasm_bindgen(getter, js_name = ownerUserId)]
    pub fn owner_user_id(&self) -> String {
        self.client.owner().map(|owner| owner.id.clone()).unwrap_or_default()
    }

    /// The same as it was given.
    #[wasm_bindgen(getter, js_name = ownerAsGiven)]
    pub fn owner_as_given(&self) -> String {
        self.client.owner().map(|owner| owner.as_given.clone()).unwrap_or_default()
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

    /// Checks a request and fixes path, id and row; sends nothing. Resolves to `{ storagePath, imageId, mimeType, row }`.
    pub fn prepare(&self, request: JsValue) -> Promise {
        let client = self.client.clone();
        let request = read::promised_request(&request);
        promise(Box::pin(async move { client.prepare(request?).await.map(|prepared| to_js(&prepared)) }))
    }

    /// Inserts the row of an image that is in its place already. Resolves to `{ storagePath, imageId }`.
    pub fn insert(&self, prepared: JsValue, options: JsValue) -> Promise {
        let client = self.client.clone();
        let read = || Ok((read::prepared(&prepared)?, read::insert_options(&options)?));
        match read() {
            Err(error) => refuse(error),
            Ok((prepared, options)) => {
                let call = call(&options, 0);
                let work = async move { client.insert_prepared(prepared, &call).await.map(|synced| to_js(&synced)) };
                promise(Box::pin(work))
            }
        }
    }

    /// The same for many paths. Resolves to a URL each, or null for one that is missing.
    #[wasm_bindgen(js_name = signedUrls)]
    pub fn signed_urls(&self, storage_paths: JsValue, ttl_seconds: JsValue, options: JsValue) -> Promise {
        start_signed_urls(self.client.clone(), &storage_paths, &ttl_seconds, &options)
    }
}

/// `Sink.sync` without keeping a sink.
#[wasm_bindgen]
pub fn sync(sink: JsValue, request: JsValue, options: JsValue, draw: JsValue) -> Promise {
    start_sync(connect(&sink, &draw, Target::Project), &request, &options)
}

/// `Sink.signedUrl` without keeping a sink.
#[wasm_bindgen(js_name = signedUrl)]
pub fn signed_url(sink: JsValue, storage_path: JsValue, ttl_seconds: JsValue, options: JsValue) -> Promise {
    start_signed_url(connect(&sink, &JsValue::UNDEFINED, Target::Project), &storage_path, &ttl_seconds, &options)
}

/// A text as a part of a storage path.
#[wasm_bindgen]
pub fn slugify(text: JsValue) -> Result<String, JsValue> {
    read::text(&text, "text").map(|text| slug::slugify(&text)).map_err(error::to_js)
}

type Connected = Result<Rc<Client<Host>>, Error>;

fn connect(options: &JsValue, draw: &JsValue, target: Target) -> Connected {
    let (options, host) = read::options(options, draw, target)?;
    let config = Config::new(options, in_browser())?;
    Ok(Rc::new(Client::new(config, host)))
}

fn start_sync(client: Connected, request: &JsValue, options: &JsValue) -> Promise {
    let read = || {
        let (client, options) = (client?, read::sync_options(options)?);
        let call = call(&options, 0);
        Ok((client, read_request(request, &call, &options)?, call))
    };
    match read() {
        Err(error) => refuse(error),
        Ok((client, request, call)) => {
            promise(Box::pin(async move { client.sync(request, &call).await.map(|synced| to_js(&synced)) }))
        }
    }
}

/// Nothing of a call that is aborted already: to copy a large image takes a while.
fn read_request(request: &JsValue, call: &Call, options: &CallOptions) -> Result<SyncRequest<HostBytes>, Error> {
    match &options.signal {
        Some(signal) if time::is_aborted(&signal.0) => Err(call.aborted(signal)),
        _ => read::sync_request(request),
    }
}

fn start_signed_url(client: Connected, path: &JsValue, ttl_seconds: &JsValue, options: &JsValue) -> Promise {
    let read = || Ok((client?, read::sign_request(path, ttl_seconds)?, read::sign_options(options)?));
    match read() {
        Err(error) => refuse(error),
        Ok((client, (path, ttl_seconds), options)) => {
            let link = options.link(ttl_seconds);
            let is_thumbnail = options.thumbnail;
            let call = call(&options, 0);
            let work = async move {
                let path = StoragePath::parse(&path)?.meant(is_thumbnail);
                let url = client.signed_url(path, &link, &call).await?;
                Ok(link.saved(url).into())
            };
            promise(Box::pin(work))
        }
    }
}

fn start_signed_urls(client: Rc<Client<Host>>, paths: &JsValue, ttl_seconds: &JsValue, options: &JsValue) -> Promise {
    let read = || {
        let options = read::sign_options(options)?;
        let (paths, checked) = (read::list(paths, "storagePaths")?, Array::new());
        let mut seconds = 0;
        for given in paths.iter() {
            let (path, ttl_seconds) = read::sign_request(&given, ttl_seconds)?;
            sign::check(&StoragePath::parse(&path)?, &options.link(ttl_seconds))?;
            seconds = ttl_seconds;
            checked.push(&given);
        }
        Ok((checked, seconds, options))
    };
    match read() {
        Err(error) => refuse(error),
        // They stay on JavaScript's side, paths and URLs, until it is their turn.
        Ok((paths, ttl_seconds, options)) => {
            let link = options.link(ttl_seconds);
            let is_thumbnail = options.thumbnail;
            let call = call(&options, 0);
            let work = async move {
                let urls = Array::new();
                let each = |url: Option<String>| {
                    urls.push(&url.map_or(JsValue::NULL, |url| link.saved(url).into()));
                };
                let parse = |path: JsValue| StoragePath::parse(&path.as_string().unwrap_or_default()).ok();
                let path = |path: JsValue| parse(path).map(|path| path.meant(is_thumbnail));
                client.signed_urls(&mut paths.iter().filter_map(path), &link, &call, &each).await?;
                Ok(urls.into())
            };
            promise(Box::pin(work))
        }
    }
}

fn call(options: &CallOptions, pace_ms: i64) -> Call {
    let CallOptions { on_progress, on_retry, deadline_ms, .. } = options;
    let (on_progress, on_retry) = (on_progress.clone(), on_retry.clone());
    let callbacks = Callbacks { on_progress, on_retry, pace_ms, told: Cell::new(None) };
    let abort = options.signal.clone().map(|signal| Box::new(signal) as Box<dyn Abort>);
    let link = options.link.as_ref().map(WantedLink::link);
    Call::new(Rc::new(callbacks), call::Options { deadline_ms: *deadline_ms, abort, link, owner_only: false })
}

/// A caller's `AbortSignal`.
#[derive(Clone)]
struct Signal(JsValue);

impl Abort for Signal {
    fn aborted(&self) -> Racer<'_, ()> {
        Box::pin(time::abortion_of(&self.0))
    }

    fn reason(&self) -> Option<Cause> {
        Some(Rc::new(js::value(&self.0, "reason")))
    }
}

/// A promise of its own for work under way: it lives on when the handle it was started from is freed. Not generic, so
/// that there is one in the binary.
fn promise(work: Work<'static, JsValue>) -> Promise {
    future_to_promise(async move { work.await.map_err(error::to_js) })
}

/// An outcome each, or what a framework threw.
#[cfg(any(feature = "gallery", feature = "many"))]
fn outcomes_of(outcomes: Vec<Result<impl Serialize, Error>>) -> Result<JsValue, Error> {
    let called_off =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).find(|error| error::is_called_off(error));
    if let Some(error) = called_off {
        return Err(error.clone());
    }
    let outcome = |outcome: Result<_, Error>| match outcome {
        Ok(value) => js::outcome(&to_js(&value), JsValue::UNDEFINED),
        Err(error) => js::outcome(&JsValue::UNDEFINED, error::to_js(error)),
    };
    Ok(outcomes.into_iter().map(outcome).collect::<Array>().into())
}

fn refuse(error: Error) -> Promise {
    Promise::reject(&error::to_js(error))
}

/// The caller's callbacks.
struct Callbacks {
    on_progress: Option<Function>,
    on_retry: Option<Function>,
    /// What lies between two events of one stage at least. A host's own events of one request are paced already.
    pace_ms: i64,
    /// The last event: its stage and when it was.
    told: Cell<Option<(Reached, i64)>>,
}

impl Observer for Callbacks {
    fn progress(&self, progress: Progress) {
        if !self.watches() {
            return;
        }
        let now_ms = js::now_ms();
        let is_soon =
            |(stage, told_ms): (Reached, i64)| stage == progress.stage && (now_ms - told_ms).abs() < self.pace_ms;
        if self.told.get().is_some_and(is_soon) {
            return;
        }
        self.told.set(Some((progress.stage, now_ms)));
        tell(self.on_progress.as_ref(), &progress);
    }

    fn watches(&self) -> bool {
        self.on_progress.is_some()
    }

    fn retrying(&self, retrying: Retrying) {
        tell(self.on_retry.as_ref(), &retrying);
    }
}

fn tell(callback: Option<&Function>, event: &impl Serialize) {
    if let Some(callback) = callback {
        js::tell(callback, to_js(event));
    }
}

/// A result, an event or an error's details as JavaScript sees it.
fn to_js(value: &impl Serialize) -> JsValue {
    js::written(value)
}
