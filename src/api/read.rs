//! JavaScript values become plain structs: `read.js` takes each field once, and serde reads what was taken.

#[cfg(feature = "gallery")]
pub(super) mod gallery;
pub(super) mod link;

use js_sys::{Array, Function, Number};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::Signal;
use crate::config::{NOT_OF_A_RELAY, Options, Target};
use crate::error::Error;
use crate::host::js;
use crate::host::web::{Host, HostBytes};
use crate::image::meta::{Prepared, SyncRequest};
use crate::image::row::ImageMeta;
use crate::image::thumbnail::Thumbnail;
use crate::json::{Fault, Json, from_one, names_of};
#[cfg(feature = "outbox")]
use crate::outbox::job::Limits;
use crate::wire::link::{DEFAULT_TTL_SECONDS, Link, Transform};
use link::WantedLink;

#[wasm_bindgen(module = "/src/api/read.js")]
extern "C" {
    /// The values of the names, or a fault.
    fn take(given: &JsValue, what: &str, names: &str) -> JsValue;
    /// The members of an array, or a fault.
    #[wasm_bindgen(js_name = list)]
    fn take_list(given: &JsValue, name: &str) -> JsValue;
    /// What is wrong with a text.
    #[wasm_bindgen(js_name = problemOf)]
    fn problem_of(text: &JsValue) -> Option<String>;
}

/// What an outbox holds when nothing else is said: 1 GiB.
#[cfg(feature = "outbox")]
const DEFAULT_MAX_BYTES: f64 = 1_073_741_824.0;
/// As many streams as HTTP/2 servers usually take. Each upload under way needs memory, and running out of it is the end.
#[cfg(any(feature = "gallery", feature = "many"))]
const MAX_UPLOADS: u32 = 100;
/// More jobs at once than browsers open connections for.
#[cfg(feature = "outbox")]
const MAX_CONCURRENCY: u32 = 16;
#[cfg(feature = "outbox")]
const DEFAULT_CONCURRENCY: u32 = 12;
/// What a slow line takes some seconds for, and a quick one as long as an answer: more at once makes neither quicker.
#[cfg(feature = "outbox")]
const LINE_BYTES: u64 = 2_000_000;
/// Up to here a number is exact.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// What goes with one call.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CallOptions {
    pub(super) deadline_ms: Option<u32>,
    #[serde(deserialize_with = "download")]
    pub(super) download: Option<String>,
    /// Whether the small picture beside the image is meant.
    pub(super) thumbnail: bool,
    #[serde(deserialize_with = "from_one")]
    concurrency: Option<u32>,
    /// How the picture is made smaller on its way.
    #[serde(skip)]
    pub(super) transform: Option<Transform>,
    /// The link that comes with an image.
    #[serde(skip)]
    pub(super) link: Option<WantedLink>,
    /// These stay JavaScript's.
    #[serde(skip)]
    pub(super) signal: Option<Signal>,
    #[serde(skip)]
    pub(super) on_progress: Option<Function>,
    #[serde(skip)]
    pub(super) on_retry: Option<Function>,
}

/// How an environment is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EnvOptions {
    required: bool,
}

/// The options of an outbox; `pkg/outbox.js` knows what to do with some of them.
#[cfg(feature = "outbox")]
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OutboxOptions {
    #[serde(deserialize_with = "from_one")]
    concurrency: Option<u32>,
    #[serde(deserialize_with = "from_one")]
    max_jobs: Option<u32>,
    max_bytes: Option<f64>,
    #[serde(rename = "automatic")]
    _automatic: bool,
}

/// The name to save under: an empty one is the object's own. Nothing if it is not to be saved.
fn download<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    struct Name;
    impl Visitor<'_> for Name {
        type Value = Option<String>;

        fn expecting(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            to.write_str("true, false or a string")
        }

        fn visit_bool<E>(self, is_wanted: bool) -> Result<Option<String>, E> {
            Ok(is_wanted.then(String::new))
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<String>, E> {
            Ok(Some(name.to_owned()))
        }
    }
    from.deserialize_any(Name)
}

/// The options of a sink, or of a relay.
pub(super) fn options(given: &JsValue, draw: &JsValue, target: Target) -> Result<(Options, Host), Error> {
    let without: &[&str] = if target.is_project() { &[] } else { &NOT_OF_A_RELAY };
    let taken = Taken::new::<Options>(
        given,
        "options",
        &["accessToken", "fetch", "onEvent", "thumbnail"],
        without,
        Error::option,
    )?;
    let (fetch, access_token) = (taken.function("fetch")?, taken.function("accessToken")?);
    let on_event = taken.function("onEvent")?;
    let host = Host { fetch, access_token, on_event, draw: draw.clone().dyn_into().ok(), ..Host::default() };
    if !target.is_project() && host.access_token.is_none() {
        return Err(Error::option("accessToken", "is missing"));
    }
    let as_user = host.access_token.is_some();
    let thumbnail = taken.value("thumbnail").as_ref().map(thumbnail).transpose()?;
    Ok((Options { target, as_user, thumbnail, ..taken.read()? }, host))
}

fn thumbnail(given: &JsValue) -> Result<Thumbnail, Error> {
    let fault: FaultOf = |name, problem| match name {
        "thumbnail" => Error::option(name, problem),
        _ => Error::option(&format!("thumbnail.{name}"), problem),
    };
    Taken::new::<Thumbnail>(given, "thumbnail", &[], &[], fault)?.read()
}

/// One variable of an environment; anything but a text counts as not set.
pub(super) fn env(env: &JsValue, name: &str) -> Option<String> {
    js::text(env, name)
}

/// How an environment is read: whether it must have a URL and a key.
pub(super) fn env_options(given: &JsValue) -> Result<bool, Error> {
    if is_none(given) {
        return Ok(false);
    }
    let options: EnvOptions = Taken::new::<EnvOptions>(given, "options", &[], &[], Error::option)?.read()?;
    Ok(options.required)
}

/// The request to sync an image.
pub(super) fn sync_request(given: &JsValue) -> Result<SyncRequest<HostBytes>, Error> {
    let (meta, given) = request(given)?;
    Ok(SyncRequest { meta, image: image(&given.unwrap_or_default())? })
}

/// The same where the image may be left out.
pub(super) fn promised_request(given: &JsValue) -> Result<SyncRequest<Option<HostBytes>>, Error> {
    let (meta, given) = request(given)?;
    Ok(SyncRequest { meta, image: given.as_ref().map(image).transpose()? })
}

/// What is said of an image, and what was given as its bytes.
fn request(given: &JsValue) -> Result<(ImageMeta, Option<JsValue>), Error> {
    let taken = Taken::new::<ImageMeta>(given, "request", &["image"], &[], Error::field)?;
    let mut meta: ImageMeta = taken.read()?;
    // A dot before an ending is what people write.
    if meta.ext.starts_with('.') {
        meta.ext.remove(0);
    }
    Ok((meta, taken.value("image")))
}

fn image(given: &JsValue) -> Result<HostBytes, Error> {
    HostBytes::new(given).map_err(|problem| Error::image(&problem))
}

/// An image in its place and its row, as they were prepared.
pub(super) fn prepared(given: &JsValue) -> Result<Prepared, Error> {
    Taken::new::<Prepared>(given, "prepared", &[], &[], Error::field)?.read()
}

/// A text that is an argument by itself.
pub(super) fn text(given: &JsValue, name: &str) -> Result<String, Error> {
    let at = |problem: &str| Error::field(name, problem);
    match problem_of(given) {
        Some(problem) => Err(at(&problem)),
        None => given.as_string().ok_or_else(|| at(if is_none(given) { "is missing" } else { "must be a string" })),
    }
}

/// A storage path and the seconds that a URL for it shall work.
pub(super) fn sign_request(storage_path: &JsValue, ttl_seconds: &JsValue) -> Result<(String, u32), Error> {
    let path = text(storage_path, "storagePath")?;
    let seconds = Option::<i32>::deserialize(&tree(ttl_seconds));
    let seconds = seconds.map_err(|fault| Error::field("ttlSeconds", &fault.problem))?;
    Ok((path, seconds.filter(|seconds| *seconds > 0).map_or(DEFAULT_TTL_SECONDS, i32::unsigned_abs)))
}

/// The options of a call that signs.
pub(super) fn sign_options(given: &JsValue) -> Result<CallOptions, Error> {
    CallOptions::read(given, &["onProgress", "concurrency", "signedUrl"])
}

/// The options of a call that sends an image.
pub(super) fn sync_options(given: &JsValue) -> Result<CallOptions, Error> {
    CallOptions::read(given, &["download", "concurrency", "transform", "thumbnail"])
}

/// The options of a call that inserts a row.
pub(super) fn insert_options(given: &JsValue) -> Result<CallOptions, Error> {
    CallOptions::read(given, &["download", "concurrency", "transform", "signedUrl", "thumbnail"])
}

/// The options of a call that sends many images.
#[cfg(feature = "many")]
pub(super) fn many_options(given: &JsValue) -> Result<CallOptions, Error> {
    CallOptions::read(given, &["download", "transform", "thumbnail"])
}

impl CallOptions {
    /// Some of them are of no use to some calls.
    fn read(given: &JsValue, without: &[&str]) -> Result<Self, Error> {
        if is_none(given) {
            return Ok(Self::default());
        }
        let handles = ["signal", "onProgress", "onRetry", "transform", "signedUrl"];
        Self::of(&Taken::new::<Self>(given, "call options", &handles, without, Error::option)?)
    }

    fn of(taken: &Taken) -> Result<Self, Error> {
        let signal = taken.value("signal").map(signal).transpose()?;
        let (on_progress, on_retry) = (taken.function("onProgress")?, taken.function("onRetry")?);
        let (transform, link) = (link::transform(taken)?, link::wanted_link(taken)?);
        Ok(Self { signal, on_progress, on_retry, transform, link, ..taken.read()? })
    }

    /// The link that a call is for.
    pub(super) fn link(&self, expires_in: u32) -> Link {
        Link { expires_in, transform: self.transform.clone(), download: self.download.clone() }
    }

    /// How many images at once.
    #[cfg(any(feature = "gallery", feature = "many"))]
    pub(super) fn concurrency(&self) -> u32 {
        self.concurrency.unwrap_or(6).min(MAX_UPLOADS)
    }
}

fn signal(given: JsValue) -> Result<Signal, Error> {
    let is_signal =
        js::value(&given, "aborted").as_bool().is_some() && js::value(&given, "addEventListener").is_function();
    if is_signal { Ok(Signal(given)) } else { Err(Error::option("signal", "must be an AbortSignal")) }
}

/// An array of anything.
pub(super) fn list(given: &JsValue, name: &str) -> Result<Array, Error> {
    sound(take_list(given, name), &[], Error::field)
}

/// The options of an outbox that the courier needs.
#[cfg(feature = "outbox")]
pub(super) fn outbox_options(given: &JsValue) -> Result<Limits, Error> {
    let taken = Taken::new::<OutboxOptions>(given, "outbox options", &["serviceWorker"], &[], Error::option)?;
    let options: OutboxOptions = taken.read()?;
    let max_bytes = options.max_bytes.unwrap_or(DEFAULT_MAX_BYTES);
    if max_bytes.is_nan() || max_bytes < 1.0 {
        return Err(Error::option("maxBytes", "must be a number, 1 or more"));
    }
    let is_given = options.concurrency.is_some();
    Ok(Limits {
        concurrency: options.concurrency.unwrap_or(DEFAULT_CONCURRENCY).min(MAX_CONCURRENCY),
        line_bytes: if is_given { None } else { Some(LINE_BYTES) },
        max_jobs: options.max_jobs.unwrap_or(1000),
        max_bytes: max_bytes as u64,
    })
}

/// Whether a caller has left it out.
fn is_none(given: &JsValue) -> bool {
    given.is_undefined() || given.is_null()
}

type FaultOf = fn(&str, &str) -> Error;

/// The fields of an object that a caller passed, each taken once.
struct Taken {
    names: Vec<&'static str>,
    /// The number whose bits say which are given, and the values.
    values: Array,
    given: u64,
    fault: FaultOf,
}

impl Taken {
    /// Knows the fields of `T` and `handles`, which stay JavaScript's, but not those in `without`.
    fn new<'de, T: Deserialize<'de>>(
        given: &JsValue,
        what: &str,
        handles: &[&'static str],
        without: &[&str],
        fault: FaultOf,
    ) -> Result<Self, Error> {
        Self::of(given, what, [names_of::<T>(), handles].concat(), without, fault)
    }

    fn of(
        given: &JsValue,
        what: &str,
        mut names: Vec<&'static str>,
        without: &[&str],
        fault: FaultOf,
    ) -> Result<Self, Error> {
        names.retain(|name| !without.contains(name));
        let values = sound(take(given, what, &names.join(",")), &names, fault)?;
        let given = values.get(0).as_f64().unwrap_or_default() as u64;
        Ok(Self { names, values, given, fault })
    }

    /// Nothing where it is not given: to ask for it would be a call.
    fn value(&self, name: &str) -> Option<JsValue> {
        let at = self.names.iter().position(|known| *known == name)?;
        (self.given >> at & 1 == 1).then(|| self.values.get(at as u32 + 1))
    }

    fn function(&self, name: &str) -> Result<Option<Function>, Error> {
        let function = |given: JsValue| given.dyn_into().map_err(|_| (self.fault)(name, "must be a function"));
        self.value(name).map(function).transpose()
    }

    fn read<T: de::DeserializeOwned>(&self) -> Result<T, Error> {
        let object = self.tree(names_of::<T>());
        T::deserialize(&object).map_err(|Fault { field, problem }| (self.fault)(&field, &problem))
    }

    fn tree(&self, names: &[&str]) -> Json {
        let member = |name: &&'static str| Some(((*name).to_owned(), tree(&self.value(name)?)));
        Json::Object(self.names.iter().filter(|name| names.contains(name)).filter_map(member).collect())
    }
}

/// The list that `read.js` gives, or what it found fault with.
fn sound(taken: JsValue, known: &[&str], fault: FaultOf) -> Result<Array, Error> {
    taken.dyn_into::<Array>().map_err(|found| {
        let field = js::text(&found, "field").unwrap_or_default();
        let problem = js::text(&found, "problem").unwrap_or_else(|| Fault::unknown(&field, known).problem);
        fault(&field, &problem)
    })
}

/// A value of one field.
fn tree(value: &JsValue) -> Json {
    if let Some(text) = value.as_string() {
        Json::Text(text)
    } else if let Some(number) = value.as_f64() {
        match number.fract() == 0.0 && number.abs() <= MAX_EXACT {
            true => Json::Number(number),
            false => Json::Decimal(number, written(value)),
        }
    } else if let Some(flag) = value.as_bool() {
        Json::Bool(flag)
    } else if value.is_null() || value.is_undefined() {
        Json::Null
    } else if value.is_bigint() {
        Json::Integer(i128::try_from(value.clone()).unwrap_or(i128::MAX))
    } else {
        Json::Foreign
    }
}

/// A number as the host writes it.
fn written(number: &JsValue) -> String {
    number.unchecked_ref::<Number>().to_string_with_radix(10).map(String::from).unwrap_or_default()
}
