//! Many images in one call: uploads overlap, rows go in bulk, and nobody's failure is a neighbour's.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::iter::Enumerate;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::vec::IntoIter;

use super::call::{Call, Meter, Observer, Progress, Reached, Retrying, Synced, Unkept};
use super::client::Client;
use super::group::{Group, Kept};
use crate::error::{Code, Error, Stage};
use crate::host::Platform;
use crate::image::meta::{Shipment, SyncRequest};
use crate::json::Json;
use crate::race::{Racer, all_of, first_of};
use crate::text::join;
use crate::wire::rows;

/// Rows of one insert at most.
const ROWS_AT_ONCE: usize = 500;
/// Inserts in a row that a gateway may turn away: as many as it takes to find one row by halves.
const TURNED_AWAY_AT_MOST: u32 = 10;
/// Ids of one read-back at most: they stand in its URL.
const IDS_AT_ONCE: usize = 100;

impl<P: Platform> Client<P> {
    /// Uploads all images, `concurrency` at once, and inserts their rows in bulk, as soon as there are enough of them. The
    /// outcomes are in the requests' order. When `stopped` ends first, its error is that of all that has not arrived by then.
    pub async fn sync_many(
        &self,
        requests: Vec<Result<SyncRequest<P::Bytes>, Error>>,
        concurrency: u32,
        call: &Call,
        stopped: Racer<'_, Error>,
    ) -> Vec<Result<Synced, Error>> {
        // All of one day, though the last may wait past midnight for its turn.
        let now_ms = self.platform.now_ms();
        let requests = requests.into_iter().map(|request| request.map(|request| request.dated(now_ms))).collect();
        let mut batch = Batch::new(requests, concurrency, &self.platform);
        batch.knows_paths = !self.config.is_relay() || !self.config.owner_user_id.is_empty();
        call.meter.total.set(batch.total);
        call.meter.reach(Reached::Upload, 0.0);
        let work = async {
            let lanes =
                (0..concurrency.saturating_mul(2)).map(|_| Box::pin(self.work_on(&batch, call)) as Racer<'_, ()>);
            all_of(lanes.collect()).await;
            call.meter.reach(Reached::Done, batch.total);
            None
        };
        let interrupted = async { Some(stopped.await) };
        let stop = first_of(Box::pin(interrupted), Box::pin(work)).await;
        let unfinished = stop.unwrap_or_else(|| Error::new(Stage::Request, Code::Rejected, "not tried"));
        batch.outcomes(&unfinished)
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
            let own = Call::new(part.clone(), None);
            let uploaded = self.upload(&shipment, &own, &Unkept).await;
            part.reach(self.platform.size(&shipment.image));
            uploaded.map(|storage_path| (shipment, storage_path, own.is_queued()))
        };
        match outcome.await {
            Ok((Shipment { image_id, .. }, storage_path, queued)) if self.config.is_relay() => {
                batch.land(index, Synced { storage_path, image_id, queued });
            }
            Ok((shipment, ..)) => batch.keep(index, shipment),
            Err(error) => batch.settle(index, Err(error)),
        }
    }

    /// Inserts a group of rows. What the database refuses is found in its parts.
    async fn insert_one(&self, group: Group<P::Bytes>, batch: &Batch<P::Bytes>, call: &Call) {
        let own = Call::new(Rc::new(Part::new(call.meter.clone(), batch.sent.clone())), None);
        let inserted = self.insert_group(&group.rows, &own).await;
        match inserted {
            Err(error) if batch.turns_all_away(Some(&error)) => {
                batch.add(vec![group]);
                batch.give_up_rows(&error);
            }
            Ok(confirmed) => {
                batch.turns_all_away(None);
                group.note(false);
                for (index, shipment) in &group.rows {
                    let is_confirmed = confirmed.contains(&shipment.image_id);
                    batch.settle(*index, if is_confirmed { Ok(()) } else { Err(rows::id_taken(shipment)) });
                }
            }
            Err(error) if group.rows.len() > 1 && may_be_one_rows_fault(&error) => batch.add(group.parts()),
            Err(error) => {
                group.note(true);
                group.rows.iter().for_each(|(index, _)| batch.settle(*index, Err(error.clone())));
            }
        }
    }

    /// The ids whose rows are there now and are ours.
    async fn insert_group(&self, group: &[Kept<P::Bytes>], call: &Call) -> Result<BTreeSet<String>, Error> {
        let rows: Vec<&str> = group.iter().map(|(_, shipment)| shipment.row.as_str()).collect();
        let columns = self.columns(&rows);
        let build = || rows::insert_many(&self.config, &rows, &columns);
        let inserted = self.until_answered(call, Stage::Insert, &build, &rows::read_ids).await?;
        // One by one: to collect them would sort them first, by code that nothing else needs.
        let mut confirmed = BTreeSet::new();
        confirmed.extend(inserted.split([',']).map(str::to_owned));
        // Left out of the answer is a row whose id was there before: an earlier attempt's, or another one's.
        let missing: Vec<&Shipment<P::Bytes>> = group
            .iter()
            .map(|(_, shipment)| shipment)
            .filter(|shipment| !confirmed.contains(&shipment.image_id))
            .collect();
        for some in missing.chunks(IDS_AT_ONCE) {
            let build = || rows::read_back_many(&self.config, some);
            let read = |response: &_| rows::read_holders(some, response);
            let ours = self.until_answered(call, Stage::Insert, &build, &read).await?;
            confirmed.extend(ours.split([',']).map(str::to_owned));
        }
        Ok(confirmed)
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
fn may_be_one_rows_fault(error: &Error) -> bool {
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

/// What a lane does next.
enum Task<B> {
    /// Of the next request.
    Upload,
    Insert(Group<B>),
}

/// Requests by their place in the call; one that could not be read has its error.
type Queue<B> = Enumerate<IntoIter<Result<SyncRequest<B>, Error>>>;

/// One call's images and what has become of them.
struct Batch<B> {
    queue: RefCell<Queue<B>>,
    /// How many images are uploaded at once at most. Rows are small: as many inserts may go beside them.
    lanes: u32,
    uploading: Cell<u32>,
    inserting: Cell<u32>,
    /// Uploaded, and not yet enough for an insert.
    uploaded: RefCell<Vec<Kept<B>>>,
    /// The next one stands last.
    groups: RefCell<Vec<Group<B>>>,
    is_uploaded: Cell<bool>,
    /// The last inserts that a gateway turned away, without another one between them.
    turned_away: Cell<u32>,
    /// Who waits for something to do.
    idle: RefCell<Option<Waker>>,
    /// In the requests' order.
    slots: RefCell<Vec<Slot>>,
    taken: Taken<String>,
    /// Bytes that are sent, or of images that failed.
    sent: Rc<Cell<f64>>,
    total: f64,
    /// Whether paths are known before the Worker has said them.
    knows_paths: bool,
}

/// The paths and ids that images of one call have. A path has a slash and an id has none, so one set holds both.
struct Taken<K>(RefCell<BTreeSet<K>>);

impl<K> Default for Taken<K> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Ord> Taken<K> {
    /// Whether nobody had it before.
    fn take(&self, key: K) -> bool {
        self.0.borrow_mut().insert(key)
    }
}

/// Adds one image's progress to that of all.
struct Part {
    whole: Rc<Meter>,
    sent: Rc<Cell<f64>>,
    own: Cell<f64>,
}

impl Part {
    fn new(whole: Rc<Meter>, sent: Rc<Cell<f64>>) -> Self {
        Self { whole, sent, own: Cell::new(0.0) }
    }

    fn reach(&self, own: f64) {
        let further = own - self.own.replace(own);
        self.sent.set(self.sent.get() + further);
        self.whole.reach(Reached::Upload, self.sent.get());
    }
}

impl Observer for Part {
    fn progress(&self, progress: Progress) {
        self.reach(progress.sent);
    }

    fn retrying(&self, retrying: Retrying) {
        self.whole.observer.retrying(retrying);
    }

    fn watches(&self) -> bool {
        self.whole.observer.watches()
    }
}

/// What is known of one request.
struct Slot {
    fixed: Option<Synced>,
    outcome: Option<Result<(), Error>>,
}

impl<B> Batch<B> {
    fn new(requests: Vec<Result<SyncRequest<B>, Error>>, lanes: u32, platform: &impl Platform<Bytes = B>) -> Self {
        let total = requests.iter().flatten().map(|request| platform.size(&request.image)).sum();
        let slots = requests.iter().map(|_| Slot { fixed: None, outcome: None }).collect();
        Self {
            queue: RefCell::new(requests.into_iter().enumerate()),
            lanes,
            uploading: Cell::new(0),
            inserting: Cell::new(0),
            uploaded: RefCell::default(),
            groups: RefCell::default(),
            is_uploaded: Cell::new(false),
            turned_away: Cell::new(0),
            idle: RefCell::default(),
            slots: RefCell::new(slots),
            taken: Taken::default(),
            sent: Rc::new(Cell::new(0.0)),
            total,
            knows_paths: true,
        }
    }

    /// Notes an image's path and id. Two images of one call can share neither: the later would take the earlier's place,
    /// or be passed over in the insert for its id's sake.
    fn claim(&self, index: usize, shipment: &Shipment<B>) -> Result<(), Error> {
        let synced = Synced {
            storage_path: shipment.storage_path.as_str().to_owned(),
            image_id: shipment.image_id.clone(),
            queued: false,
        };
        let has_new_path = self.taken.take(synced.storage_path.clone());
        let has_new_id = self.taken.take(synced.image_id.clone());
        let problem = match (has_new_path, has_new_id) {
            (false, _) => Some((Code::PathTaken, "another image of this call goes to this storage path")),
            (_, false) => Some((Code::IdTaken, "another image of this call has this imageId")),
            _ => None,
        };
        if let Some(slot) = self.slots.borrow_mut().get_mut(index) {
            slot.fixed = Some(synced);
        }
        match problem {
            None => Ok(()),
            Some((code, why)) => Err(Error::new(Stage::Request, code, why)),
        }
    }

    /// Gives a lane something to do; `None` when all is done, or soon will be by others.
    fn next_task(&self, call: &Call, context: &Context<'_>) -> Poll<Option<Task<B>>> {
        if let Some(group) = self.next_group(call) {
            self.inserting.set(self.inserting.get() + 1);
            return Poll::Ready(Some(Task::Insert(group)));
        }
        if self.uploading.get() < self.lanes && self.queue.borrow().len() > 0 {
            self.uploading.set(self.uploading.get() + 1);
            return Poll::Ready(Some(Task::Upload));
        }
        if self.uploading.get() + self.inserting.get() == 0 {
            return Poll::Ready(None);
        }
        // One is enough: all lanes are of one task.
        self.idle.replace(Some(context.waker().clone()));
        Poll::Pending
    }

    fn next_group(&self, call: &Call) -> Option<Group<B>> {
        let is_over = self.uploading.get() == 0 && self.queue.borrow().len() == 0;
        if is_over && !self.is_uploaded.replace(true) {
            call.enter(Stage::Insert);
            call.meter.reach(Reached::Insert, self.total);
        }
        // After one that a gateway turned away they go one by one: side by side they would soon be too many in a row.
        if self.turned_away.get() > 0 && self.inserting.get() > 0 {
            return None;
        }
        let waiting = self.uploaded.borrow().len();
        if waiting >= ROWS_AT_ONCE || (is_over && waiting > 0) {
            return Some(Group::new(self.uploaded.take()));
        }
        self.groups.borrow_mut().pop()
    }

    /// Counts an upload or insert that is done. What it brought may be for others.
    fn end_of(&self, kind: &Cell<u32>) {
        kind.set(kind.get() - 1);
        self.wake();
    }

    /// Whether a gateway lets no insert through any more, after one more of them.
    fn turns_all_away(&self, error: Option<&Error>) -> bool {
        let is_one_more = error.is_some_and(|error| error.turned_away);
        self.turned_away.set(if is_one_more { self.turned_away.get() + 1 } else { 0 });
        self.turned_away.get() > TURNED_AWAY_AT_MOST
    }

    /// Ends all that waits to be inserted.
    fn give_up_rows(&self, error: &Error) {
        let rows = self.groups.take().into_iter().flat_map(|group| group.rows).chain(self.uploaded.take());
        rows.for_each(|(index, _)| self.settle(index, Err(error.clone())));
    }

    fn add(&self, parts: Vec<Group<B>>) {
        self.groups.borrow_mut().extend(parts);
    }

    fn wake(&self) {
        if let Some(idle) = self.idle.take() {
            idle.wake();
        }
    }

    fn keep(&self, index: usize, shipment: Shipment<B>) {
        self.uploaded.borrow_mut().push((index, shipment));
    }

    /// The Worker has taken an image, and has said where it goes.
    fn land(&self, index: usize, synced: Synced) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(index) {
            slot.fixed = Some(synced);
            slot.outcome = Some(Ok(()));
        }
    }

    fn settle(&self, index: usize, outcome: Result<(), Error>) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(index) {
            slot.outcome = Some(outcome);
        }
    }

    fn outcomes(self, unfinished: &Error) -> Vec<Result<Synced, Error>> {
        let settle = |Slot { fixed, outcome }: Slot| match (outcome, fixed) {
            (Some(Ok(())), Some(synced)) => Ok(synced),
            (outcome, fixed) => {
                let mut error = outcome.and_then(Result::err).unwrap_or_else(|| unfinished.clone());
                if let Some(Synced { storage_path, image_id, .. }) = fixed {
                    let path = Some(storage_path).filter(|_| self.knows_paths);
                    (error.storage_path, error.image_id) = (path, Some(image_id));
                }
                Err(error)
            }
        };
        self.slots.take().into_iter().map(settle).collect()
    }
}

#[cfg(test)]
mod tests {
    use core::cmp::Ordering;

    use super::*;

    thread_local! {
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    /// A path that counts how often it is compared.
    #[derive(PartialEq, Eq)]
    struct Counted(usize);

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            LOOKS.set(LOOKS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    #[test]
    fn twice_as_many_images_are_not_looked_through_four_times_as_long() {
        let looks = |count: usize| {
            LOOKS.set(0);
            let taken = Taken::default();
            for number in 0..count {
                assert!(taken.take(Counted(number)));
                assert!(number == 0 || !taken.take(Counted(number / 2)), "one that is there is found");
            }
            LOOKS.get()
        };
        let (some, twice_as_many) = (looks(20_000), looks(40_000));
        assert!(twice_as_many as f64 <= 2.5 * some as f64, "{some} and {twice_as_many}");
    }
}
