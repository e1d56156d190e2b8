//! What goes over the wire: every module but the plain ones builds a request and reads its answer.

pub mod classify;
pub mod http;
pub mod object;
pub mod retry;
pub mod rows;
pub mod sign;
pub mod sqlstate;
pub mod tus;
pub mod worker;

use crate::config::Config;
use crate::image::path::{StoragePath, escape_segment};

/// `{url}/storage/v1/{route}/{bucket}/{path}`, escaped.
fn object_url(config: &Config, route: &str, path: &StoragePath) -> String {
    format!("{}/storage/v1/{route}/{}/{}", config.url, escape_segment(&config.bucket), path.escaped())
}
