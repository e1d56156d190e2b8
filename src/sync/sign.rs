//! The driver of links.

use core::cell::RefCell;

use super::call::{Call, Synced};
use super::client::Client;
use crate::error::{Code, Error, Stage};
use crate::host::Platform;
use crate::image::meta::Shipment;
use crate::image::path::StoragePath;
use crate::race::{Racer, all_of, first_of};
use crate::wire::Landed;
use crate::wire::http::Response;
use crate::wire::link::Link;
use crate::wire::sign;

/// Paths of one request to sign: Storage's limit.
const PATHS_AT_ONCE: usize = 1000;
/// Transformed pictures' links are signed one by one, so many of them at once.
const LANES: usize = 6;
/// How much longer than its image a link may take.
const LINK_GRACE_MS: u32 = 5000;

impl<P: Platform> Client<P> {
    /// A URL that answers with the object, or with what is made of it.
    pub async fn signed_url(&self, path: StoragePath, link: &Link, call: &Call) -> Result<String, Error> {
        let work = async {
            sign::check(&path, link)?;
            self.sign(&path, link, call).await
        };
        self.unless_stopped(call, Box::pin(work)).await
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
        self.unless_stopped(call, Box::pin(self.sign_all(paths, link, call, each))).await
    }

    pub(super) async fn sign_all(
        &self,
        paths: &mut dyn Iterator<Item = StoragePath>,
        link: &Link,
        call: &Call,
        each: &dyn Fn(Option<String>),
    ) -> Result<(), Error> {
        let is_single = link.transform.is_some() || !self.config.target.is_project();
        let at_once = if is_single { LANES } else { PATHS_AT_ONCE };
        loop {
            let some: Vec<StoragePath> = paths.take(at_once).collect();
            if some.is_empty() {
                return Ok(());
            }
            let urls = match is_single {
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
            match self.sign(path, link, &call.part()).await {
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

    /// Signs an image's link beside what else is done for it. Whatever becomes of it, the image is not asked.
    pub(super) fn link_of<'a, B>(
        &'a self,
        shipment: &Shipment<B>,
        landed: &Landed,
        call: &'a Call,
    ) -> Option<Racer<'a, ()>> {
        let link = call.options.link.as_ref()?;
        let path = match landed {
            Landed::InBucket => shipment.storage_path.clone(),
            // The Worker's answer has brought it, unless it came by ticket.
            Landed::Stored { path } if call.outcome.signed_url.borrow().is_none() => StoragePath::parse(path).ok()?,
            _ => return None,
        };
        let own = call.unwatched();
        Some(Box::pin(async move {
            if sign::check(&path, link).is_ok()
                && let Ok(url) = self.sign(&path, link, &own).await
            {
                call.outcome.signed_url.replace(Some(url));
            }
        }))
    }

    /// Where the image landed, with its link, which is waited for a little longer.
    pub(super) async fn linked(&self, synced: Synced, link: Option<Racer<'_, ()>>, call: &Call) -> Synced {
        let Some(wanted) = &call.options.link else { return synced };
        if let Some(rest) = link {
            call.outcome.arrived.replace(Some(Synced { signed_url: Some(None), ..synced.clone() }));
            first_of(rest, Box::pin(self.platform.sleep(LINK_GRACE_MS))).await;
        }
        Synced { signed_url: Some(call.outcome.signed_url.take().map(|url| wanted.saved(url))), ..synced }
    }

    /// The same for many, whose links are signed together; of a call that is stopped those that are there by then.
    #[cfg(feature = "many")]
    pub(super) async fn link_all(&self, outcomes: &mut [Result<Synced, Error>], stopped: Racer<'_, ()>, call: &Call) {
        let Some(link) = &call.options.link else { return };
        let is_waited_for = |synced: &Synced| !synced.queued && synced.signed_url.is_none();
        let there = |synced: &Synced| StoragePath::parse(&synced.storage_path).ok().filter(|_| is_waited_for(synced));
        let named = |synced: &Synced| Some((there(synced)?, synced.image_id.clone()));
        let waiting: Vec<_> = outcomes.iter().flatten().filter_map(named).collect();
        let signed = RefCell::new(Vec::new());
        let own = call.unwatched();
        let sign = async {
            let each = |url| signed.borrow_mut().push(url);
            for some in waiting.chunks(PATHS_AT_ONCE) {
                own.trace.gather(some.iter().map(|(_, image_id)| image_id.clone()));
                let mut paths = some.iter().map(|(path, _)| path.clone());
                if self.sign_all(&mut paths, link, &own, &each).await.is_err() {
                    break;
                }
            }
        };
        let patience = first_of(stopped, Box::pin(self.platform.sleep(LINK_GRACE_MS)));
        first_of(Box::pin(sign), Box::pin(patience)).await;
        let mut urls = signed.take().into_iter();
        for synced in outcomes.iter_mut().flatten().filter(|synced| there(synced).is_some()) {
            synced.signed_url = Some(urls.next().flatten().map(|url| link.saved(url)));
        }
        outcomes.iter_mut().flatten().for_each(Synced::without_link);
    }
}
