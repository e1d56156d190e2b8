//! What a link is to give: for how long, and which picture.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::image::path::escape_query;
use crate::json::to_text;
use crate::text::join;

/// The longest side of a transformed picture, in pixels.
const MAX_SIDE: u32 = 2500;
/// What a link is valid for when nothing else is said.
pub const DEFAULT_TTL_SECONDS: u32 = 3600;

/// How a link is made.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// How long it works, in seconds.
    pub expires_in: u32,
    /// The name that a browser saves it under, instead of showing it.
    pub download: Option<String>,
    /// How the picture is made smaller on its way; without it, it comes as it is.
    pub transform: Option<Transform>,
}

/// What Storage makes of the picture on its way. Its limits are Storage's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transform {
    /// In pixels, 1 to 2500; of one side alone the other follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How it fits into both sides: `cover`, which is Storage's own choice, `contain` or `fill`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<String>,
    /// 20 to 100; Storage's own choice is 80.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u32>,
    /// `origin` keeps the picture's own; otherwise Storage chooses by what a browser takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

impl Link {
    /// A link to the image as it is.
    pub fn for_seconds(expires_in: u32) -> Self {
        Self { expires_in, ..Self::default() }
    }

    /// The URL as it is given out.
    pub fn saved(&self, url: String) -> String {
        match &self.download {
            Some(name) => as_download(&url, name),
            None => url,
        }
    }

    /// What Storage is told, as members of a JSON object.
    pub fn members(&self) -> String {
        let transform = self.transform.as_ref().map(|transform| format!(",\"transform\":{}", to_text(transform)));
        format!("\"expiresIn\":{}{}", self.expires_in, transform.unwrap_or_default())
    }

    /// What the Worker is told, in a query.
    pub fn query(&self) -> String {
        let Transform { width, height, resize, quality, format } = self.transform.clone().unwrap_or_default();
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let given = [
            ("width", number(width)),
            ("height", number(height)),
            ("resize", resize),
            ("quality", number(quality)),
            ("format", format),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", value?)));
        format!("ttl={}{}", self.expires_in, given.collect::<String>())
    }
}

/// Has a signed URL's answer saved by a browser instead of shown: under `name`, or its own if that is empty.
pub fn as_download(url: &str, name: &str) -> String {
    format!("{url}&download={}", escape_query(name))
}

impl Transform {
    /// Refuses what Storage would refuse.
    pub fn check(&self) -> Result<(), Error> {
        let numbers = [
            ("width", self.width, 1..=MAX_SIDE),
            ("height", self.height, 1..=MAX_SIDE),
            ("quality", self.quality, 20..=100),
        ];
        for (name, number, range) in numbers {
            if number.is_some_and(|number| !range.contains(&number)) {
                let problem = format!("must be {} to {}", range.start(), range.end());
                return Err(Error::field(&format!("transform.{name}"), &problem));
            }
        }
        let words: [(_, _, &[_]); 2] =
            [("resize", &self.resize, &["cover", "contain", "fill"]), ("format", &self.format, &["origin"])];
        for (name, word, known) in words {
            if word.as_deref().is_some_and(|word| !known.contains(&word)) {
                return Err(Error::field(&format!("transform.{name}"), &format!("must be {}", join(known, '/'))));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_outside_of_storages_limits_is_refused_with_its_field() {
        let of = |change: fn(&mut Transform)| {
            let mut transform = Transform::default();
            change(&mut transform);
            transform.check().err().and_then(|error| error.field.clone())
        };
        assert_eq!(of(|_| {}), None);
        assert_eq!(of(|with| (with.width, with.height, with.quality) = (Some(1), Some(2500), Some(20))), None);
        assert_eq!(of(|with| with.width = Some(0)).as_deref(), Some("transform.width"));
        assert_eq!(of(|with| with.height = Some(2501)).as_deref(), Some("transform.height"));
        assert_eq!(of(|with| with.quality = Some(19)).as_deref(), Some("transform.quality"));
        assert_eq!(of(|with| with.resize = Some("crop".to_owned())).as_deref(), Some("transform.resize"));
        assert_eq!(of(|with| with.format = Some("webp".to_owned())).as_deref(), Some("transform.format"));
    }

    #[test]
    fn storage_and_the_worker_are_told_only_what_is_given() {
        let plain = Link::for_seconds(60);
        assert_eq!((plain.members().as_str(), plain.query().as_str()), (r#""expiresIn":60"#, "ttl=60"));
        let resize = Some("cover".to_owned());
        let transform = Some(Transform { width: Some(512), resize, ..Transform::default() });
        let small = Link { transform, ..plain };
        assert_eq!(small.members(), r#""expiresIn":60,"transform":{"width":512,"resize":"cover"}"#);
        assert_eq!(small.query(), "ttl=60&width=512&resize=cover");
    }
}
