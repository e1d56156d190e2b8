//! What is said of an image: by its caller in [`ImageMeta`], by the database's row in `Row`. A column is added here, and
//! nowhere else in the library.

use core::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::json::{self, to_text};
use crate::limits;

/// A request without its bytes: as a caller writes it, as the Worker takes it and as a job keeps it. Empty texts and zeros count
/// as left out, as in the seed; an empty date or slug is an error, as there.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageMeta {
    /// A UUID; without it one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Left out it is today's in UTC, see [`ImageMeta::dated`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Left out it is made from the prompt, here as at the Worker, and the path ends with a part of the image's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// JSON has no int64: written as a text.
    #[serde(deserialize_with = "seed", serialize_with = "as_text")]
    pub seed: i64,
    /// The end of the path, without a dot; empty: by what the bytes are.
    #[serde(default)]
    pub ext: String,
    /// Empty: by what the bytes are.
    #[serde(default)]
    pub mime_type: String,
    /// The words that the image was made from.
    pub prompt: String,
    /// What ran the model: `webgpu`, `canvas`, a provider's name.
    pub backend: String,
    /// Its name; empty if it is not known.
    #[serde(default)]
    pub model: String,
    /// Of the sampler; 0 if they are not known.
    #[serde(default)]
    pub steps: u32,
    /// Pixels; 0: by the image itself.
    #[serde(default)]
    pub width: u32,
    /// Pixels; 0: by the image itself.
    #[serde(default)]
    pub height: u32,
    /// How long it took to generate.
    #[serde(default)]
    pub latency_ms: u32,
    /// A JSON number's text: the host writes it, so that it stands in the row as the host would write it.
    #[serde(
        default,
        deserialize_with = "json::number_text",
        serialize_with = "json::raw",
        skip_serializing_if = "Option::is_none"
    )]
    pub cost_usd_estimate: Option<String>,
    /// A JSON object's text.
    #[serde(default, serialize_with = "json::raw", skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<String>,
    /// The project's own columns: a JSON object's text.
    #[serde(default, serialize_with = "json::raw", skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
}

impl ImageMeta {
    /// Fixes the date where there is none: so it is the call's, however long the image waits.
    pub fn dated(self, now_ms: i64) -> Self {
        Self { date: self.date.or_else(|| Some(day_of(now_ms))), ..self }
    }

    /// Refuses what is too long for the Worker or an outbox, see `limits.json`.
    pub fn check_limits(&self) -> Result<(), Error> {
        for (field, text, most) in [
            ("ext", self.ext.as_str(), limits::EXT),
            ("mimeType", &self.mime_type, limits::MIME_TYPE),
            ("model", &self.model, limits::MODEL),
            ("backend", &self.backend, limits::BACKEND),
            ("prompt", &self.prompt, limits::PROMPT),
            ("sidecar", self.sidecar.as_deref().unwrap_or_default(), limits::SIDECAR),
        ] {
            check_length(field, text, most)?;
        }
        // Of both together, so that a row is never longer than it was without columns of its own.
        let sidecar = self.sidecar.as_deref().map_or(0, str::len);
        check_length("columns", self.columns.as_deref().unwrap_or_default(), limits::SIDECAR.saturating_sub(sidecar))
    }

    /// The row but for columns of the caller's own, as a JSON object's text. `measured` is the image's width and height as its bytes tell them.
    pub fn row(&self, image_id: &str, owner_user_id: &str, storage_path: &str, measured: (u32, u32)) -> String {
        let or_measured = |given: u32, measured: u32| if given == 0 { measured } else { given };
        to_text(&Row {
            id: image_id,
            owner_user_id,
            prompt: &self.prompt,
            prompt_hash: &prompt_hash(&self.prompt),
            backend: &self.backend,
            storage_path,
            model: &self.model,
            seed: self.seed,
            steps: self.steps,
            width: or_measured(self.width, measured.0),
            height: or_measured(self.height, measured.1),
            latency_ms: self.latency_ms,
            cost_usd_estimate: self.cost_usd_estimate.as_deref(),
            sidecar: self.sidecar.as_deref().filter(|sidecar| *sidecar != "{}"),
        })
    }
}

/// The columns of `imagen.images`: those of `Row`, and the arrival that the database writes. The package's doctor and its double
/// of a project get them from here when it is built.
pub const COLUMNS: &[&str] = &[
    "id",
    "owner_user_id",
    "prompt",
    "prompt_hash",
    "backend",
    "storage_path",
    "model",
    "seed",
    "steps",
    "width",
    "height",
    "latency_ms",
    "cost_usd_estimate",
    "sidecar",
    "created_at",
];

/// A row of `imagen.images`. What is not known is left out.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    owner_user_id: &'a str,
    prompt: &'a str,
    prompt_hash: &'a str,
    backend: &'a str,
    storage_path: &'a str,
    #[serde(skip_serializing_if = "is_left_out")]
    model: &'a str,
    #[serde(skip_serializing_if = "is_left_out")]
    seed: i64,
    #[serde(skip_serializing_if = "is_left_out")]
    steps: u32,
    #[serde(skip_serializing_if = "is_left_out")]
    width: u32,
    #[serde(skip_serializing_if = "is_left_out")]
    height: u32,
    #[serde(skip_serializing_if = "is_left_out")]
    latency_ms: u32,
    #[serde(serialize_with = "json::raw", skip_serializing_if = "Option::is_none")]
    cost_usd_estimate: Option<&'a str>,
    #[serde(serialize_with = "json::raw", skip_serializing_if = "Option::is_none")]
    sidecar: Option<&'a str>,
}

/// An empty text or a zero.
fn is_left_out<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn as_text<S: Serializer>(number: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&number.to_string())
}

/// All of int64: a number as far as it is exact, or a bigint.
fn seed<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    struct Seed;
    impl Visitor<'_> for Seed {
        type Value = i64;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("a whole number or a bigint")
        }

        fn visit_i64<E: de::Error>(self, seed: i64) -> Result<i64, E> {
            Ok(seed)
        }

        fn visit_i128<E: de::Error>(self, seed: i128) -> Result<i64, E> {
            i64::try_from(seed).map_err(|_| {
                E::custom(match u64::try_from(seed) {
                    Ok(_) => {
                        "is past 2^63 - 1, the largest a bigint column holds. ComfyUI's seeds are unsigned: pass \
                     BigInt.asIntN(64, seed), and keep the seed's own digits as text in the sidecar"
                    }
                    Err(_) => "does not fit in 64 bits",
                })
            })
        }

        fn visit_f64<E: de::Error>(self, seed: f64) -> Result<i64, E> {
            Err(E::custom(match seed.fract() == 0.0 {
                true => "a number past 2^53 is not exact: pass a bigint",
                false => "must be a whole number or a bigint",
            }))
        }
    }
    from.deserialize_i128(Seed)
}

/// The day in UTC, `YYYY-MM-DD`, by Howard Hinnant's `civil_from_days`: a year that begins in March ends with the leap day.
fn day_of(now_ms: i64) -> String {
    let days = now_ms.div_euclid(86_400_000) + 719_468; // since 0000-03-01
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Refuses a text that is too long for the Worker or an outbox.
pub fn check_length(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.len() <= most {
        return Ok(());
    }
    let problem =
        format!("has {} bytes of UTF-8; {most} is the limit of the Worker and of an outbox. Shorten it", text.len());
    Err(Error::field(field, &problem))
}

/// SHA-256 of the prompt in hexadecimal.
fn prompt_hash(prompt: &str) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(prompt.as_bytes()) {
        for digit in [byte >> 4, byte & 15] {
            hash.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    hash
}
