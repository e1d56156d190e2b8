//! What goes over the wire: every module but the plain ones builds a request and reads its answer.

pub mod auth;
pub mod classify;
pub mod event;
pub mod http;
pub mod link;
#[cfg(feature = "gallery")]
pub mod list;
pub mod object;
#[cfg(feature = "gallery")]
pub mod remove;
pub mod retry;
pub mod rows;
pub mod sign;
pub mod sqlstate;
pub mod target;
pub mod tus;
pub mod worker;

use crate::config::Config;
use crate::image::path::{StoragePath, escape_segment};

/// Where an upload landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landed {
    /// In the project's bucket, under the path that was asked for. Its row is still to be inserted.
    InBucket,
    /// With its row, under the path that the Worker says.
    Stored {
        /// The object's.
        path: String,
    },
    /// At the Worker, which will bring object and row.
    Queued {
        /// Where the object will be.
        path: String,
    },
}

/// `{url}/storage/v1/{route}/{bucket}/{path}`, escaped.
fn object_url(config: &Config, route: &str, path: &StoragePath) -> String {
    format!("{}/storage/v1/{route}/{}/{}", config.url, escape_segment(&config.bucket), path.escaped())
}
