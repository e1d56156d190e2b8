//! The link that is wanted of an image, and what Storage shall make of it on its way.

use serde::Deserialize;

use super::{FaultOf, Taken, download, tree};
use crate::error::Error;
use crate::json::{Fault, from_one};
use crate::wire::link::{DEFAULT_TTL_SECONDS, Link, Transform};

/// A link, and the name that a browser saves it under.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::api) struct WantedLink {
    #[serde(deserialize_with = "from_one")]
    expires_in: Option<u32>,
    #[serde(deserialize_with = "download")]
    pub(in crate::api) download: Option<String>,
    #[serde(skip)]
    transform: Option<Transform>,
}

impl WantedLink {
    pub(in crate::api) fn link(&self) -> Link {
        let (transform, download) = (self.transform.clone(), self.download.clone());
        Link { expires_in: self.expires_in.unwrap_or(DEFAULT_TTL_SECONDS), transform, download }
    }
}

/// What Storage shall make of a picture.
pub(super) fn transform(of: &Taken) -> Result<Option<Transform>, Error> {
    let Some(given) = of.value("transform") else { return Ok(None) };
    let fault: FaultOf = |name, problem| match name {
        "transform" => Error::field(name, problem),
        name => Error::field(&format!("transform.{name}"), problem),
    };
    let transform: Transform = Taken::new::<Transform>(&given, "transform", &[], &[], fault)?.read()?;
    transform.check()?;
    Ok(Some(transform))
}

/// The link that is wanted with an image: seconds, or what is known of it; `false` is none.
pub(super) fn wanted_link(of: &Taken) -> Result<Option<WantedLink>, Error> {
    let Some(given) = of.value("signedUrl").filter(|given| *given != false) else { return Ok(None) };
    if !given.is_object() {
        let fault = |fault: Fault| Error::field("signedUrl", &fault.problem);
        let seconds = u32::deserialize(&tree(&given)).map_err(fault)?;
        let expires_in = Some(seconds).filter(|seconds| *seconds > 0);
        return Ok(Some(WantedLink { expires_in, ..WantedLink::default() }));
    }
    let fault: FaultOf = |name, problem| match name {
        "signedUrl" => Error::field(name, problem),
        name => Error::field(&format!("signedUrl.{name}"), problem),
    };
    let taken = Taken::new::<WantedLink>(&given, "signedUrl", &["transform"], &[], fault)?;
    Ok(Some(WantedLink { transform: transform(&taken)?, ..taken.read()? }))
}
