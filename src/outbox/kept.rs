//! The forms of a job's fields in its JSON text that are others than elsewhere.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::image::path::is_plain_name;
use crate::image::row::ImageMeta;
use crate::json;

/// A request as a job keeps it: what is JSON text in it is a text here, and so is the seed, so that no number is read and written
/// anew. The compiler tells of a field that is missing here.
#[derive(Deserialize, Serialize)]
#[serde(remote = "ImageMeta", rename_all = "camelCase")]
pub(super) struct Request {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
    #[serde(deserialize_with = "from_text", serialize_with = "as_text")]
    seed: i64,
    ext: String,
    mime_type: String,
    prompt: String,
    backend: String,
    model: String,
    steps: u32,
    width: u32,
    height: u32,
    latency_ms: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_usd_estimate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sidecar: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<String>,
}

fn as_text<S: Serializer>(seed: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&seed.to_string())
}

fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    String::deserialize(from)?.parse().map_err(|_| de::Error::custom("is no seed"))
}

/// What a job can be sent without must not keep it from being sent.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(T::deserialize(from).unwrap_or_default())
}

/// A name that leads to no other upload.
pub(super) fn plain_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    lenient(from).map(|id: Option<String>| id.filter(|id| is_plain_name(id)))
}

/// An error's [`Details`](crate::error::Details) as a job keeps them, or as 0.1.0 did, which kept less.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    message: String,
    stage: String,
    code: String,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    status: Option<u32>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    server_code: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u32>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    storage_path: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    image_id: Option<String>,
}

/// Why a job failed last, as a JSON object's text.
pub(super) fn error<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Details::deserialize(from).ok().map(|details| json::to_text(&details)))
}
