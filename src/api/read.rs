//! JavaScript values become plain structs. Every field is read once, and checked for what Rust's types can't hold:
//! unknown names, lone surrogates, numbers out of range.

use js_sys::{Array, Function, JSON, JsString, Object};
use wasm_bindgen::{JsCast, JsValue};

use crate::config::{OPTION_NAMES, Options};
use crate::error::Error;
use crate::outbox::Limits;
use crate::platform::bytes::HostBytes;
use crate::platform::host::Host;
use crate::platform::js;
use crate::request::{FIELD_NAMES, SyncRequest};
use crate::text::nearest;

/// The largest number whose neighbours a `number` still tells apart.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
/// How deep a sidecar may be nested; a cycle is deeper.
const SIDECAR_DEPTH: u32 = 100;
/// What a signed URL is valid for when nothing else is said.
const DEFAULT_TTL_SECONDS: u32 = 3600;

/// What an outbox holds when nothing else is said: 1 GiB.
const DEFAULT_MAX_BYTES: f64 = 1_073_741_824.0;
/// More jobs at once than browsers open connections for.
const MAX_CONCURRENCY: u32 = 16;

/// What goes with one call.
#[derive(Default)]
pub(super) struct CallOptions {
    pub(super) signal: Option<JsValue>,
    pub(super) deadline_ms: Option<u32>,
    pub(super) on_progress: Option<Function>,
    pub(super) on_retry: Option<Function>,
}

/// The options of a sink.
pub(super) fn options(value: &JsValue) -> Result<(Options, Host), Error> {
    let fields = Fields::new(value, "options", &OPTION_NAMES, Error::option)?;
    let options = Options {
        url: fields.text("url")?,
        api_key: fields.text("apiKey")?,
        owner_user_id: fields.text("ownerUserId")?,
        bucket: fields.text("bucket")?,
        schema: fields.text("schema")?,
        table: fields.text("table")?,
        path_prefix: fields.text("pathPrefix")?,
        max_retries: fields.integer("maxRetries", i32::MIN)?,
        initial_backoff_ms: fields.count("initialBackoffMs")?,
        max_backoff_ms: fields.count("maxBackoffMs")?,
        timeout_ms: fields.at_least_one("timeoutMs")?,
        cache_control: fields.text("cacheControl")?,
        require_image: fields.flag("requireImage")?,
        resumable_from: fields.at_least_one("resumableFrom")?.map(f64::from),
        chunk_size: fields.at_least_one("chunkSize")?.map(f64::from),
        allow_secret_key_in_browser: fields.flag("dangerouslyAllowSecretKeyInBrowser")?,
    };
    let host = Host { fetch: fields.function("fetch")?, access_token: fields.function("accessToken")? };
    Ok((options, host))
}

/// One variable of an environment; anything but a text counts as not set.
pub(super) fn env(env: &JsValue, name: &str) -> Option<String> {
    js::get(env, name).ok()?.as_string()
}

/// The request to sync an image.
pub(super) fn sync_request(value: &JsValue) -> Result<SyncRequest<HostBytes>, Error> {
    let fields = Fields::new(value, "request", &FIELD_NAMES, Error::field)?;
    let count = |name| fields.count(name).map(Option::unwrap_or_default);
    let text = |name| fields.text(name).map(Option::unwrap_or_default);
    let required = |name| fields.text(name)?.ok_or_else(|| Error::field(name, "is missing"));
    Ok(SyncRequest {
        date: text("date")?,
        slug: text("slug")?,
        seed: seed(&fields)?,
        ext: text("ext")?,
        mime_type: text("mimeType")?,
        prompt: required("prompt")?,
        backend: required("backend")?,
        model: text("model")?,
        steps: count("steps")?,
        width: count("width")?,
        height: count("height")?,
        latency_ms: count("latencyMs")?,
        cost_usd_estimate: cost(&fields)?,
        sidecar: sidecar(&fields)?,
        image_id: fields.text("imageId")?,
        image: HostBytes::new(&fields.get("image")?).map_err(|problem| Error::image(&problem))?,
    })
}

/// The options of a call that only asks.
pub(super) const CALL_OPTIONS: [&str; 3] = ["signal", "deadlineMs", "onRetry"];
/// The options of a call that sends an image.
pub(super) const SYNC_OPTIONS: [&str; 4] = ["signal", "deadlineMs", "onRetry", "onProgress"];

/// The options of one call, of those that are `known`.
pub(super) fn call_options(value: &JsValue, known: &[&str]) -> Result<CallOptions, Error> {
    if value.is_undefined() || value.is_null() {
        return Ok(CallOptions::default());
    }
    let fields = Fields::new(value, "call options", known, Error::option)?;
    let signal = fields.given("signal")?;
    if signal.as_ref().is_some_and(|signal| !is_signal(signal)) {
        return Err(Error::option("signal", "must be an AbortSignal"));
    }
    Ok(CallOptions {
        signal,
        deadline_ms: fields.count("deadlineMs")?,
        on_progress: fields.function("onProgress")?,
        on_retry: fields.function("onRetry")?,
    })
}

/// The options of an outbox that the courier needs; `pkg/outbox.js` reads the others.
pub(super) fn outbox_options(value: &JsValue) -> Result<Limits, Error> {
    let known = ["concurrency", "maxJobs", "maxBytes", "automatic", "serviceWorker"];
    let fields = Fields::new(value, "outbox options", &known, Error::option)?;
    fields.flag("automatic")?;
    Ok(Limits {
        concurrency: fields.at_least_one("concurrency")?.unwrap_or(3).min(MAX_CONCURRENCY),
        max_jobs: fields.at_least_one("maxJobs")?.unwrap_or(1000),
        max_bytes: match fields.given("maxBytes")? {
            None => DEFAULT_MAX_BYTES,
            Some(value) => value
                .as_f64()
                .filter(|bytes| *bytes >= 1.0)
                .ok_or_else(|| Error::option("maxBytes", "must be a number, 1 or more"))?,
        },
    })
}

/// A storage path from outside.
pub(super) fn storage_path(value: &JsValue) -> Result<String, Error> {
    well_formed(value).map_err(|problem| Error::field("storagePath", problem))
}

/// Seconds; an hour for nothing, zero and less.
pub(super) fn ttl_seconds(value: &JsValue) -> Result<u32, Error> {
    if value.is_undefined() || value.is_null() {
        return Ok(DEFAULT_TTL_SECONDS);
    }
    let problem = || Error::field("ttlSeconds", "must be a whole number up to 2147483647");
    let ttl = value.as_f64().filter(|ttl| ttl.fract() == 0.0 && *ttl <= f64::from(i32::MAX)).ok_or_else(problem)?;
    Ok(if ttl <= 0.0 { DEFAULT_TTL_SECONDS } else { ttl as u32 })
}

fn is_signal(value: &JsValue) -> bool {
    js::get(value, "aborted").is_ok_and(|aborted| aborted.as_bool().is_some())
        && js::get(value, "addEventListener").is_ok_and(|method| method.is_function())
}

fn seed(fields: &Fields) -> Result<i64, Error> {
    let value = fields.given("seed")?.ok_or_else(|| Error::field("seed", "is missing"))?;
    if value.is_bigint() {
        return i64::try_from(value).map_err(|_| Error::field("seed", "does not fit in 64 bits"));
    }
    match value.as_f64() {
        Some(number) if number.fract() != 0.0 || !number.is_finite() => {
            Err(Error::field("seed", "must be a whole number or a bigint"))
        }
        Some(number) if number.abs() > MAX_SAFE_INTEGER => {
            Err(Error::field("seed", "a number past 2^53 is not exact: pass a bigint"))
        }
        Some(number) => Ok(number as i64),
        None => Err(Error::field("seed", "must be a whole number or a bigint")),
    }
}

fn cost(fields: &Fields) -> Result<Option<String>, Error> {
    let name = "costUsdEstimate";
    let Some(value) = fields.given(name)? else {
        return Ok(None);
    };
    if !value.as_f64().is_some_and(|cost| cost.is_finite() && cost >= 0.0) {
        return Err(Error::field(name, "must be a finite number, 0 or more"));
    }
    stringify(&value).map(Some).map_err(|problem| Error::field(name, &problem))
}

fn sidecar(fields: &Fields) -> Result<Option<String>, Error> {
    let name = "sidecar";
    let Some(value) = fields.given(name)? else {
        return Ok(None);
    };
    if !is_plain_object(&value) {
        return Err(Error::field(name, "must be an object of JSON values"));
    }
    check_json(&value, name, SIDECAR_DEPTH)?;
    stringify(&value).map(Some).map_err(|problem| Error::field(name, &problem))
}

fn stringify(value: &JsValue) -> Result<String, String> {
    JSON::stringify(value).map(String::from).map_err(|thrown| js::message_of(&thrown))
}

/// Refuses what JSON, or PostgreSQL's jsonb, can't hold; `path` is where the value lies.
fn check_json(value: &JsValue, path: &str, depth: u32) -> Result<(), Error> {
    let fault = |problem: &str| Err(Error::field(path, problem));
    if value.is_null() || value.as_bool().is_some() {
        return Ok(());
    }
    if let Some(number) = value.as_f64() {
        return if number.is_finite() { Ok(()) } else { fault("is a number that JSON does not know") };
    }
    if value.is_string() {
        return well_formed(value).map(|_| ()).or_else(fault);
    }
    if depth == 0 {
        return fault("is nested too deeply, or holds itself");
    }
    if let Some(array) = value.dyn_ref::<Array>() {
        return (0..array.length())
            .try_for_each(|index| check_json(&array.get(index), &format!("{path}[{index}]"), depth - 1));
    }
    if !is_plain_object(value) {
        return fault("is no JSON value");
    }
    let object: &Object = value.unchecked_ref();
    for key in Object::keys(object).iter() {
        let name = well_formed(&key).map_err(|problem| Error::field(path, &format!("a key {problem}")))?;
        let path = format!("{path}.{name}");
        let member = js::get(value, &name).map_err(|thrown| Error::field(&path, &js::message_of(&thrown)))?;
        // As JSON.stringify: a member without a value is none.
        if !member.is_undefined() {
            check_json(&member, &path, depth - 1)?;
        }
    }
    Ok(())
}

/// Neither a class of its own (a Map, a Date) nor something that writes its own JSON.
fn is_plain_object(value: &JsValue) -> bool {
    if !value.is_object() || Array::is_array(value) || js::get(value, "toJSON").is_ok_and(|own| own.is_function()) {
        return false;
    }
    let object: &Object = value.unchecked_ref();
    let prototype = js_sys::Reflect::get_prototype_of(object).ok();
    // The prototype of a plain object, in any realm, has no prototype itself.
    prototype.is_some_and(|first| {
        let first: &JsValue = first.as_ref();
        first.is_null()
            || js_sys::Reflect::get_prototype_of(first.unchecked_ref()).is_ok_and(|next| JsValue::from(next).is_null())
    })
}

/// A text that UTF-8 and PostgreSQL can hold.
fn well_formed(value: &JsValue) -> Result<String, &'static str> {
    let text = value.dyn_ref::<JsString>().ok_or("must be a string")?;
    if !text.is_valid_utf16() {
        return Err("has half of a surrogate pair");
    }
    let text = String::from(text);
    if text.contains('\0') {
        return Err("has a NUL character");
    }
    Ok(text)
}

/// An object whose names are all known.
struct Fields<'a> {
    object: &'a JsValue,
    fault: fn(&str, &str) -> Error,
}

impl<'a> Fields<'a> {
    fn new(object: &'a JsValue, what: &str, known: &[&str], fault: fn(&str, &str) -> Error) -> Result<Self, Error> {
        if !object.is_object() || Array::is_array(object) {
            return Err(fault(what, "must be an object"));
        }
        for name in Object::keys(object.unchecked_ref::<Object>()).iter().filter_map(|name| name.as_string()) {
            if !known.contains(&name.as_str()) {
                let meant = nearest(&name, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                return Err(fault(&name, &format!("is unknown{meant}")));
            }
        }
        Ok(Self { object, fault })
    }

    /// The value, `undefined` when it was left out.
    fn get(&self, name: &str) -> Result<JsValue, Error> {
        js::get(self.object, name).map_err(|thrown| (self.fault)(name, &js::message_of(&thrown)))
    }

    /// The value, if it is neither `undefined` nor `null`.
    fn given(&self, name: &str) -> Result<Option<JsValue>, Error> {
        Ok(Some(self.get(name)?).filter(|value| !value.is_undefined() && !value.is_null()))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let text = self.given(name)?.map(|value| well_formed(&value)).transpose();
        text.map_err(|problem| (self.fault)(name, problem))
    }

    /// A whole number that an `int` column and a timer can hold.
    fn integer(&self, name: &str, least: i32) -> Result<Option<i32>, Error> {
        let Some(value) = self.given(name)? else {
            return Ok(None);
        };
        let range = f64::from(least)..=f64::from(i32::MAX);
        match value.as_f64().filter(|number| number.fract() == 0.0 && range.contains(number)) {
            Some(number) => Ok(Some(number as i32)),
            None => Err((self.fault)(name, &format!("must be a whole number from {least} to {}", i32::MAX))),
        }
    }

    fn count(&self, name: &str) -> Result<Option<u32>, Error> {
        Ok(self.integer(name, 0)?.map(i32::unsigned_abs))
    }

    fn at_least_one(&self, name: &str) -> Result<Option<u32>, Error> {
        Ok(self.integer(name, 1)?.map(i32::unsigned_abs))
    }

    fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.given(name)? {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| (self.fault)(name, "must be true or false")),
        }
    }

    fn function(&self, name: &str) -> Result<Option<Function>, Error> {
        let function = self.given(name)?.map(|value| value.dyn_into::<Function>()).transpose();
        function.map_err(|_| (self.fault)(name, "must be a function"))
    }
}
