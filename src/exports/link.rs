//! How links are asked for.

use super::bindings::exports::imagen::cloud::sinks::{LinkOptions, PictureFormat, Resize, Transform};
use crate::error::Error;
use crate::wire::link::{self, DEFAULT_TTL_SECONDS, Link};

/// A link that comes with an image, if one is wanted.
pub(super) fn read_wanted(given: Option<LinkOptions>) -> Result<Option<Link>, Error> {
    given.map(|given| read(given.expires_in, given.download, given.transform)).transpose()
}

/// A link for so many seconds.
pub(super) fn read(
    seconds: Option<u32>,
    download: Option<String>,
    transform: Option<Transform>,
) -> Result<Link, Error> {
    let transform = transform.map(read_transform).transpose()?;
    let expires_in = seconds.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_TTL_SECONDS);
    Ok(Link { expires_in, download, transform })
}

fn read_transform(given: Transform) -> Result<link::Transform, Error> {
    let resize = given.resize.map(|resize| match resize {
        Resize::Cover => "cover",
        Resize::Contain => "contain",
        Resize::Fill => "fill",
    });
    let format = given.format.map(|format| match format {
        PictureFormat::Origin => "origin",
    });
    let Transform { width, height, quality, .. } = given;
    let (resize, format) = (resize.map(str::to_owned), format.map(str::to_owned));
    let transform = link::Transform { width, height, resize, quality, format };
    transform.check().map(|()| transform)
}
