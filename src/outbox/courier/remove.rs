//! Removals: of images that have arrived, are here, or may be on their way.
//!
//! A removal is a job of its own, so that it outlives what its user does offline. It takes the place of its image's job, whose
//! drain then finds that job gone; it keeps the paths where something may be, so that no other image goes there before it is
//! done: what is removed there must not be another image's.

use std::rc::Rc;

use super::round::{Done, Round};
use super::send::Trouble;
use super::{Courier, End, parse};
use crate::error::{Code, Error, Stage};
use crate::host::{Added, Platform, Store};
use crate::outbox::job::Job;
use crate::sync::call::{Call, Nobody};
use crate::text::canonical_id;
use crate::wire::remove::ImageRef;

impl<P: Platform, S: Store<Bytes = P::Bytes>> Courier<P, S> {
    /// Has an image removed, wherever it is: what is here of it is forgotten at once, the rest goes with the next drain.
    pub async fn remove(&self, image_id: &str) -> Result<(), Error> {
        let id = canonical_id(image_id).ok_or_else(|| Error::field("imageId", "is no UUID"))?;
        loop {
            let stored = self.store.job(&id).await?;
            let job = stored.as_ref().and_then(parse);
            let mut removal = Job::removal(&id, job.as_ref(), self.client.platform().now_ms());
            let revision = stored.as_ref().map(|stored| stored.revision);
            let superseded = self.store.supersede(&removal, &id, revision).await;
            if let Ok(None) = superseded {
                continue;
            }
            // In a full storage the removal has no room, and the job is gone.
            let is_gone = superseded.as_ref().map_or_else(|error| error.code == Code::QuotaExceeded, |_| true);
            if is_gone && stored.is_some() {
                self.witness.ended(&id, End::Discarded);
                self.discarded(&id);
            }
            return match superseded? {
                Some(Added::New(position)) => {
                    removal.position = position;
                    self.witness.changed(&removal);
                    self.look_again();
                    Ok(())
                }
                // One that was refused is tried once more; one that has ended meanwhile has removed it.
                _ => match self.retry(&removal.id).await {
                    Err(error) if error.code == Code::JobMissing => Ok(()),
                    other => other,
                },
            };
        }
    }

    /// Carries a removal out. The error is the store's.
    pub(super) async fn carry_removal(&self, mut job: Job, image_id: &str, round: &Round) -> Result<(), Error> {
        let done = match self.remove_image(&mut job, image_id).await {
            Ok(true) => Done::Confirmed(job.which()),
            Ok(false) => {
                self.let_go(&job.id, round);
                return Ok(());
            }
            Err(Trouble::Store(error)) => return Err(error),
            Err(Trouble::Job(error)) => {
                self.refuse(&mut job, &error, round);
                Done::PutDown(job)
            }
        };
        round.unwritten.borrow_mut().push(done);
        Ok(())
    }

    /// False where the removal itself was discarded meanwhile.
    async fn remove_image(&self, job: &mut Job, image_id: &str) -> Result<bool, Trouble> {
        let call = || Call::for_owner(Rc::new(Nobody));
        if let Some(upload_id) = &job.upload_id
            && let Err(error) = self.abandon(upload_id).await
            && error.retryable
        {
            return Err(Trouble::Job(error));
        }
        let found = self.client.whereabouts(image_id, &call()).await.map_err(Trouble::Job)?;
        if let Some(path) = found.filter(|found| !job.paths().any(|path| path == found))
            && !self.hold(job, &path).await?
        {
            return Ok(false);
        }
        // It may have waited long for its turn. Once it has begun to remove, it goes to its end.
        if let [false] = self.store.known(&[job.which()]).await.map_err(Trouble::Store)?.as_slice() {
            return Ok(false);
        }
        // First by its id alone: its row says where it is. Then what it may have left elsewhere.
        let mut removed = None;
        for path in core::iter::once(None).chain(job.paths().map(Some)) {
            if path.is_some() && path == removed.as_deref() {
                continue;
            }
            let image = ImageRef { image_id: Some(image_id.to_owned()), storage_path: path.map(str::to_owned) };
            match self.client.remove(image, &call()).await {
                Ok(image) => removed = removed.or(image.storage_path),
                // In a folder where this user may not write, there is nothing of its.
                Err(error) if path.is_some() && error.code == Code::InvalidRequest => {}
                Err(error) => return Err(Trouble::Job(error)),
            }
        }
        Ok(true)
    }

    /// Has no other image go to a path before the one that was found there is gone, unless one is on its way there already.
    async fn hold(&self, job: &mut Job, path: &str) -> Result<bool, Trouble> {
        *job = job.found_at(path);
        match self.amend(&job.id, &|known| Ok(known.found_at(path))).await {
            Err(error) if error.code == Code::PathTaken => {
                let why = "outbox: another image is on its way to the path of the one that is to be removed";
                let mut error = Error::new(Stage::Outbox, Code::PathTaken, why);
                error.retryable = true;
                Err(Trouble::Job(error))
            }
            Err(error) if error.code == Code::JobMissing => Ok(false),
            other => other.map(|()| true).map_err(Trouble::Store),
        }
    }
}
