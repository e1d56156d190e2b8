//! The driver of lists.

use core::cell::RefCell;

use super::call::Call;
use super::client::Client;
use crate::error::{Error, Stage};
use crate::host::Platform;
use crate::wire::list::{Page, Query};

/// Links of a page's rows, in their order; `None` for one whose object is gone.
pub type Links = Vec<Option<String>>;

impl<P: Platform> Client<P> {
    /// A page of rows and their links. There are none where the query asks for none, or where the page itself holds them.
    pub async fn list(&self, query: &Query, call: &Call) -> Result<(Page, Links), Error> {
        query.check()?;
        let work = async {
            let read = |response: &_| query.read(&self.config, response);
            let page = self.ask(call, Stage::List, &|| query.request(&self.config), read).await?;
            let links = RefCell::new(Links::new());
            if let Some(link) = query.link.as_ref().filter(|_| !page.paths.is_empty()) {
                let each = |url| links.borrow_mut().push(url);
                self.sign_all(&mut page.paths.iter().cloned(), link, call, &each).await?;
            }
            Ok((page, links.into_inner()))
        };
        self.within_deadline(call, Box::pin(work)).await
    }
}
