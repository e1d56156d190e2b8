//! Many images in one call: uploads overlap, rows go in bulk, and nobody's failure is a neighbour's.

use core::future::poll_fn;
use std::rc::Rc;

use super::batch::{Batch, Kept, Part, Task};
use super::call::{Call, Options, Reached, Synced, Unkept};
use super::client::Client;
use super::group::Group;
use super::seen::Seen;
use crate::error::{Code, Error, Stage};
use crate::host::Platform;
use crate::image::meta::{Shipment, SyncRequest};
use crate::json::Json;
use crate::race::{Racer, all_of, first_of};
use crate::text::join;
use crate::wire::Landed;
use crate::wire::rows;

impl<P: Platform> Client<P> {
    /// Uploads all images, `concurrency` at once, and inserts their rows in bulk, as soon as there are enough of them. The
    /// outcomes are in the requests' order. Of a call that is stopped the error is that of all that has not arrived by then.
    pub async fn sync_many(
        &self,
        requests: Vec<Result<SyncRequest<P::Bytes>, Error>>,
        concurrency: u32,
        call: &Call,
    ) -> Vec<Result<Synced, Error>> {
        // All of one day, though the last may wait past midnight for its turn.
        let now_ms = self.platform.now_ms();
        let requests = requests.into_iter().map(|request| request.map(|request| request.dated(now_ms))).collect();
        let mut batch = Batch::new(requests, concurrency, &self.platform);
        batch.knows_paths = self.knows_paths();
        call.meter.total.set(batch.total);
        call.meter.reach(Reached::Upload, 0);
        let work = async {
            let lanes =
                (0..concurrency.saturating_mul(2)).map(|_| Box::pin(self.work_on(&batch, call)) as Racer<'_, ()>);
            all_of(lanes.collect()).await;
            call.meter.reach(Reached::Done, batch.total);
            None
        };
        let mut interrupted: Racer<'_, Option<Error>> = Box::pin(async { Some(self.stopped(call).await) });
        let stop = first_of(Box::pin(&mut interrupted), Box::pin(work)).await;
        let is_whole = stop.is_none();
        let unfinished = stop.unwrap_or_else(|| Error::new(Stage::Request, Code::Rejected, "not tried"));
        let mut outcomes = batch.outcomes(&unfinished);
        if is_whole {
            let stopped = Box::pin(async { drop(interrupted.await) });
            self.link_all(&mut outcomes, stopped, call).await;
        } else if call.options.link.is_some() {
            outcomes.iter_mut().flatten().for_each(Synced::without_link);
        }
        outcomes
    }

    /// Does what there is to do, until there is nothing more.
    async fn work_on(&self, batch: &Batch<P::Bytes>, call: &Call) {
        while let Some(task) = poll_fn(|context| batch.next_task(call, context)).await {
            match task {
                Task::Upload => {
                    let next = batch.queue.borrow_mut().next();
                    if let Some((index, request)) = next {
                        self.upload_one(index, request, batch, call).await;
                    }
                    batch.end_of(&batch.uploading);
                }
                Task::Insert(group) => {
                    self.insert_one(group, batch, call).await;
                    batch.end_of(&batch.inserting);
                }
            }
        }
    }

    async fn upload_one(
        &self,
        index: usize,
        request: Result<SyncRequest<P::Bytes>, Error>,
        batch: &Batch<P::Bytes>,
        call: &Call,
    ) {
        let outcome = async {
            let shipment = self.ship(request?).await?;
            batch.claim(index, &shipment)?;
            let part = Rc::new(Part::new(call.meter.clone(), batch.sent.clone()));
            // The Worker's answer brings the link. All others are signed together.
            let link = call.options.link.clone().filter(|_| !self.config.target.is_project());
            let own = Call::new(part.clone(), Options { link, ..Options::default() });
            let uploaded = self.upload(&shipment, &own, &Unkept).await;
            part.reach(self.platform.size(&shipment.image));
            let landed = uploaded?;
            let url = own.options.link.as_ref().and_then(|link| Some(link.saved(own.outcome.signed_url.take()?)));
            Ok((shipment, landed, url))
        };
        match outcome.await {
            Ok((shipment, Landed::InBucket, _)) => batch.keep((index, shipment, self.platform.now_ms())),
            Ok((shipment, landed, url)) => {
                let signed_url = url.map(Some);
                batch.land(index, Synced { signed_url, ..landed.synced(&shipment) });
            }
            Err(error) => batch.settle(index, Err(error)),
        }
    }

    /// Inserts a group of rows. What the database refuses is found in its parts.
    async fn insert_one(&self, group: Group<Kept<P::Bytes>>, batch: &Batch<P::Bytes>, call: &Call) {
        let own = Call::new(Rc::new(Part::new(call.meter.clone(), batch.sent.clone())), Options::default());
        let shipments: Vec<&Shipment<P::Bytes>> = group.rows.iter().map(|(_, shipment, _)| shipment).collect();
        match self.insert_rows(&shipments, &own).await {
            Err(error) if batch.turns_all_away(Some(&error)) => {
                batch.add(vec![group]);
                batch.give_up_rows(&error);
            }
            Ok((confirmed, unknown)) => {
                batch.turns_all_away(None);
                group.note(false);
                for (index, shipment, uploaded_ms) in &group.rows {
                    let outcome = match confirmed.has(&shipment.image_id) {
                        true => self.bring_back(shipment, *uploaded_ms, &own).await,
                        false => Err(unknown.clone().unwrap_or_else(|| rows::id_taken(shipment))),
                    };
                    batch.settle(*index, outcome);
                }
            }
            Err(error) if group.rows.len() > 1 && may_be_one_rows_fault(&error) => batch.add(group.parts()),
            Err(error) => {
                group.note(true);
                group.rows.iter().for_each(|(index, ..)| batch.settle(*index, Err(error.clone())));
            }
        }
    }

    /// The ids of rows that are there now and are ours; of none where it is not known of all.
    #[cfg(feature = "outbox")]
    pub(crate) async fn insert_group<B>(&self, group: &[&Shipment<B>], call: &Call) -> Result<Seen<String>, Error> {
        let (confirmed, unknown) = self.insert_rows(group, call).await?;
        unknown.map_or(Ok(confirmed), Err)
    }

    /// The ids whose rows are there now and are ours, and why nothing is known of the others, if so: what an insert has brought has
    /// arrived, whatever becomes of the question for the rest.
    async fn insert_rows<B>(
        &self,
        group: &[&Shipment<B>],
        call: &Call,
    ) -> Result<(Seen<String>, Option<Error>), Error> {
        let rows: Vec<&str> = group.iter().map(|shipment| shipment.row.as_str()).collect();
        let columns = self.columns(&rows);
        let build = || rows::insert_many(&self.config, &rows, &columns);
        call.trace.gather(group.iter().map(|shipment| shipment.image_id.clone()));
        let mut confirmed = Seen::default();
        confirmed.extend(self.ask(call, Stage::Insert, &build, rows::read_ids).await?);
        // Left out of the answer is a row whose id was there before: an earlier attempt's, or another one's.
        let missing: Vec<&Shipment<B>> =
            group.iter().copied().filter(|shipment| !confirmed.has(&shipment.image_id)).collect();
        let mut arrived = Vec::new();
        let unknown = self.find_arrived(&missing, true, &mut arrived, call).await.err();
        confirmed.extend(arrived);
        // What nobody has seen by then is taken for another user's.
        Ok((confirmed, unknown.filter(|error| error.code != Code::IdTaken)))
    }

    /// Every column that any of the rows has.
    fn columns(&self, rows: &[&str]) -> String {
        let mut columns = Vec::new();
        for row in rows {
            if let Some(Json::Object(members)) = self.platform.parse_json(row) {
                let news = members.into_iter().map(|(column, _)| column).filter(|column| !columns.contains(column));
                columns.extend(news.collect::<Vec<_>>());
            }
        }
        join(columns, ',')
    }
}

/// Whether another row of the same insert might be welcome. Not so when nobody could be heard. A gateway may dislike one
/// row's words.
pub fn may_be_one_rows_fault(error: &Error) -> bool {
    let everybodys = [
        Code::Unauthorized,
        Code::TokenUnavailable,
        Code::SecretKeyInBrowser,
        Code::WrongUser,
        Code::SchemaNotExposed,
        Code::TableMissing,
    ];
    (!error.retryable || error.turned_away) && !everybodys.contains(&error.code)
}
