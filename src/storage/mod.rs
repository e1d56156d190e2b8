//! Storage's API: every module builds a request and reads its answer.

pub mod object;
pub mod sign;
pub mod tus;

use crate::config::Config;
use crate::path::{StoragePath, escape_segment};

/// `{url}/storage/v1/{route}/{bucket}/{path}`, escaped.
fn object_url(config: &Config, route: &str, path: &StoragePath) -> String {
    format!("{}/storage/v1/{route}/{}/{}", config.url, escape_segment(&config.bucket), path.escaped())
}
