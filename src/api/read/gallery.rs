//! What `list` and `remove` take.

use js_sys::Object;
use serde::Deserialize;
use wasm_bindgen::JsValue;

use super::link::WantedLink;
use super::{CallOptions, Taken, is_none, list, text};
use crate::error::Error;
use crate::host::js;
use crate::json::names_of;
use crate::wire::list::Query;
use crate::wire::remove::ImageRef;

/// What a list takes, beside the options of every call.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListOptions {
    limit: Option<u32>,
    before: Option<String>,
    owner: Option<String>,
}

/// What is asked for, the names of own columns, and how the call goes.
pub(in crate::api) fn list_options(given: &JsValue, is_relay: bool) -> Result<(Query, CallOptions), Error> {
    let names: [&[&str]; 3] =
        [names_of::<ListOptions>(), names_of::<CallOptions>(), &["signal", "onRetry", "ids", "columns", "signedUrl"]];
    let without = ["download", "concurrency"];
    let nothing = Object::new();
    let given = if is_none(given) { &nothing } else { given };
    let taken = Taken::of(given, "list options", names.concat(), &without, Error::field)?;
    let ListOptions { limit, before, owner } = taken.read()?;
    let texts = |name: &str| {
        let texts = |given| list(&given, name)?.iter().map(|given| text(&given, name)).collect::<Result<Vec<_>, _>>();
        taken.value(name).map(texts).transpose()
    };
    let is_given = |name: &&str| taken.value(name).is_some();
    if let Some(name) = ["owner", "ids"].into_iter().find(is_given).filter(|_| is_relay) {
        return Err(Error::field(name, "is the signed-in user's to say: the Worker lists their own images"));
    }
    let (ids, columns) = (texts("ids")?, texts("columns")?.unwrap_or_default());
    let mut call = CallOptions::of(&taken)?;
    // They come with their links, unless it is said otherwise.
    if !is_given(&"signedUrl") {
        call.link = Some(WantedLink::default());
    }
    let link = call.link.as_ref().map(WantedLink::link);
    let thumbnails = call.thumbnail;
    let query = Query { limit, before, owner, ids, columns, link, thumbnails };
    query.check()?;
    Ok((query, call))
}

/// Which image is meant: by what `sync` and `list` give, so that other fields are left alone.
pub(in crate::api) fn image_ref(given: &JsValue) -> Result<ImageRef, Error> {
    if !given.is_object() {
        return Err(Error::field("images", "must be an object with imageId or storagePath, or an array of them"));
    }
    let field = |name: &str| match js::value(given, name) {
        none if none.is_undefined() || none.is_null() => Ok(None),
        given => text(&given, name).map(Some),
    };
    Ok(ImageRef { image_id: field("imageId")?, storage_path: field("storagePath")? })
}

/// The options of a call that removes images.
pub(in crate::api) fn remove_options(given: &JsValue) -> Result<CallOptions, Error> {
    CallOptions::read(given, &["download", "onProgress", "transform", "signedUrl", "thumbnail"])
}
