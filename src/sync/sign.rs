//! The driver of signed URLs.

use super::call::Call;
use super::client::Client;
use crate::error::{Error, Stage};
use crate::host::Platform;
use crate::image::path::StoragePath;
use crate::wire::http::Response;
use crate::wire::sign;

/// Paths of one request to sign: Storage's limit.
const PATHS_AT_ONCE: usize = 1000;

impl<P: Platform> Client<P> {
    /// A URL that answers with the object for `ttl_seconds`.
    pub async fn signed_url(&self, path: StoragePath, ttl_seconds: u32, call: &Call) -> Result<String, Error> {
        let target = self.config.target;
        let build = || target.sign(&self.config, &path, ttl_seconds);
        let read = |response: &Response| target.read_sign(&self.config, &path, response);
        self.within_deadline(call, Box::pin(self.ask(call, Stage::Sign, &build, read))).await
    }

    /// Tells `each` the URLs of many objects, in the paths' order; `None` for an object that is missing. Of paths and URLs no
    /// more are here at once than one request is about.
    pub async fn signed_urls(
        &self,
        paths: &mut dyn Iterator<Item = StoragePath>,
        ttl_seconds: u32,
        call: &Call,
        each: &dyn Fn(Option<String>),
    ) -> Result<(), Error> {
        let work = async {
            loop {
                let some: Vec<StoragePath> = paths.take(PATHS_AT_ONCE).collect();
                if some.is_empty() {
                    return Ok(());
                }
                let build = || sign::sign_many(&self.config, &some, ttl_seconds);
                let read = |response: &Response| sign::read_sign_many(&self.config, &some, response);
                self.ask(call, Stage::Sign, &build, read).await?.into_iter().for_each(each);
            }
        };
        self.within_deadline(call, Box::pin(work)).await
    }
}
