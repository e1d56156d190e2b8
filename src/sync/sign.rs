//! The driver of links.

use core::cell::RefCell;

use super::call::Call;
use super::client::Client;
use crate::error::{Code, Error, Stage};
use crate::host::Platform;
use crate::image::path::StoragePath;
use crate::race::{Racer, all_of};
use crate::wire::http::Response;
use crate::wire::link::Link;
use crate::wire::sign;

/// Paths of one request to sign: Storage's limit.
const PATHS_AT_ONCE: usize = 1000;
/// Transformed pictures' links are signed one by one, so many of them at once.
const LANES: usize = 6;

impl<P: Platform> Client<P> {
    /// A URL that answers with the object, or with what is made of it.
    pub async fn signed_url(&self, path: StoragePath, link: &Link, call: &Call) -> Result<String, Error> {
        sign::check(&path, link)?;
        self.within_deadline(call, Box::pin(self.sign(&path, link, call))).await
    }

    pub(super) async fn sign(&self, path: &StoragePath, link: &Link, call: &Call) -> Result<String, Error> {
        let target = self.config.target;
        let build = || target.sign(&self.config, path, link);
        let read = |response: &Response| target.read_sign(&self.config, path, link, response);
        self.ask(call, Stage::Sign, &build, read).await
    }

    /// Tells `each` the URLs of many objects, in the paths' order; `None` for an object that is missing. Of paths and URLs no
    /// more are here at once than one request is about.
    pub async fn signed_urls(
        &self,
        paths: &mut dyn Iterator<Item = StoragePath>,
        link: &Link,
        call: &Call,
        each: &dyn Fn(Option<String>),
    ) -> Result<(), Error> {
        self.within_deadline(call, Box::pin(self.sign_all(paths, link, call, each))).await
    }

    pub(super) async fn sign_all(
        &self,
        paths: &mut dyn Iterator<Item = StoragePath>,
        link: &Link,
        call: &Call,
        each: &dyn Fn(Option<String>),
    ) -> Result<(), Error> {
        let at_once = if link.transform.is_some() { LANES } else { PATHS_AT_ONCE };
        loop {
            let some: Vec<StoragePath> = paths.take(at_once).collect();
            if some.is_empty() {
                return Ok(());
            }
            let urls = match link.transform.is_some() {
                true => self.sign_some(&some, link, call).await?,
                false => {
                    let build = || sign::sign_many(&self.config, &some, link.expires_in);
                    let read = |response: &Response| sign::read_sign_many(&self.config, &some, response);
                    self.ask(call, Stage::Sign, &build, read).await?
                }
            };
            urls.into_iter().for_each(each);
        }
    }

    /// Signs each by a request of its own, side by side.
    async fn sign_some(&self, paths: &[StoragePath], link: &Link, call: &Call) -> Result<Vec<Option<String>>, Error> {
        let sign = async |path: &StoragePath| {
            if sign::check(path, link).is_err() {
                return Ok(None);
            }
            let own = Call::new(call.meter.observer.clone(), None);
            match self.sign(path, link, &own).await {
                Ok(url) => Ok(Some(url)),
                Err(error) if error.code == Code::ObjectMissing => Ok(None),
                Err(error) => Err(error),
            }
        };
        let results = RefCell::new(vec![Ok(None); paths.len()]);
        let results_of = &results;
        let sign = &sign;
        let lane = |(index, path)| {
            Box::pin(async move {
                let result = sign(path).await;
                if let Some(slot) = results_of.borrow_mut().get_mut(index) {
                    *slot = result;
                }
            }) as Racer<'_, ()>
        };
        all_of(paths.iter().enumerate().map(lane).collect()).await;
        results.into_inner().into_iter().collect()
    }
}
