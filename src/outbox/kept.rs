//! The forms of a job's fields in its JSON text that are others than elsewhere.

use serde::{Deserialize, Deserializer, Serialize};

use crate::image::path::is_plain_name;
use crate::image::row::ImageMeta;
use crate::json::{self, Json, lenient};

/// The request that a job keeps: as a caller gives it, but for these numbers, which are texts there, so that none is read and
/// written anew.
pub(super) fn request(kept: &Json) -> Option<ImageMeta> {
    let Json::Object(members) = kept else { return None };
    let given = |(name, value): &(String, Json)| {
        let value = match (name.as_str(), value) {
            ("seed", Json::Text(digits)) => Json::Integer(digits.parse::<i64>().ok()?.into()),
            ("costUsdEstimate", Json::Text(text)) => Json::Decimal(0.0, text.clone()),
            ("seed" | "costUsdEstimate", _) => return None,
            _ => value.clone(),
        };
        Some((name.clone(), value))
    };
    let given = members.iter().map(given).collect::<Option<_>>()?;
    ImageMeta::deserialize(&Json::Object(given)).ok()
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
