//! One job's bytes on their way.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::Poll;
use std::rc::Rc;

use super::round::{Done, Round};
use super::{Courier, Witness};
use crate::error::{Code, Error, Stage};
use crate::host::{Platform, Store};
use crate::outbox::job::{Job, State};
use crate::race::first_of;
use crate::sync::call::{Call, Nobody, Observer, Progress, Resumption, Retrying, Work};
use crate::sync::client::is_swept_after;
use crate::wire::Landed;
use crate::wire::worker::{Standing, is_removed};

impl<P: Platform, S: Store<Bytes = P::Bytes>> Courier<P, S> {
    /// Takes one job as far as it goes without its row. The error is the store's.
    pub(super) async fn carry(&self, mut job: Job, round: &Round) -> Result<(), Error> {
        if let Some(image_id) = job.removes.clone() {
            return self.carry_removal(job, &image_id, round).await;
        }
        let platform = self.client.platform();
        // Once the bytes are in the bucket, only the row is sent; the Worker is always sent both.
        if job.uploaded && self.client.target().is_project() {
            match self.is_stored(&job).await {
                Ok(true) => {
                    let now_ms = platform.now_ms();
                    job.seen_ms = now_ms;
                    round.add_row(job, now_ms);
                    return Ok(());
                }
                Ok(false) => job.lost_in_bucket(),
                Err(error) => {
                    self.refuse(&mut job, &error, round);
                    round.unwritten.borrow_mut().push(Done::PutDown(job));
                    return Ok(());
                }
            }
        }
        let done = match self.send(&mut job, round).await {
            Ok(Sent::InBucket) => {
                round.uploaded();
                job.arrived_in_bucket(platform.now_ms());
                Done::InBucket(job)
            }
            Ok(Sent::Confirmed) => Done::Confirmed(job.which()),
            Ok(Sent::HandedOver) => {
                job.hand_over(platform.now_ms(), self.client.policy(), platform.jitter());
                Done::HandedOver(job)
            }
            Ok(Sent::Discarded) => {
                self.let_go(&job.id, round);
                return Ok(());
            }
            Err(Trouble::Store(error)) => return Err(error),
            Err(Trouble::Job(error)) if is_removed(&error) => Done::Removed(job.which()),
            Err(Trouble::Job(error)) => {
                self.refuse(&mut job, &error, round);
                Done::PutDown(job)
            }
        };
        round.unwritten.borrow_mut().push(done);
        Ok(())
    }

    /// Whether a job's bytes are in the bucket still. Soon after their upload, or another look, nobody is asked.
    pub(super) async fn is_stored(&self, job: &Job) -> Result<bool, Error> {
        if !is_swept_after(job.uploaded_ms.max(job.seen_ms), self.client.platform().now_ms()) {
            return Ok(true);
        }
        let shipment = self.client.shipment(job.settled()?, ());
        self.client.is_stored(&shipment, &Call::for_owner(Rc::new(Nobody))).await
    }

    /// What a job that was sent before has come to meanwhile, where that may have ended it: one that was put right may have
    /// arrived at the place where it was to go then, one that was handed over at its own. Where only the row is there, it goes to
    /// that place again.
    async fn become_of(&self, job: &mut Job) -> Result<Option<Sent>, Error> {
        if !self.client.target().is_project() {
            return self.become_of_handed_over(job).await;
        }
        let call = Call::for_owner(Rc::new(Nobody));
        for earlier in job.earlier()? {
            let shipment = self.client.shipment(earlier, ());
            if !self.client.has_row(&shipment, &call).await? {
                continue;
            }
            if self.client.is_stored(&shipment, &call).await? {
                return Ok(Some(Sent::Confirmed));
            }
            *job = Job { upload_id: None, ..job.found_at(shipment.storage_path.as_str()) };
            break;
        }
        Ok(None)
    }

    /// The Worker is asked, and given the image again only where it knows of none.
    async fn become_of_handed_over(&self, job: &Job) -> Result<Option<Sent>, Error> {
        let is_handed_over = job.state == State::HandedOver;
        if !is_handed_over && job.earlier_paths.is_empty() {
            return Ok(None);
        }
        let standing = self.client.standing(&job.settled()?.image_id, &Call::for_owner(Rc::new(Nobody))).await?;
        match standing {
            Standing::There { path } | Standing::OnItsWay { path } if !job.goes_to(&path) => {
                let why = "storage upload: another image of this user has this imageId";
                Err(Error::new(Stage::Upload, Code::IdTaken, why))
            }
            Standing::There { .. } => Ok(Some(Sent::Confirmed)),
            Standing::OnItsWay { .. } => Ok(Some(Sent::HandedOver)),
            Standing::Refused(error) if is_handed_over => Err(error),
            // What was refused before the job was put right, or nothing.
            Standing::Refused(_) | Standing::Unknown => Ok(None),
        }
    }

    async fn send(&self, job: &mut Job, round: &Round) -> Result<Sent, Trouble> {
        if let Some(sent) = self.become_of(job).await.map_err(Trouble::Job)? {
            return Ok(sent);
        }
        job.begin();
        let bytes = Rc::new(Bytes::new(&job.id, self.witness.clone()));
        let call = Call::for_owner(bytes.clone());
        let image = self.store.image(&job.which()).await.map_err(Trouble::Store)?;
        let Some(image) = image.filter(|image| self.client.platform().size(image) == job.size) else {
            if let [false] = self.store.known(&[job.which()]).await.map_err(Trouble::Store)?.as_slice() {
                return Ok(Sent::Discarded);
            }
            let message = "outbox: the image of this job can't be read any more";
            return Err(Trouble::Job(Error::new(Stage::Outbox, Code::JobUnreadable, message)));
        };
        self.witness.changed(job);
        let shipment = self.client.shipment(job.settled().map_err(Trouble::Job)?, image);
        let kept = Kept { courier: self, job: RefCell::new(job.clone()) };
        let upload = async { Some(self.client.upload(&shipment, &call, &kept).await) };
        // What the server has whole it may store whoever waits for that: it is waited for, so that a removal comes after it.
        let discarded = poll_fn(|context| match round.is_discarded(&job.id, context) {
            Poll::Ready(_) if bytes.are_sent.get() => Poll::Pending,
            discarded => discarded,
        });
        let uploaded = first_of(Box::pin(discarded), Box::pin(upload)).await;
        let Some(uploaded) = uploaded.filter(|_| !round.has_discarded(&job.id)) else {
            return Ok(Sent::Discarded);
        };
        *job = kept.job.into_inner();
        let landed = uploaded.map_err(|error| match error.stage {
            Stage::Outbox => Trouble::Store(error),
            _ => Trouble::Job(error),
        })?;
        Ok(match landed {
            Landed::InBucket => Sent::InBucket,
            Landed::Stored { .. } => Sent::Confirmed,
            Landed::Queued { .. } => Sent::HandedOver,
        })
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
            match self.courier.keep(&[&job], &[]).await {
                // In a full storage it begins anew after a kill.
                Err(error) if error.code != Code::QuotaExceeded => Err(error),
                _ => Ok(()),
            }
        })
    }
}

enum Sent {
    InBucket,
    Confirmed,
    HandedOver,
    Discarded,
}

pub(super) enum Trouble {
    /// Sending failed: the job's affair.
    Job(Error),
    /// Keeping failed: everybody's.
    Store(Error),
}

/// Tells of a job's bytes. Its attempts are its own affair.
pub(super) struct Bytes {
    id: String,
    witness: Rc<dyn Witness>,
    /// Whether an attempt has sent them all, as far as the host can see that, and is not over.
    are_sent: Cell<bool>,
}

impl Bytes {
    pub(super) fn new(id: &str, witness: Rc<dyn Witness>) -> Self {
        Self { id: id.to_owned(), witness, are_sent: Cell::new(false) }
    }
}

impl Observer for Bytes {
    fn progress(&self, progress: Progress) {
        self.are_sent.set(progress.sent == progress.total);
        self.witness.progress(&self.id, progress.sent, progress.total);
    }

    fn retrying(&self, _: Retrying) {
        self.are_sent.set(false);
    }

    fn watches(&self) -> bool {
        true
    }
}
