//! The outbox's driver: takes jobs from the store, has the client send them, and keeps the store's word of them true.
//!
//! Whoever drains holds the outbox's lock; that, and one transaction a step, is what makes a killed tab's jobs safe.

use core::cell::RefCell;
use core::future::poll_fn;
use std::rc::Rc;

mod remove;
mod repair;
mod round;
mod rows;
mod send;
mod write;

use serde::Serialize;

use self::round::{Next, Round};
use self::send::Bytes;
use crate::error::{Code, Error, Stage};
use crate::host::{Added, Amended, Platform, Query, Store, Stored};
use crate::image::meta::SyncRequest;
use crate::image::row::check_length;
use crate::json::to_text;
use crate::limits;
use crate::outbox::job::{Job, Limits, Verdict, Which};
use crate::race::{Racer, all_of, beside, first_of};
use crate::sync::call::{Call, Synced};
use crate::sync::client::Client;

/// Jobs that are read at once.
const PAGE: usize = 50;

/// Who is told of every change to a job.
pub trait Witness {
    /// The job is as it says now.
    fn changed(&self, job: &Job);
    /// So many bytes of the job's image are sent.
    fn progress(&self, id: &str, sent: u64, total: u64);
    /// Nothing is kept of the job.
    fn ended(&self, id: &str, how: End);
}

/// How a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its row is confirmed.
    Done,
    /// Its image won't be there.
    Discarded,
    /// The store does not have the job any more that was in hand; who listens looks whether that has been told.
    Gone,
}

impl End {
    /// As listeners are told it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Discarded => "discarded",
            Self::Gone => "gone",
        }
    }
}

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Drained {
    /// Images that arrived, or that the Worker has.
    pub done: u32,
    /// Jobs that failed for good.
    pub failed: u32,
    /// Jobs that are still there and may be tried again.
    pub waiting: u32,
    /// Why it stopped before every job was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// When the next waiting job may be tried, in ms since 1970.
    #[serde(rename = "nextDue", skip_serializing_if = "Option::is_none")]
    pub next_due_ms: Option<i64>,
}

/// Why a drain stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// A gateway lets nobody through.
    #[serde(rename = "unavailable")]
    TurnedAway,
    /// The caller wants a pause.
    Paused,
    /// The user's token is gone, refused, or another user's.
    #[serde(untagged)]
    Token(Code),
}

/// Which of a round's counts a worker's end is about.
enum Kind {
    Read,
    Look,
    Carry { size: u64, is_large: bool },
    Write,
    Insert,
    Rest,
}

/// The outbox of one user on one host.
pub struct Courier<P: Platform, S> {
    client: Rc<Client<P>>,
    store: S,
    limits: Limits,
    witness: Rc<dyn Witness>,
    /// The last drain, which may still be under way.
    round: RefCell<Rc<Round>>,
}

impl<P: Platform, S: Store<Bytes = P::Bytes>> Courier<P, S> {
    /// An outbox over a store, sending through a client.
    pub fn new(client: Rc<Client<P>>, store: S, limits: Limits, witness: Rc<dyn Witness>) -> Self {
        Self { client, store, limits, witness, round: RefCell::default() }
    }

    /// Has the drain under way look at the store again, for jobs that are new or due.
    pub fn look_again(&self) {
        let round = self.round.borrow();
        round.unread.set(true);
        round.wake();
    }

    /// Has the drain under way let go of a job, if it is gone: what is said is not believed.
    pub fn discarded(&self, id: &str) {
        self.round.borrow().doubt(id);
    }

    /// Tells the server that nobody will go on with an upload whose job was discarded.
    pub async fn abandon(&self, upload_id: &str) -> Result<(), Error> {
        if !self.client.target().is_project() {
            return Ok(()); // without a ticket nobody may, and it ends by itself
        }
        let call = Call::for_owner(Rc::new(Bytes::new("", self.witness.clone())));
        self.client.abandon(upload_id, &call).await
    }

    /// Fixes path, id and row, and stores them with the image. The same id and path once more is no second job.
    pub async fn enqueue(&self, request: SyncRequest<P::Bytes>) -> Result<Synced, Error> {
        request.check_limits()?;
        let platform = self.client.platform();
        platform.load(&request.image).await;
        let (settled, image) = self.client.settle(request).await?;
        check_length("request", &to_text(&settled.meta), limits::REQUEST)?;
        let mut job = Job::new(settled, platform.size(&image), platform.now_ms());
        let problem = match self.store.add(&job, &image, &self.limits).await? {
            Added::New(position) => {
                job.position = position;
                self.witness.changed(&job);
                self.look_again();
                None
            }
            Added::Known => None,
            Added::IdTaken => Some((Code::IdTaken, "another image of the outbox has this imageId")),
            Added::PathTaken => Some((Code::PathTaken, "another image of the outbox is on its way to this path")),
            Added::Full => Some((Code::OutboxFull, "it holds as many images or bytes as it may")),
        };
        match problem {
            None => Ok(Synced { storage_path: job.storage_path, image_id: job.id, queued: false, signed_url: None }),
            Some((code, why)) => {
                let mut error = Error::new(Stage::Outbox, code, format!("outbox: {why}"));
                (error.storage_path, error.image_id) = (Some(job.storage_path), Some(job.id));
                error.retryable = code == Code::OutboxFull;
                Err(error)
            }
        }
    }

    /// Tries every job that is due: those that were never tried, the oldest first, then the others by when they are due, and
    /// those too that become so meanwhile; `forced` tries also those that waited on their own account when it began. Ends
    /// early, its uploads aborted, when `paused` does. The caller holds the outbox's lock.
    pub async fn drain(&self, forced: bool, paused: Racer<'_, ()>) -> Result<Drained, Error> {
        let forced_until_ms = forced.then(|| self.client.platform().now_ms());
        let round = Rc::new(Round::new(&self.limits, forced_until_ms));
        self.round.replace(round.clone());
        // As many uploads as there are lanes, as many inserts beside them, and who reads, writes, looks and waits.
        let workers = self.limits.concurrency.saturating_mul(2).saturating_add(4);
        let work = all_of((0..workers).map(|_| Box::pin(self.work(&round)) as Racer<'_, ()>).collect());
        let interrupted = async {
            paused.await;
            round.pause();
        };
        beside(Box::pin(work), &mut Some(Box::pin(interrupted))).await;
        if let Some(error) = round.broken.take() {
            return Err(error);
        }
        // What had no room may have some now, of what left.
        let unkept = round.unkept.take();
        self.keep(&unkept.iter().collect::<Vec<_>>(), &[]).await?;
        // Who was turned away is judged even where the drain ended with that.
        self.judge(&round, &[]).await?;
        let outlook = self.store.outlook().await?;
        Ok(Drained {
            done: round.done.get(),
            failed: round.failed.get(),
            waiting: outlook.waiting,
            stopped: round.stopped.get(),
            next_due_ms: self.next_due_ms(outlook.next_due_ms).await?,
        })
    }

    /// When the first waiting job may be tried: a wait of a clock put back since counts for nothing.
    async fn next_due_ms(&self, soonest_ms: Option<i64>) -> Result<Option<i64>, Error> {
        let now_ms = self.client.platform().now_ms();
        Ok(match soonest_ms {
            Some(soonest_ms) if soonest_ms > now_ms => {
                let is_due = !self.store.waiting(Query::WaitSince(now_ms), 1).await?.is_empty();
                Some(if is_due { now_ms } else { soonest_ms })
            }
            Some(_) => Some(now_ms),
            None => None,
        })
    }

    async fn work(&self, round: &Round) {
        let platform = self.client.platform();
        let is_large = |job: &Job| self.client.is_large(job.size);
        while let Some(next) = poll_fn(|context| round.next(platform.now_ms(), &is_large, context)).await {
            let (kind, done) = match next {
                Next::Read => (Kind::Read, self.read(round).await),
                Next::Look(jobs) => (Kind::Look, self.look(&jobs, round).await),
                Next::Carry(job) => {
                    let kind = Kind::Carry { size: job.size, is_large: is_large(&job) };
                    (kind, round.unless_paused(Box::pin(self.carry(*job, round))).await)
                }
                // What is being stored is stored, and told of, whatever stops the round.
                Next::Write(done) => (Kind::Write, self.write(done, round).await),
                Next::Insert(group) => (Kind::Insert, round.unless_paused(Box::pin(self.insert(group, round))).await),
                Next::Rest(ms) => {
                    let over = poll_fn(|context| round.has_no_rows(context));
                    first_of(Box::pin(over), Box::pin(platform.sleep(ms))).await;
                    (Kind::Rest, Ok(()))
                }
            };
            if let Err(broken) = done {
                // The store itself fails: nothing more can be promised.
                round.broken.replace(Some(broken));
            }
            round.end_of(kind);
        }
    }

    /// Queues the next jobs that are due and in nobody's hands; from the first on where something may be new.
    async fn read(&self, round: &Round) -> Result<(), Error> {
        let is_anew = round.unread.take();
        // Nothing is taken in hand while this reads; what is put down meanwhile may be another than it was read.
        let in_hand = round.ids_in_hand();
        if is_anew {
            round.queue.borrow_mut().clear();
            round.read_to.set(None);
            self.judge(round, &in_hand).await?;
        }
        let now_ms = self.client.platform().now_ms();
        let is_forced = round.forced_until_ms.is_some();
        let until_ms = if is_forced { None } else { Some(now_ms) };
        // From the first on those in hand come again; behind a page there are only others.
        let most = if is_anew { PAGE + in_hand.len() } else { PAGE };
        let mut found = self.store.waiting(Query::Due { after: round.read_to.get(), until_ms }, most).await?;
        let end = found.last().filter(|_| found.len() == most);
        round.read_to.set(end.map(|stored| (stored.not_before_ms, stored.position)));
        if is_anew && !is_forced {
            let postponed = self.store.waiting(Query::WaitSince(now_ms), most).await?;
            // The rest after these.
            round.unread.set(round.unread.get() || postponed.len() == most);
            // One that was told to be tried again is among those before.
            found.extend(postponed.into_iter().filter(|stored| stored.not_before_ms > now_ms));
        }
        let mut jobs = self.parse_all(&found).await?;
        jobs.retain(|job| !in_hand.contains(&job.id) && job.is_due(now_ms, round.forces(job)));
        round.queue.borrow_mut().extend(jobs);
        Ok(())
    }

    /// The jobs of what is stored; one that can't be read is left alone, and looked for no more.
    async fn parse_all(&self, found: &[Stored]) -> Result<Vec<Job>, Error> {
        let unreadable = found.iter().filter(|stored| parse(stored).is_none()).map(|stored| stored.id.clone());
        let unreadable: Vec<String> = unreadable.collect();
        if !unreadable.is_empty() {
            unless_full(self.store.shelve(&unreadable).await)?;
        }
        Ok(found.iter().filter_map(parse).collect())
    }

    /// Holds it against those that were turned away where others got through since.
    async fn judge(&self, round: &Round, in_hand: &[String]) -> Result<(), Error> {
        if round.is_new.take() {
            let suspects = self.store.waiting(Query::Suspects, PAGE).await?;
            suspects.iter().for_each(|stored| round.suspect(&stored.id));
        }
        for id in round.blamed.take().iter().filter(|id| !in_hand.contains(*id)) {
            let stored = self.store.job(id).await?;
            let Some((mut job, revision)) = stored.as_ref().and_then(|stored| Some((parse(stored)?, stored.revision)))
            else {
                continue;
            };
            if !job.is_suspect {
                continue;
            }
            let is_failed = job.blame();
            // Where its user was quicker, that counts.
            if unless_full(self.store.amend(&job, revision).await)? == Some(Amended::Stored) {
                round.failed.set(round.failed.get() + u32::from(is_failed));
                self.witness.changed(&job);
            }
        }
        Ok(())
    }

    /// Lets go of those that were discarded.
    async fn look(&self, jobs: &[Which], round: &Round) -> Result<(), Error> {
        let known = self.store.known(jobs).await?;
        let gone = jobs.iter().zip(known).filter(|(_, known)| !known).map(|(job, _)| job.clone());
        round.discard(&gone.collect::<Vec<_>>());
        Ok(())
    }

    /// The store does not have the job any more, unless another tab has taken the lock: then that may be done with it.
    fn let_go(&self, id: &str, round: &Round) {
        round.let_go(id);
        if round.stopped.get() != Some(Stop::Paused) {
            self.witness.ended(id, End::Gone);
        }
    }

    /// A stage of the job failed.
    fn refuse(&self, job: &mut Job, error: &Error, round: &Round) {
        let platform = self.client.platform();
        match job.fail(error, platform.now_ms(), self.client.policy(), platform.jitter()) {
            Verdict::Later if error.turned_away => round.turned_away(&job.id, error.stage),
            Verdict::Later => {}
            Verdict::Failed => round.failed.set(round.failed.get() + 1),
            Verdict::Stop(code) => round.stopped.set(Some(Stop::Token(code))),
        }
    }
}

/// Nothing where the storage is full: what is not noted then is found out again, and no reason to keep the others.
fn unless_full<T>(done: Result<T, Error>) -> Result<Option<T>, Error> {
    match done {
        Err(error) if error.code == Code::QuotaExceeded => Ok(None),
        done => done.map(Some),
    }
}

fn parse(stored: &Stored) -> Option<Job> {
    Job::parse(stored.position, &stored.json)
}

#[cfg(test)]
mod tests;
