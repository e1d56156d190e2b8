//! What the steps of a drain have come to is stored, and told of.

use super::round::{Done, Round};
use super::{Courier, End, unless_full};
use crate::error::{Code, Error};
use crate::host::{Platform, Store};
use crate::outbox::job::{Job, Which};

impl<P: Platform, S: Store<Bytes = P::Bytes>> Courier<P, S> {
    /// Stores what is done, in one transaction.
    pub(super) async fn write(&self, done: Vec<Done>, round: &Round) -> Result<(), Error> {
        let mut gone = Vec::new();
        let mut jobs = Vec::new();
        for step in &done {
            match step {
                Done::Confirmed(job) | Done::Removed(job) => gone.push(job.clone()),
                Done::InBucket(job) | Done::PutDown(job) | Done::HandedOver(job) => jobs.push(job),
            }
        }
        let mut kept = match self.keep(&jobs, &gone).await {
            Err(error) if error.code == Code::QuotaExceeded => self.keep_what_fits(&done, &gone, round).await?,
            kept => kept?,
        };
        let mut removed = kept.split_off(jobs.len()).into_iter();
        let mut kept = kept.into_iter();
        let now_ms = self.client.platform().now_ms();
        for step in done {
            let is_same = match &step {
                Done::Confirmed(_) | Done::Removed(_) => removed.next(),
                _ => kept.next(),
            };
            match step {
                Done::Confirmed(Which { id, .. }) | Done::Removed(Which { id, .. }) if is_same != Some(true) => {
                    self.let_go(&id, round);
                }
                Done::Confirmed(job) => self.tell_done(&job.id, round),
                Done::Removed(job) => {
                    round.put_down(&job.id);
                    self.witness.ended(&job.id, End::Discarded);
                }
                Done::InBucket(job) | Done::PutDown(job) | Done::HandedOver(job) if is_same != Some(true) => {
                    self.let_go(&job.id, round);
                }
                Done::InBucket(job) => round.add_row(job, now_ms),
                Done::PutDown(job) => round.put_down(&job.id),
                Done::HandedOver(job) => {
                    round.put_down(&job.id);
                    round.got_through();
                }
            }
        }
        Ok(())
    }

    /// The same in a storage that is full. What leaves makes room. What is in the bucket goes on though that is not stored: a kill
    /// before its row would have it uploaded once more. What is to wait is left alone until the drain ends.
    async fn keep_what_fits(&self, done: &[Done], gone: &[Which], round: &Round) -> Result<Vec<bool>, Error> {
        let removed = self.keep(&[], gone).await?;
        let mut kept = Vec::new();
        for step in done {
            let (Done::InBucket(job) | Done::PutDown(job) | Done::HandedOver(job)) = step else { continue };
            if let Some(stored) = unless_full(self.keep(&[job], &[]).await)? {
                kept.extend(stored);
                continue;
            }
            if !matches!(step, Done::InBucket(_)) {
                round.unkept.borrow_mut().push(job.clone());
            }
            kept.extend(self.store.known(&[job.which()]).await?);
        }
        Ok([kept, removed].concat())
    }

    fn tell_done(&self, id: &str, round: &Round) {
        round.done.set(round.done.get() + 1);
        round.put_down(id);
        round.got_through();
        self.witness.ended(id, End::Done);
    }

    /// Stores what jobs have become and tells of them, and removes others; what [`Store::commit`] says of both.
    pub(super) async fn keep(&self, jobs: &[&Job], gone: &[Which]) -> Result<Vec<bool>, Error> {
        if jobs.is_empty() && gone.is_empty() {
            return Ok(Vec::new());
        }
        let kept = self.store.commit(jobs, gone).await?;
        for (job, is_kept) in jobs.iter().zip(&kept) {
            if *is_kept {
                self.witness.changed(job);
            }
        }
        Ok(kept)
    }
}
