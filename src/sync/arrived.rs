//! Which images have arrived already.

use super::call::Call;
use super::client::Client;
use crate::error::{Error, Stage};
use crate::host::Platform;
use crate::image::meta::Shipment;
use crate::wire::http::Response;
use crate::wire::rows;

/// Ids of one question at most: they stand in its URL.
const IDS_AT_ONCE: usize = 100;

impl<P: Platform> Client<P> {
    /// The ids of those shipments whose rows are there, and are theirs. A row comes after its object, so that both are.
    pub async fn arrived<B>(&self, shipments: &[&Shipment<B>], call: &Call) -> Result<Vec<String>, Error> {
        let mut arrived = Vec::new();
        for some in shipments.chunks(IDS_AT_ONCE) {
            call.gather(some);
            let build = || rows::read_back_many(&self.config, some);
            let read = |response: &Response| rows::read_holders(some, response);
            arrived.extend(self.ask(call, Stage::Insert, &build, read).await?);
        }
        Ok(arrived)
    }
}
