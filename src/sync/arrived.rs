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
    /// Adds to `arrived` the ids of those shipments whose rows are there, and are theirs. A row comes after its object, so that both are.
    /// Where the database has said that the rows `are_there`, whosever, one that nobody sees is looked for again.
    pub(crate) async fn find_arrived<B>(
        &self,
        shipments: &[&Shipment<B>],
        are_there: bool,
        arrived: &mut Vec<String>,
        call: &Call,
    ) -> Result<(), Error> {
        let mut left = shipments.to_vec();
        while !left.is_empty() {
            let mut some = left.split_off(left.len().saturating_sub(IDS_AT_ONCE));
            call.trace.gather(some.iter().map(|shipment| shipment.image_id.clone()));
            let build = || rows::read_back_many(&self.config, &some);
            let read = |response: &Response| match are_there {
                true => rows::read_there(&some, response),
                false => rows::read_seen(&some, response),
            };
            let (held, seen) = self.ask(call, Stage::Insert, &build, read).await?;
            arrived.extend(held);
            // Some servers give fewer rows at once, and don't say so. Of those that none has told of there are none.
            let asked = some.len();
            some.retain(|shipment| !seen.iter().any(|id| id.eq_ignore_ascii_case(&shipment.image_id)));
            if some.len() < asked {
                left.append(&mut some);
            }
        }
        Ok(())
    }
}
