//! A page of images, out of the answer's own text: a sidecar may be of any depth, and a seed has all its digits.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::bindings::exports::imagen::cloud::sinks::{ListOptions, ListedImage, ListedImages};
use super::values::read_link;
use crate::error::Error;
use crate::sync::list::Links;
use crate::wire::list::{Page, Query};

/// A row of `imagen.images` as the database writes it, its seed as a text.
#[derive(Deserialize)]
struct Row {
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
    sidecar: Option<Box<RawValue>>,
}

pub(super) fn read_query(given: ListOptions) -> Result<Query, Error> {
    let ListOptions { limit, before, owner, ids, links, .. } = given;
    let link = links.then(|| read_link(given.ttl_seconds));
    let query = Query { limit, before, owner, ids, columns: Vec::new(), link, thumbnails: false };
    query.check().map(|()| query)
}

/// The images of a page; nothing if it is none.
pub(super) fn images(page: Page, links: Links) -> Option<ListedImages> {
    let rows: Vec<Row> = serde_json::from_str(&page.text).ok()?;
    let links = links.into_iter().chain(core::iter::repeat(None));
    let images = rows.into_iter().take(page.paths.len()).zip(links).map(|(row, link)| image(row, link));
    Some(ListedImages { images: images.collect::<Option<_>>()?, before: page.before })
}

fn image(row: Row, signed_url: Option<String>) -> Option<ListedImage> {
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
        signed_url,
    })
}
