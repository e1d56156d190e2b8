//! A small picture beside an image, for galleries: drawn where there is a canvas, stored as `{storage_path}.thumb`.

use serde::Deserialize;

use crate::error::Error;

/// The end of its path, after all of the image's.
pub const ENDING: &str = ".thumb";

/// The longest side that Storage's own transformations know, too.
const MAX_SIDE: u32 = 2500;
/// What a canvas writes; one that does not know the type that is asked for writes another, and says so.
const TYPES: [&str; 3] = ["image/webp", "image/jpeg", "image/png"];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Thumbnail {
    /// Pixels of the longer side, at most: an image is never made larger.
    pub side: u32,
    /// Its MIME type, if the canvas can write it; else it is a JPEG.
    #[serde(rename = "type")]
    pub mime_type: String,
}

impl Default for Thumbnail {
    fn default() -> Self {
        Self { side: 512, mime_type: "image/webp".to_owned() }
    }
}

impl Thumbnail {
    /// Refuses what no canvas makes.
    pub fn check(&self) -> Result<(), Error> {
        if self.side == 0 || self.side > MAX_SIDE {
            return Err(Error::option("thumbnail.side", "must be a whole number from 1 to 2500"));
        }
        match TYPES.contains(&self.mime_type.as_str()) {
            true => Ok(()),
            false => Err(Error::option("thumbnail.type", "must be image/webp, image/jpeg or image/png")),
        }
    }
}
