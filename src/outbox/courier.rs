//! The outbox's driver: takes jobs from the store, has the client send them, and keeps the store's word of them true.
//!
//! Whoever drains holds the outbox's lock; that, and one transaction a step, is what makes a killed tab's jobs safe.

use core::cell::RefCell;
use core::future::poll_fn;
use std::rc::Rc;

mod round;

use serde::Serialize;

use self::round::{Next, Round, in_turn};
use crate::error::{Code, Error, Stage};
use crate::host::{Added, Platform, Store};
use crate::image::meta::SyncRequest;
use crate::image::row::check_length;
use crate::limits;
use crate::outbox::job::{Job, Limits, Verdict};
use crate::race::{Racer, all_of, first_of};
use crate::sync::call::{Call, Observer, Progress, Resumption, Retrying, Synced, Work};
use crate::sync::client::Client;
use crate::text::name;
use crate::wire::Landed;

/// Who is told of every change to a job.
pub trait Witness {
    /// The job is as it says now.
    fn changed(&self, job: &Job);
    /// So many bytes of the job's image are sent.
    fn progress(&self, id: &str, sent: f64, total: f64);
    /// The job's row is confirmed; nothing of it is kept.
    fn done(&self, id: &str);
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
    pub next_due_ms: Option<f64>,
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

    /// Has the drain under way look at the store again: for jobs that are new or due, and for those that are gone.
    pub fn look_again(&self) {
        let round = self.round.borrow();
        round.unread.set(true);
        round.wake();
    }

    /// Tells the server that nobody will go on with an upload whose job was discarded.
    pub async fn abandon(&self, upload_id: &str) -> Result<(), Error> {
        if !self.client.target().is_project() {
            return Ok(()); // without a ticket nobody may, and it ends by itself
        }
        let call = Call::for_owner(Rc::new(Bytes { id: String::new(), witness: self.witness.clone() }));
        self.client.abandon(upload_id, &call).await
    }

    /// Fixes path, id and row, and stores them with the image. The same id and path once more is no second job.
    pub async fn enqueue(&self, request: SyncRequest<P::Bytes>) -> Result<Synced, Error> {
        request.check_limits()?;
        let shipment = self.client.ship(request).await?;
        check_length("request", &shipment.request, limits::REQUEST)?;
        let platform = self.client.platform();
        let job = Job::new(&shipment, platform.size(&shipment.image), platform.now_ms());
        let problem = match self.store.add(&job, &shipment.image, &self.limits).await? {
            Added::New => {
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
            None => Ok(Synced { storage_path: job.storage_path, image_id: job.id, queued: false }),
            Some((code, why)) => {
                let mut error = Error::new(Stage::Outbox, code, format!("outbox: {why}"));
                (error.storage_path, error.image_id) = (Some(job.storage_path), Some(job.id));
                error.retryable = code == Code::OutboxFull;
                Err(error)
            }
        }
    }

    /// Tries every job that is due, the oldest first, those too that become so meanwhile; `forced` tries also those that
    /// waited on their own account when it began. Ends early, its uploads aborted, when `paused` does. The caller holds
    /// the outbox's lock.
    pub async fn drain(&self, forced: bool, paused: Racer<'_, ()>) -> Result<Drained, Error> {
        let forced_until_ms = if forced { self.client.platform().now_ms() } else { f64::MIN };
        let round = Rc::new(Round::new(forced_until_ms));
        self.round.replace(round.clone());
        let work = async {
            // One more, that reads when all the others have jobs.
            let workers = (0..=self.limits.concurrency).map(|_| Box::pin(self.work(&round)) as Racer<'_, ()>).collect();
            all_of(workers).await;
            None
        };
        let interrupted = async {
            paused.await;
            Some(Stop::Paused)
        };
        if let Some(stop) = first_of(Box::pin(interrupted), Box::pin(work)).await {
            round.stopped.set(Some(stop));
        }
        if let Some(error) = round.broken.take() {
            return Err(error);
        }
        let mut waiting = self.jobs().await?;
        waiting.retain(Job::is_waiting);
        let now_ms = self.client.platform().now_ms();
        Ok(Drained {
            done: round.done.get(),
            failed: round.failed.get(),
            waiting: waiting.len() as u32,
            stopped: round.stopped.get(),
            next_due_ms: waiting.iter().map(|job| job.due_ms(now_ms)).reduce(f64::min),
        })
    }

    /// Makes a failed or waiting job ready to be tried again.
    pub async fn retry(&self, id: &str) -> Result<(), Error> {
        let job = self.jobs().await?.into_iter().find(|job| job.id == id);
        let Some(mut job) = job else {
            return Err(Error::new(Stage::Outbox, Code::JobMissing, format!("outbox: no job {}", name(id))));
        };
        job.retry();
        self.keep(&job).await?;
        self.look_again();
        Ok(())
    }

    /// The jobs that can be read, the oldest first.
    async fn jobs(&self) -> Result<Vec<Job>, Error> {
        Ok(self.store.all().await?.iter().filter_map(Job::parse).collect())
    }

    async fn work(&self, round: &Round) {
        while let Some(next) = poll_fn(|context| round.next(self.limits.concurrency, context)).await {
            let done = match next {
                Next::Read => self.read(round).await,
                Next::Carry(job) => {
                    let id = job.id.clone();
                    let carried = self.carry(*job, round).await;
                    round.in_hand.borrow_mut().retain(|known| *known != id);
                    carried
                }
            };
            if let Err(broken) = done {
                // The store itself fails: nothing more can be promised.
                round.broken.replace(Some(broken));
            }
            round.wake();
        }
    }

    /// Queues what is due and in nobody's hands, and lets go of what was discarded.
    async fn read(&self, round: &Round) -> Result<(), Error> {
        // Nothing is taken in hand while this reads; what is put down meanwhile may be another than it was read.
        let in_hand = round.in_hand.borrow().clone();
        let read = self.read_and_blame(round, &in_hand).await;
        round.reading.set(false);
        let mut jobs = read?;
        let now_ms = self.client.platform().now_ms();
        let is_gone = |id: &&String| !jobs.iter().any(|job| job.id == **id);
        round.discarded.replace(in_hand.iter().filter(is_gone).cloned().collect());
        jobs.retain(|job| !in_hand.contains(&job.id) && job.is_due(now_ms, job.wait_set_ms <= round.forced_until_ms));
        round.queue.replace(in_turn(jobs).into_iter());
        Ok(())
    }

    /// The jobs, those among them that were turned away where others got through since held against them.
    async fn read_and_blame(&self, round: &Round, in_hand: &[String]) -> Result<Vec<Job>, Error> {
        let mut jobs = self.jobs().await?;
        let blamed = round.blamed.take();
        for job in jobs.iter_mut().filter(|job| job.is_suspect && !in_hand.contains(&job.id)) {
            if !blamed.contains(&job.id) {
                round.suspect(&job.id);
                continue;
            }
            if job.blame() {
                round.failed.set(round.failed.get() + 1);
            }
            self.keep(job).await?;
        }
        Ok(jobs)
    }

    /// Takes one job as far as it goes. The error is the store's.
    async fn carry(&self, mut job: Job, round: &Round) -> Result<(), Error> {
        job.begin();
        if !self.keep(&job).await? {
            return Ok(()); // discarded meanwhile
        }
        match self.send(&mut job, round).await {
            Ok(Sent::Confirmed) => {
                self.store.remove(&job.id).await?;
                round.done.set(round.done.get() + 1);
                round.got_through();
                self.witness.done(&job.id);
            }
            Ok(Sent::HandedOver) => {
                let platform = self.client.platform();
                job.hand_over(platform.now_ms(), self.client.policy(), platform.dice());
                self.keep(&job).await?;
                round.got_through();
            }
            Ok(Sent::Discarded) => {}
            Err(Trouble::Store(error)) => return Err(error),
            Err(Trouble::Job(error)) => {
                let platform = self.client.platform();
                let verdict = job.fail(&error, platform.now_ms(), self.client.policy(), platform.dice());
                match verdict {
                    Verdict::Later if error.turned_away => round.turned_away(&job.id),
                    Verdict::Later => {}
                    Verdict::Failed => round.failed.set(round.failed.get() + 1),
                    Verdict::Stop(code) => round.stopped.set(Some(Stop::Token(code))),
                }
                self.keep(&job).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, job: &mut Job, round: &Round) -> Result<Sent, Trouble> {
        let call = Call::for_owner(Rc::new(Bytes { id: job.id.clone(), witness: self.witness.clone() }));
        let platform = self.client.platform();
        // Once the bytes are in the bucket, only the row is sent; the Worker is always sent both.
        let only_row = job.uploaded && self.client.target().is_project();
        let image = if only_row { None } else { self.store.image(&job.id).await.map_err(Trouble::Store)? };
        match image.filter(|image| platform.size(image) == job.size) {
            Some(image) => {
                let shipment = job.shipment(self.client.owner_user_id(), image).map_err(Trouble::Job)?;
                let kept = Kept { courier: self, job: RefCell::new(job.clone()) };
                let upload = async { Some(self.client.upload(&shipment, &call, &kept).await) };
                let discarded = poll_fn(|context| round.is_discarded(&job.id, context));
                let Some(uploaded) = first_of(Box::pin(discarded), Box::pin(upload)).await else {
                    return Ok(Sent::Discarded);
                };
                *job = kept.job.into_inner();
                let landed = uploaded.map_err(|error| match error.stage {
                    Stage::Outbox => Trouble::Store(error),
                    _ => Trouble::Job(error),
                })?;
                match landed {
                    Landed::InBucket => {}
                    Landed::Stored { .. } => return Ok(Sent::Confirmed),
                    Landed::Queued { .. } => return Ok(Sent::HandedOver),
                }
                job.arrived_in_bucket();
                if !self.keep(job).await.map_err(Trouble::Store)? {
                    return Ok(Sent::Discarded);
                }
            }
            None if only_row => {}
            None => {
                let message = "outbox: the image of this job can't be read any more";
                return Err(Trouble::Job(Error::new(Stage::Outbox, Code::JobUnreadable, message)));
            }
        }
        let shipment = job.shipment(self.client.owner_user_id(), ()).map_err(Trouble::Job)?;
        self.client.insert(&shipment, &call).await.map_err(Trouble::Job)?;
        Ok(Sent::Confirmed)
    }

    /// Stores what the job has become and tells of it; false if it was discarded meanwhile.
    async fn keep(&self, job: &Job) -> Result<bool, Error> {
        let kept = self.store.update(job).await?;
        if kept {
            self.witness.changed(job);
        }
        Ok(kept)
    }
}

/// Keeps a job's upload resumable.
struct Kept<'a, P: Platform, S> {
    courier: &'a Courier<P, S>,
    job: RefCell<Job>,
}

impl<P: Platform, S> Kept<'_, P, S> {
    fn upload_id<'a>(&self, job: &'a mut Job) -> &'a mut Option<String> {
        if self.courier.client.target().has_tickets() { &mut job.ticket_upload_id } else { &mut job.upload_id }
    }
}

impl<P: Platform, S: Store<Bytes = P::Bytes>> Resumption for Kept<'_, P, S> {
    fn earlier(&self) -> Option<String> {
        self.upload_id(&mut self.job.borrow_mut()).clone()
    }

    fn keep<'a>(&'a self, id: Option<&'a str>) -> Work<'a, ()> {
        Box::pin(async move {
            if self.earlier().as_deref() == id {
                return Ok(());
            }
            *self.upload_id(&mut self.job.borrow_mut()) = id.map(str::to_owned);
            let job = self.job.borrow().clone();
            self.courier.keep(&job).await.map(|_| ())
        })
    }
}

enum Sent {
    Confirmed,
    HandedOver,
    Discarded,
}

enum Trouble {
    /// Sending failed: the job's affair.
    Job(Error),
    /// Keeping failed: everybody's.
    Store(Error),
}

/// Tells of a job's bytes. Its attempts are its own affair.
struct Bytes {
    id: String,
    witness: Rc<dyn Witness>,
}

impl Observer for Bytes {
    fn progress(&self, progress: Progress) {
        self.witness.progress(&self.id, progress.sent, progress.total);
    }

    fn retrying(&self, _: Retrying) {}

    fn watches(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
