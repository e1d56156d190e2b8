//! The driver of lists.

use core::cell::RefCell;

use super::call::Call;
use super::client::Client;
use crate::error::{Error, Stage};
use crate::host::Platform;
use crate::image::path::StoragePath;
use crate::race::{Racer, beside};
use crate::wire::link::Link;
use crate::wire::list::{Page, Query};

/// Links of a page's rows, in their order, and then of their small pictures, if those are wanted; `None` for one that is not
/// there.
pub type Links = Vec<Option<String>>;

impl<P: Platform> Client<P> {
    /// A page of rows and their links. There are none where the query asks for none, or where the page itself holds them.
    pub async fn list(&self, query: &Query, call: &Call) -> Result<(Page, Links), Error> {
        let work = async {
            query.check()?;
            if query.owner.is_none() {
                self.config.check_owner()?;
            }
            let mut page = self.page(query, call).await?;
            let more = RefCell::new(Ok(Page::default()));
            // Some servers give so many rows at once and no more, and don't say so.
            let mut probe = page.doubt.clone().map(|end| {
                let (own, query, more) = (call.unwatched(), query.probe(end), &more);
                Box::pin(async move { drop(more.replace(self.page(&query, &own).await)) }) as Racer<'_, ()>
            });
            let links = beside(Box::pin(self.links_of(&page, query, call)), &mut probe).await?;
            if let Some(rest) = probe {
                rest.await;
            }
            if more.replace(Ok(Page::default()))?.before.is_some() {
                page.before = page.doubt.take();
            }
            Ok((page, links))
        };
        self.unless_stopped(call, Box::pin(work)).await
    }

    async fn page(&self, query: &Query, call: &Call) -> Result<Page, Error> {
        let read = |response: &_| query.read(&self.config, response);
        self.ask(call, Stage::List, &|| query.request(&self.config), read).await
    }

    async fn links_of(&self, page: &Page, query: &Query, call: &Call) -> Result<Links, Error> {
        let links = RefCell::new(Links::new());
        if let Some(link) = query.link.as_ref().filter(|_| !page.paths.is_empty()) {
            let each = |url| links.borrow_mut().push(url);
            let small = page.paths.iter().filter(|_| query.thumbnails).map(StoragePath::small);
            let mut images = page.paths.iter().cloned();
            if link.transform.is_some() {
                // They are signed one by one, and the small pictures, which are small already, in one request.
                self.sign_all(&mut images, link, call, &each).await?;
            }
            let plain = Link::for_seconds(link.expires_in);
            self.sign_all(&mut images.chain(small), &plain, call, &each).await?;
        }
        Ok(links.into_inner())
    }
}
