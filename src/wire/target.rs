//! What a project and the Worker are asked for in different words.

use crate::config::{Config, Target};
use crate::image::meta::Shipment;
use crate::image::path::StoragePath;
use crate::wire::Landed;
use crate::wire::classify::Refusal;
use crate::wire::http::{Request, Response};
use crate::wire::link::Link;
#[cfg(feature = "relay")]
use crate::wire::worker;
use crate::wire::worker::Beside;
use crate::wire::{object, sign};

impl Target {
    /// Whether an upload in pieces goes by the Worker's ticket.
    pub fn has_tickets(self) -> bool {
        !self.is_project()
    }

    /// Brings an image in one request, which may be repeated. The Worker takes a small picture along, and gives a link.
    pub fn upload<B: Clone>(self, config: &Config, shipment: &Shipment<B>, beside: Beside<'_, B>) -> Request<B> {
        match self {
            Self::Project => {
                drop(beside);
                object::upload(config, shipment)
            }
            #[cfg(feature = "relay")]
            Self::Worker => worker::sync(config, shipment, beside),
        }
    }

    /// Where it landed.
    pub fn read_upload(self, response: &Response) -> Result<Landed, Refusal> {
        match self {
            Self::Project => object::read_upload(response).map(|_| Landed::InBucket),
            #[cfg(feature = "relay")]
            Self::Worker => worker::read_sync(response),
        }
    }

    /// The link that came with it.
    pub fn read_link(self, _response: &Response) -> Option<String> {
        match self {
            Self::Project => None,
            #[cfg(feature = "relay")]
            Self::Worker => worker::read_link(_response),
        }
    }

    /// Asks for a link.
    pub fn sign<B>(self, config: &Config, path: &StoragePath, link: &Link) -> Request<B> {
        match self {
            Self::Project => sign::sign(config, path, link),
            #[cfg(feature = "relay")]
            Self::Worker => worker::sign(config, path, link),
        }
    }

    /// The URL.
    pub fn read_sign(
        self,
        config: &Config,
        path: &StoragePath,
        link: &Link,
        response: &Response,
    ) -> Result<String, Refusal> {
        match self {
            Self::Project => sign::read_sign(config, path, link, response),
            #[cfg(feature = "relay")]
            Self::Worker => worker::read_sign(response),
        }
    }
}
