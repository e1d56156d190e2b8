//! JavaScript values become plain structs. `read.js` reads and checks them, and gives plain objects of checked fields.

use js_sys::{Array, Function};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use crate::config::Options;
use crate::error::Error;
use crate::host::js;
use crate::host::web::{Host, HostBytes};
use crate::image::meta::{Prepared, SyncRequest};
use crate::outbox::job::Limits;

#[wasm_bindgen(module = "/src/api/read.js")]
extern "C" {
    #[wasm_bindgen(js_name = options)]
    fn read_options(given: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = relayOptions)]
    fn read_relay_options(given: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = syncRequest)]
    fn read_sync_request(given: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = prepared)]
    fn read_prepared(given: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = signRequest)]
    fn read_sign_request(storage_path: &JsValue, ttl_seconds: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = signOptions)]
    fn read_sign_options(given: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = syncOptions)]
    fn read_sync_options(given: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = manyOptions)]
    fn read_many_options(given: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = envOptions)]
    fn read_env_options(given: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = list)]
    fn read_list(given: &JsValue, name: &str) -> JsValue;
    #[wasm_bindgen(js_name = outboxOptions)]
    fn read_outbox_options(given: &JsValue) -> JsValue;
}

/// What an outbox holds when nothing else is said: 1 GiB.
const DEFAULT_MAX_BYTES: f64 = 1_073_741_824.0;
/// As many streams as HTTP/2 servers usually take. Each upload under way needs memory, and running out of it is the end.
const MAX_UPLOADS: u32 = 100;
/// More jobs at once than browsers open connections for.
const MAX_CONCURRENCY: u32 = 16;

/// What goes with one call; `undefined` for what is not given.
pub(super) struct CallOptions {
    pub(super) signal: JsValue,
    pub(super) deadline_ms: Option<u32>,
    pub(super) on_progress: JsValue,
    pub(super) on_retry: JsValue,
}

/// The options of a sink, or of a relay.
pub(super) fn options(given: &JsValue, relay: bool) -> Result<(Options, Host), Error> {
    let read = if relay { read_relay_options(given) } else { read_options(given) };
    let fields = Fields::new(read, Error::option)?;
    let options = Options {
        url: fields.text("url"),
        api_key: fields.text("apiKey"),
        owner_user_id: fields.text("ownerUserId"),
        bucket: fields.text("bucket"),
        schema: fields.text("schema"),
        table: fields.text("table"),
        path_prefix: fields.text("pathPrefix"),
        max_retries: fields.number("maxRetries").map(|number| number as i32),
        initial_backoff_ms: fields.count("initialBackoffMs"),
        max_backoff_ms: fields.count("maxBackoffMs"),
        timeout_ms: fields.count("timeoutMs"),
        cache_control: fields.text("cacheControl"),
        require_image: fields.value("requireImage").is_truthy(),
        resumable_from: fields.number("resumableFrom"),
        chunk_size: fields.number("chunkSize"),
        allow_secret_key_in_browser: fields.value("dangerouslyAllowSecretKeyInBrowser").is_truthy(),
        relay,
    };
    Ok((options, Host { fetch: fields.function("fetch"), access_token: fields.function("accessToken") }))
}

/// One variable of an environment; anything but a text counts as not set.
pub(super) fn env(env: &JsValue, name: &str) -> Option<String> {
    js::text(env, name)
}

/// How an environment is read: whether it must have a URL and a key.
pub(super) fn env_options(given: &JsValue) -> Result<bool, Error> {
    Fields::new(read_env_options(given), Error::option).map(|fields| fields.value("required").is_truthy())
}

/// The request to sync an image.
pub(super) fn sync_request(given: &JsValue) -> Result<SyncRequest<HostBytes>, Error> {
    request(given, image)
}

/// The same where the image may be left out.
pub(super) fn promised_request(given: &JsValue) -> Result<SyncRequest<Option<HostBytes>>, Error> {
    request(given, |given| if given.is_undefined() { Ok(None) } else { image(given).map(Some) })
}

/// An image in its place and its row, as they were prepared.
pub(super) fn prepared(given: &JsValue) -> Result<Prepared, Error> {
    let fields = Fields::new(read_prepared(given), Error::field)?;
    let text = |name| fields.text(name).unwrap_or_default();
    Ok(Prepared {
        storage_path: text("storagePath"),
        image_id: text("imageId"),
        mime_type: text("mimeType"),
        row: text("row"),
    })
}

fn image(given: &JsValue) -> Result<HostBytes, Error> {
    HostBytes::new(given).map_err(|problem| Error::image(&problem))
}

fn request<B>(given: &JsValue, image: impl FnOnce(&JsValue) -> Result<B, Error>) -> Result<SyncRequest<B>, Error> {
    let fields = Fields::new(read_sync_request(given), Error::field)?;
    let image = image(&fields.value("image"))?;
    let text = |name| fields.text(name).unwrap_or_default();
    let count = |name| fields.count(name).unwrap_or_default();
    Ok(SyncRequest {
        date: text("date"),
        slug: text("slug"),
        seed: js::long(&fields.0, "seed"),
        image,
        ext: text("ext"),
        mime_type: text("mimeType"),
        prompt: text("prompt"),
        backend: text("backend"),
        model: text("model"),
        steps: count("steps"),
        width: count("width"),
        height: count("height"),
        latency_ms: count("latencyMs"),
        cost_usd_estimate: fields.text("costUsdEstimate"),
        sidecar: fields.text("sidecar"),
        image_id: fields.text("imageId"),
    })
}

/// A storage path and the seconds that a URL for it shall work.
pub(super) fn sign_request(storage_path: &JsValue, ttl_seconds: &JsValue) -> Result<(String, u32), Error> {
    let fields = Fields::new(read_sign_request(storage_path, ttl_seconds), Error::field)?;
    Ok((fields.text("storagePath").unwrap_or_default(), fields.count("ttlSeconds").unwrap_or_default()))
}

/// The options of a call that signs; the first is the name to save the image under, if it is to be saved.
pub(super) fn sign_options(given: &JsValue) -> Result<(Option<String>, CallOptions), Error> {
    let fields = Fields::new(read_sign_options(given), Error::option)?;
    Ok((fields.text("download"), CallOptions::new(fields)))
}

/// The options of a call that sends an image.
pub(super) fn sync_options(given: &JsValue) -> Result<CallOptions, Error> {
    Fields::new(read_sync_options(given), Error::option).map(CallOptions::new)
}

/// The options of a call that sends many images; the first is how many at once.
pub(super) fn many_options(given: &JsValue) -> Result<(u32, CallOptions), Error> {
    let fields = Fields::new(read_many_options(given), Error::option)?;
    Ok((fields.count("concurrency").unwrap_or(6).min(MAX_UPLOADS), CallOptions::new(fields)))
}

/// An array of anything.
pub(super) fn list(given: &JsValue, name: &str) -> Result<Array, Error> {
    Fields::new(read_list(given, name), Error::field).map(|fields| fields.0.unchecked_into())
}

impl CallOptions {
    fn new(fields: Fields) -> Self {
        Self {
            signal: fields.value("signal"),
            deadline_ms: fields.count("deadlineMs"),
            on_progress: fields.value("onProgress"),
            on_retry: fields.value("onRetry"),
        }
    }
}

/// The options of an outbox that the courier needs; `pkg/outbox.js` reads the others.
pub(super) fn outbox_options(given: &JsValue) -> Result<Limits, Error> {
    let fields = Fields::new(read_outbox_options(given), Error::option)?;
    Ok(Limits {
        concurrency: fields.count("concurrency").unwrap_or(3).min(MAX_CONCURRENCY),
        max_jobs: fields.count("maxJobs").unwrap_or(1000),
        max_bytes: fields.number("maxBytes").unwrap_or(DEFAULT_MAX_BYTES),
    })
}

/// Checked fields.
struct Fields(JsValue);

impl Fields {
    /// The error is `fault` of the field that `read.js` found fault with.
    fn new(read: JsValue, fault: fn(&str, &str) -> Error) -> Result<Self, Error> {
        match js::text(&read, "problem") {
            Some(problem) => Err(fault(&js::text(&read, "field").unwrap_or_default(), &problem)),
            None => Ok(Self(read)),
        }
    }

    /// The value; `undefined` when it is not given.
    fn value(&self, name: &str) -> JsValue {
        js::value(&self.0, name)
    }

    fn text(&self, name: &str) -> Option<String> {
        js::text(&self.0, name)
    }

    fn number(&self, name: &str) -> Option<f64> {
        js::number(&self.0, name)
    }

    fn function(&self, name: &str) -> Option<Function> {
        self.value(name).dyn_into().ok()
    }

    fn count(&self, name: &str) -> Option<u32> {
        self.number(name).map(|number| number as u32)
    }
}
