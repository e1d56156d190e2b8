//! The images of one call and what has become of them: what each lane does next, and when rows are enough for an insert.

use core::cell::{Cell, RefCell};
use core::iter::Enumerate;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;
use std::vec::IntoIter;

use super::call::{Call, Meter, Observer, Progress, Reached, Retrying, Synced};
use super::group::Group;
use super::seen::Seen;
use crate::error::{Code, Error, Stage};
use crate::host::Platform;
use crate::image::meta::{Shipment, SyncRequest};

/// Rows of one insert at most.
const ROWS_AT_ONCE: usize = 500;
/// Bytes of them from which on they go: a sidecar may be long, and a statement has its time, a gateway its limit, and so has the
/// memory here.
const BYTES_AT_ONCE: usize = 1024 * 1024;
/// Inserts in a row that a gateway may turn away: as many as it takes to find one row by halves.
const TURNED_AWAY_AT_MOST: u32 = 10;

/// What a lane does next.
pub(super) enum Task<B> {
    /// Of the next request.
    Upload,
    Insert(Group<Kept<B>>),
}

/// An image that is uploaded, with its request's place in the call, and when it was uploaded, in ms since 1970.
pub(super) type Kept<B> = (usize, Shipment<B>, i64);

/// Requests by their place in the call; one that could not be read has its error.
type Queue<B> = Enumerate<IntoIter<Result<SyncRequest<B>, Error>>>;

/// One call's images and what has become of them.
pub(super) struct Batch<B> {
    pub(super) queue: RefCell<Queue<B>>,
    /// How many images are uploaded at once at most. Rows are small: as many inserts may go beside them.
    lanes: u32,
    pub(super) uploading: Cell<u32>,
    pub(super) inserting: Cell<u32>,
    /// Uploaded, and not yet enough for an insert.
    uploaded: RefCell<Vec<Kept<B>>>,
    /// Bytes of their rows.
    row_bytes: Cell<usize>,
    /// The next one stands last.
    groups: RefCell<Vec<Group<Kept<B>>>>,
    is_uploaded: Cell<bool>,
    /// The last inserts that a gateway turned away, without another one between them.
    turned_away: Cell<u32>,
    /// Who waits for something to do.
    idle: RefCell<Option<Waker>>,
    /// In the requests' order.
    slots: RefCell<Vec<Slot>>,
    /// The paths and ids that images have. A path has a slash and an id has none, so one set holds both.
    taken: RefCell<Seen<String>>,
    /// Bytes that are sent, or of images that failed.
    pub(super) sent: Rc<Cell<u64>>,
    pub(super) total: u64,
    /// Whether paths are known before the Worker has said them.
    pub(super) knows_paths: bool,
}

/// Adds one image's progress to that of all.
pub(super) struct Part {
    whole: Rc<Meter>,
    sent: Rc<Cell<u64>>,
    own: Cell<u64>,
}

impl Part {
    pub(super) fn new(whole: Rc<Meter>, sent: Rc<Cell<u64>>) -> Self {
        Self { whole, sent, own: Cell::new(0) }
    }

    pub(super) fn reach(&self, own: u64) {
        let before = self.own.replace(own);
        self.sent.set(self.sent.get() - before + own);
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
    pub(super) fn new(
        requests: Vec<Result<SyncRequest<B>, Error>>,
        lanes: u32,
        platform: &impl Platform<Bytes = B>,
    ) -> Self {
        let total = requests.iter().flatten().map(|request| platform.size(&request.image)).sum();
        let slots = requests.iter().map(|_| Slot { fixed: None, outcome: None }).collect();
        Self {
            queue: RefCell::new(requests.into_iter().enumerate()),
            lanes,
            uploading: Cell::new(0),
            inserting: Cell::new(0),
            uploaded: RefCell::default(),
            row_bytes: Cell::default(),
            groups: RefCell::default(),
            is_uploaded: Cell::new(false),
            turned_away: Cell::new(0),
            idle: RefCell::default(),
            slots: RefCell::new(slots),
            taken: RefCell::default(),
            sent: Rc::default(),
            total,
            knows_paths: true,
        }
    }

    /// Notes an image's path and id. Two images of one call can share neither: the later would take the earlier's place,
    /// or be passed over in the insert for its id's sake.
    pub(super) fn claim(&self, index: usize, shipment: &Shipment<B>) -> Result<(), Error> {
        let synced = Synced {
            storage_path: shipment.storage_path.as_str().to_owned(),
            image_id: shipment.image_id.clone(),
            queued: false,
            signed_url: None,
        };
        let has_new_path = self.taken.borrow_mut().add(synced.storage_path.clone());
        let has_new_id = self.taken.borrow_mut().add(synced.image_id.clone());
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
    pub(super) fn next_task(&self, call: &Call, context: &Context<'_>) -> Poll<Option<Task<B>>> {
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

    fn next_group(&self, call: &Call) -> Option<Group<Kept<B>>> {
        let is_over = self.uploading.get() == 0 && self.queue.borrow().len() == 0;
        if is_over && !self.is_uploaded.replace(true) {
            call.trace.enter(Stage::Insert);
            call.meter.reach(Reached::Insert, self.total);
        }
        // After one that a gateway turned away they go one by one: side by side they would soon be too many in a row.
        if self.turned_away.get() > 0 && self.inserting.get() > 0 {
            return None;
        }
        let waiting = self.uploaded.borrow().len();
        let is_enough = waiting >= ROWS_AT_ONCE || self.row_bytes.get() >= BYTES_AT_ONCE;
        if is_enough || (is_over && waiting > 0) {
            return Some(Group::new(self.take_rows()));
        }
        self.groups.borrow_mut().pop()
    }

    /// As many of those that are uploaded as go by one insert.
    fn take_rows(&self) -> Vec<Kept<B>> {
        let mut uploaded = self.uploaded.borrow_mut();
        let (mut count, mut bytes) = (0, 0);
        for (_, shipment, _) in uploaded.iter().take(ROWS_AT_ONCE) {
            if bytes >= BYTES_AT_ONCE {
                break;
            }
            (count, bytes) = (count + 1, bytes + shipment.row.len());
        }
        self.row_bytes.set(self.row_bytes.get() - bytes);
        if count == uploaded.len() { core::mem::take(&mut *uploaded) } else { uploaded.drain(..count).collect() }
    }

    /// Counts an upload or insert that is done. What it brought may be for others.
    pub(super) fn end_of(&self, kind: &Cell<u32>) {
        kind.set(kind.get() - 1);
        self.wake();
    }

    /// Whether a gateway lets no insert through any more, after one more of them.
    pub(super) fn turns_all_away(&self, error: Option<&Error>) -> bool {
        let is_one_more = error.is_some_and(|error| error.turned_away);
        self.turned_away.set(if is_one_more { self.turned_away.get() + 1 } else { 0 });
        self.turned_away.get() > TURNED_AWAY_AT_MOST
    }

    /// Ends all that waits to be inserted.
    pub(super) fn give_up_rows(&self, error: &Error) {
        let rows = self.groups.take().into_iter().flat_map(|group| group.rows).chain(self.uploaded.take());
        rows.for_each(|(index, ..)| self.settle(index, Err(error.clone())));
    }

    pub(super) fn add(&self, parts: Vec<Group<Kept<B>>>) {
        self.groups.borrow_mut().extend(parts);
    }

    fn wake(&self) {
        if let Some(idle) = self.idle.take() {
            idle.wake();
        }
    }

    pub(super) fn keep(&self, uploaded: Kept<B>) {
        self.row_bytes.set(self.row_bytes.get() + uploaded.1.row.len());
        self.uploaded.borrow_mut().push(uploaded);
    }

    /// The Worker has taken an image, and has said where it goes.
    pub(super) fn land(&self, index: usize, synced: Synced) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(index) {
            slot.fixed = Some(synced);
            slot.outcome = Some(Ok(()));
        }
    }

    pub(super) fn settle(&self, index: usize, outcome: Result<(), Error>) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(index) {
            slot.outcome = Some(outcome);
        }
    }

    pub(super) fn outcomes(self, unfinished: &Error) -> Vec<Result<Synced, Error>> {
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
