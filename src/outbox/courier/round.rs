//! One drain: what its workers do next, and what a gateway that turns jobs away does to the others.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

use super::{Kind, Stop};
use crate::error::{Error, Stage};
use crate::outbox::job::{Job, Limits, Which};
use crate::race::{Racer, first_of};
use crate::sync::group::Group;

/// Jobs that a gateway turns away in a row before it counts as one that lets nobody through, such as a captive portal.
const TURNED_AWAY_IN_A_ROW: usize = 3;

/// Jobs that are worked on at once whatever their size, and inserts, where the caller has not said how many.
const FEW: u32 = 3;

/// Rows that are enough for an insert.
const ROWS_AT_ONCE: usize = 50;

/// Jobs that are read at most while large ones before them wait for a lane.
const QUEUED_AT_MOST: usize = 500;

/// How long a row waits for others: what a kill can cost of uploads that are done is no more than this.
const ROWS_WAIT_MS: i64 = 1000;

/// One drain under way. All that waits in it is polled by one task, so that one waker is enough.
#[derive(Default)]
pub(super) struct Round {
    lanes: u32,
    /// So many of them whatever the size of their images; the others as long as all together stay below these bytes.
    few: u32,
    line_bytes: Option<u64>,
    /// Own waits that began by then, in ms since 1970, are disregarded.
    pub(super) forced_until_ms: Option<i64>,
    /// The store may hold what was not there when it was read.
    pub(super) unread: Cell<bool>,
    /// Where the last page that was read ended, if there is more behind it: time and position.
    pub(super) read_to: Cell<Option<(i64, u64)>>,
    /// Whether nothing was read yet.
    pub(super) is_new: Cell<bool>,
    reading: Cell<bool>,
    pub(super) queue: RefCell<Vec<Job>>,
    /// The jobs that this drain has taken from the queue and not put down.
    in_hand: RefCell<Vec<Which>>,
    /// Lanes that are taken, those of them by large images, and the bytes of the others.
    uploading: Cell<u32>,
    large: Cell<u32>,
    bytes: Cell<u64>,
    /// What is done and not stored yet.
    pub(super) unwritten: RefCell<Vec<Done>>,
    writing: Cell<bool>,
    /// Jobs of which could not be stored that they wait, or were refused.
    pub(super) unkept: RefCell<Vec<Job>>,
    /// Jobs whose bytes are in the bucket, each with when it came, in ms since 1970.
    rows: RefCell<Vec<(i64, Job)>>,
    resting: Cell<bool>,
    /// Parts of groups that were refused; the next one stands last.
    pub(super) groups: RefCell<Vec<Group<Job>>>,
    inserting: Cell<u32>,
    /// Jobs of which somebody said that they were discarded.
    doubts: RefCell<Vec<String>>,
    /// Those in hand that were.
    discarded: RefCell<Vec<String>>,
    /// Jobs that a gateway has turned away since one got through, in this drain: uploads, and rows.
    turned_away: [RefCell<Vec<String>>; 2],
    /// The same and those of earlier drains: the next that gets through holds it against them.
    suspects: RefCell<Vec<String>>,
    /// Those against whom it is held.
    pub(super) blamed: RefCell<Vec<String>>,
    waker: Cell<Option<Waker>>,
    pub(super) done: Cell<u32>,
    pub(super) failed: Cell<u32>,
    pub(super) stopped: Cell<Option<Stop>>,
    pub(super) broken: RefCell<Option<Error>>,
}

/// What a worker does next.
pub(super) enum Next {
    Read,
    /// Looks whether these are there.
    Look(Vec<Which>),
    Carry(Box<Job>),
    Write(Vec<Done>),
    Insert(Group<Job>),
    /// Nothing, until the rows have waited long enough; in ms.
    Rest(u32),
}

/// A step that is done, and still to be stored.
pub(super) enum Done {
    /// Its bytes are in the bucket.
    InBucket(Job),
    /// It waits, or was refused.
    PutDown(Job),
    /// The Worker has it.
    HandedOver(Job),
    /// Its row is there.
    Confirmed(Which),
    /// Its user has removed the image elsewhere.
    Removed(Which),
}

impl Round {
    /// One that disregards own waits that began by then.
    pub(super) fn new(limits: &Limits, forced_until_ms: Option<i64>) -> Self {
        let (unread, is_new) = (Cell::new(true), Cell::new(true));
        let Limits { concurrency: lanes, line_bytes, .. } = *limits;
        let few = if line_bytes.is_some() { lanes.min(FEW) } else { lanes };
        Self { lanes, few, line_bytes, forced_until_ms, unread, is_new, ..Self::default() }
    }

    /// Whether a job is tried whatever it waits for on its own account.
    pub(super) fn forces(&self, job: &Job) -> bool {
        self.forced_until_ms.is_some_and(|until_ms| job.wait_set_ms <= until_ms)
    }

    /// Nothing is next when the round is over. While others are busy there may still be something.
    pub(super) fn next(
        &self,
        now_ms: i64,
        is_large: &dyn Fn(&Job) -> bool,
        context: &Context<'_>,
    ) -> Poll<Option<Next>> {
        if self.broken.borrow().is_some() {
            return Poll::Ready(None);
        }
        // What is done is stored, whatever stops the round.
        let next = self.next_write();
        if self.stopped.get().is_some() {
            return Poll::Ready(next);
        }
        match next.or_else(|| self.next_step(now_ms, is_large)) {
            None if self.is_busy() => self.wait(context),
            next => Poll::Ready(next),
        }
    }

    fn is_busy(&self) -> bool {
        self.reading.get() || self.writing.get() || !self.in_hand.borrow().is_empty()
    }

    fn next_write(&self) -> Option<Next> {
        if self.writing.get() || self.unwritten.borrow().is_empty() {
            return None;
        }
        self.writing.set(true);
        Some(Next::Write(self.unwritten.take()))
    }

    fn next_step(&self, now_ms: i64, is_large: &dyn Fn(&Job) -> bool) -> Option<Next> {
        if !self.doubts.borrow().is_empty() {
            let doubts = self.doubts.take();
            let in_hand = self.in_hand.borrow();
            return Some(Next::Look(in_hand.iter().filter(|job| doubts.contains(&job.id)).cloned().collect()));
        }
        if let Some(group) = self.next_group(now_ms) {
            self.inserting.set(self.inserting.get() + 1);
            return Some(Next::Insert(group));
        }
        if !self.reading.get() && self.uploading.get() < self.lanes {
            let has_more = self.read_to.get().is_some() && self.queue.borrow().len() < QUEUED_AT_MOST;
            match self.next_place(is_large) {
                // One that the line has no room for is not overtaken by smaller ones.
                Some(place) => {
                    if let Some(job) = self.take(place, is_large) {
                        return Some(Next::Carry(Box::new(job)));
                    }
                }
                None if self.unread.get() || has_more => {
                    self.reading.set(true);
                    return Some(Next::Read);
                }
                None => {}
            }
        }
        // Where as many inserts are under way as may be, the rows wait for the first of them, and not for a time.
        let since_ms = self.rows_since_ms().filter(|_| !self.resting.get() && self.may_insert())?;
        self.resting.set(true);
        let left_ms = since_ms + ROWS_WAIT_MS - now_ms;
        Some(Next::Rest(left_ms.clamp(1, ROWS_WAIT_MS) as u32))
    }

    /// The first that there is a lane for. Of several lanes one is kept for images that are not large. An image is not removed
    /// while it is on its way, nor sent while its removal is.
    fn next_place(&self, is_large: &dyn Fn(&Job) -> bool) -> Option<usize> {
        let has_room = self.large.get() + 1 < self.few.max(2);
        let may_go = |job: &Job| match &job.removes {
            Some(image_id) => !self.has_in_hand(image_id),
            None => (has_room || !is_large(job)) && !self.has_in_hand(&Job::removal_id(&job.id)),
        };
        self.queue.borrow().iter().position(may_go)
    }

    /// A job from the queue, unless the line has no room for it.
    fn take(&self, place: usize, is_large: &dyn Fn(&Job) -> bool) -> Option<Job> {
        let mut queue = self.queue.borrow_mut();
        let bytes = self.bytes.get().saturating_add(queue.get(place)?.size);
        if self.uploading.get() >= self.few && self.line_bytes.is_some_and(|line_bytes| bytes > line_bytes) {
            return None;
        }
        let job = queue.remove(place);
        self.uploading.set(self.uploading.get() + 1);
        if is_large(&job) {
            self.large.set(self.large.get() + 1);
        } else {
            self.bytes.set(bytes);
        }
        // Its next answer is waited for.
        forget(&self.suspects, &job.id);
        self.in_hand.borrow_mut().push(job.which());
        Some(job)
    }

    /// Its user wants a pause: what is on its way ends now, and what is done is stored.
    pub(super) fn pause(&self) {
        self.stopped.set(Some(Stop::Paused));
        self.wake();
    }

    /// What `work` comes to, if no pause ends it before.
    pub(super) async fn unless_paused(&self, work: Racer<'_, Result<(), Error>>) -> Result<(), Error> {
        let paused = poll_fn(|context| match self.stopped.get() {
            Some(Stop::Paused) => Poll::Ready(Ok(())),
            _ => self.wait(context),
        });
        first_of(Box::pin(paused), work).await
    }

    /// When the first of the rows came: what an insert took along no longer counts for those that it left.
    fn rows_since_ms(&self) -> Option<i64> {
        self.rows.borrow().first().map(|(since_ms, _)| *since_ms)
    }

    fn may_insert(&self) -> bool {
        self.inserting.get() < self.few
    }

    /// Rows that are enough, or have waited long enough, or for which there is nothing to wait.
    fn next_group(&self, now_ms: i64) -> Option<Group<Job>> {
        if !self.may_insert() {
            return None;
        }
        if let Some(part) = self.groups.borrow_mut().pop() {
            return Some(part);
        }
        let waited_ms = now_ms - self.rows_since_ms()?;
        let mut rows = self.rows.borrow_mut();
        let is_last = self.uploading.get() == 0
            && self.queue.borrow().is_empty()
            && !(self.reading.get() || self.unread.get() || self.writing.get())
            && self.read_to.get().is_none();
        // A clock that was put back tells nothing. Who was turned away is judged by whether others get through.
        let is_time = is_last
            || rows.len() >= ROWS_AT_ONCE
            || !(0..ROWS_WAIT_MS).contains(&waited_ms)
            || !self.suspects.borrow().is_empty();
        if !is_time {
            return None;
        }
        let count = rows.len().min(ROWS_AT_ONCE);
        Some(Group::new(rows.drain(..count).map(|(_, job)| job).collect()))
    }

    /// The bytes of a job are in the bucket, and the store says so.
    pub(super) fn add_row(&self, job: Job, now_ms: i64) {
        self.rows.borrow_mut().push((now_ms, job));
    }

    /// Ends when no row waits any more.
    pub(super) fn has_no_rows(&self, context: &Context<'_>) -> Poll<()> {
        let is_over = self.stopped.get().is_some() || self.broken.borrow().is_some();
        if is_over || self.rows.borrow().is_empty() { Poll::Ready(()) } else { self.wait(context) }
    }

    /// A worker has done what [`Round::next`] gave it.
    pub(super) fn end_of(&self, next: Kind) {
        let less = |count: &Cell<u32>| count.set(count.get().saturating_sub(1));
        match next {
            Kind::Read => self.reading.set(false),
            Kind::Write => self.writing.set(false),
            Kind::Insert => less(&self.inserting),
            Kind::Rest => self.resting.set(false),
            Kind::Carry { size, is_large } => {
                less(&self.uploading);
                if is_large {
                    less(&self.large);
                } else {
                    self.bytes.set(self.bytes.get().saturating_sub(size));
                }
            }
            Kind::Look => {}
        }
        self.wake();
    }

    /// The drain has nothing more to do with a job.
    pub(super) fn put_down(&self, id: &str) {
        self.in_hand.borrow_mut().retain(|job| job.id != id);
        forget(&self.discarded, id);
    }

    /// The same of one that is gone: there may be another under its id, which was not taken as long as it was in hand.
    pub(super) fn let_go(&self, id: &str) {
        self.put_down(id);
        self.unread.set(true);
    }

    /// The ids of the jobs that are in hand, and of those that it is done with though the store does not say so.
    pub(super) fn ids_in_hand(&self) -> Vec<String> {
        let (in_hand, unkept) = (self.in_hand.borrow(), self.unkept.borrow());
        in_hand.iter().map(|job| &job.id).chain(unkept.iter().map(|job| &job.id)).cloned().collect()
    }

    fn has_in_hand(&self, id: &str) -> bool {
        self.in_hand.borrow().iter().any(|job| job.id == id)
    }

    /// These jobs are gone: it lets go of those that it still has in hand.
    pub(super) fn discard(&self, gone: &[Which]) {
        let in_hand = self.in_hand.borrow();
        gone.iter().filter(|job| in_hand.contains(job)).for_each(|job| note(&self.discarded, &job.id));
    }

    /// Somebody says that a job was discarded.
    pub(super) fn doubt(&self, id: &str) {
        if self.has_in_hand(id) {
            self.doubts.borrow_mut().push(id.to_owned());
            self.wake();
        }
    }

    /// Whether the job was discarded, as far as it knows.
    pub(super) fn has_discarded(&self, id: &str) -> bool {
        holds(&self.discarded, id)
    }

    /// Ends when the job was discarded.
    pub(super) fn is_discarded<T>(&self, id: &str, context: &Context<'_>) -> Poll<Option<T>> {
        if self.has_discarded(id) { Poll::Ready(None) } else { self.wait(context) }
    }

    pub(super) fn suspect(&self, id: &str) {
        note(&self.suspects, id);
    }

    /// A gateway turned the job away. That it turns everybody away is the more likely the more there are.
    pub(super) fn turned_away(&self, id: &str, stage: Stage) {
        self.suspect(id);
        let [uploads, rows] = &self.turned_away;
        let turned_away = if stage == Stage::Insert { rows } else { uploads };
        note(turned_away, id);
        if turned_away.borrow().len() >= TURNED_AWAY_IN_A_ROW {
            self.stopped.set(Some(Stop::TurnedAway));
        }
    }

    /// The gateway let an upload through.
    pub(super) fn uploaded(&self) {
        let [uploads, _] = &self.turned_away;
        uploads.take();
    }

    /// A job got through: so the gateway turned away those before it for what they are.
    pub(super) fn got_through(&self) {
        self.turned_away.iter().for_each(|turned_away| drop(turned_away.take()));
        let blamed = self.suspects.take();
        if !blamed.is_empty() {
            self.blamed.borrow_mut().extend(blamed);
            self.unread.set(true);
        }
    }

    fn wait<T>(&self, context: &Context<'_>) -> Poll<T> {
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Few ids each: a list is looked through as quickly as a tree.
fn holds(ids: &RefCell<Vec<String>>, id: &str) -> bool {
    ids.borrow().iter().any(|known| known == id)
}

fn note(ids: &RefCell<Vec<String>>, id: &str) {
    if !holds(ids, id) {
        ids.borrow_mut().push(id.to_owned());
    }
}

fn forget(ids: &RefCell<Vec<String>>, id: &str) {
    ids.borrow_mut().retain(|known| known != id);
}
