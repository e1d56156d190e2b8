//! A page of images, out of the answer's own text: a sidecar may be of any depth, and a seed has all its digits.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::bindings::exports::imagen::cloud::sinks::{ListOptions, ListedImage, ListedImages};
use super::link;
use crate::error::Error;
use crate::sync::list::Links;
use crate::text::join;
use crate::wire::list::{Page, Query};

/// A row of `imagen.images` as the database writes it, its seed as a text.
#[derive(Deserialize)]
struct Row<'a> {
    id: String,
    owner_user_id: String,
    storage_path: String,
    created_at: String,
    prompt: String,
    prompt_hash: String,
    backend: String,
    model: Option<String>,
    seed: Option<String>,
    steps: Option<u32>,
    width: Option<u32>,
    height: Option<u32>,
    latency_ms: Option<u32>,
    cost_usd_estimate: Option<f64>,
    #[serde(borrow)]
    sidecar: Option<&'a RawValue>,
}

pub(super) fn read_query(given: ListOptions) -> Result<Query, Error> {
    let ListOptions { limit, before, owner, ids, columns, signed_url, thumbnail, .. } = given;
    let link = link::read_wanted(signed_url)?;
    let query = Query { limit, before, owner, ids, columns, link, thumbnails: thumbnail };
    query.check().map(|()| query)
}

/// The images of a page; nothing if it is none. Behind the links of all images stand those of their small pictures.
pub(super) fn images(page: Page, links: Links, query: &Query) -> Option<ListedImages> {
    let rows: Vec<&RawValue> = serde_json::from_str(&page.text).ok()?;
    let count = page.paths.len();
    let url = |at: usize| {
        let url = links.get(at)?.clone()?;
        Some(query.link.as_ref()?.saved(url))
    };
    let images = rows.into_iter().take(count).enumerate().map(|(at, row)| {
        let columns = columns(row.get(), &query.columns)?;
        let image = image(serde_json::from_str(row.get()).ok()?)?;
        Some(ListedImage { columns, signed_url: url(at), thumbnail_url: url(count + at), ..image })
    });
    Some(ListedImages { images: images.collect::<Option<_>>()?, before: page.before })
}

fn image(row: Row<'_>) -> Option<ListedImage> {
    Some(ListedImage {
        image_id: row.id,
        owner_user_id: row.owner_user_id,
        storage_path: row.storage_path,
        created_at: row.created_at,
        prompt: row.prompt,
        prompt_hash: row.prompt_hash,
        backend: row.backend,
        model: row.model,
        seed: row.seed.map(|seed| seed.parse()).transpose().ok()?,
        steps: row.steps,
        width: row.width,
        height: row.height,
        latency_ms: row.latency_ms,
        cost_usd_estimate: row.cost_usd_estimate,
        sidecar: row.sidecar.map(|sidecar| sidecar.get().to_owned()),
        columns: String::new(),
        signed_url: None,
        thumbnail_url: None,
    })
}

/// What a row has in these columns of the caller's own, as a JSON object's text. Their names are plain: the query was checked.
fn columns(row: &str, names: &[String]) -> Option<String> {
    if names.is_empty() {
        return Some("{}".to_owned());
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(row).ok()?;
    let own = members.into_iter().filter(|(name, _)| names.contains(name));
    let own: Vec<String> = own.map(|(name, value)| format!("\"{name}\":{}", value.get())).collect();
    Some(format!("{{{}}}", join(own, ',')))
}
