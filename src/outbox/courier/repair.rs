//! What a job's user makes of one that failed or waits.

use super::{Courier, parse};
use crate::error::{Code, Error, Stage};
use crate::host::{Amended, Platform, Store};
use crate::image::meta::SyncRequest;
use crate::image::row::check_length;
use crate::json::to_text;
use crate::limits;
use crate::outbox::job::{Job, State};
use crate::text::name;

impl<P: Platform, S: Store<Bytes = P::Bytes>> Courier<P, S> {
    /// Makes a failed or waiting job ready to be tried again.
    pub async fn retry(&self, id: &str) -> Result<(), Error> {
        self.amend(id, &|job| {
            let mut job = job.clone();
            job.retry();
            Ok(job)
        })
        .await
    }

    /// Puts a job right that was refused: its request as it should have been, with the job's `image_id` and image.
    pub async fn mend(&self, request: SyncRequest<P::Bytes>) -> Result<(), Error> {
        request.check_limits()?;
        let (settled, _) = self.client.settle(request).await?;
        check_length("request", &to_text(&settled.meta), limits::REQUEST)?;
        let id = settled.image_id.clone();
        self.amend(&id, &|job| match job.state {
            State::Failed => Ok(job.mended(settled.clone())),
            _ => {
                let why = "outbox: only a job that has failed can be changed";
                Err(Error::new(Stage::Outbox, Code::InvalidState, why))
            }
        })
        .await
    }

    /// Stores what `change` makes of a job. What a drain has made of it meanwhile is not undone.
    pub(super) async fn amend(&self, id: &str, change: &dyn Fn(&Job) -> Result<Job, Error>) -> Result<(), Error> {
        loop {
            let stored = self.store.job(id).await?;
            let parsed = stored.as_ref().and_then(|stored| Some((parse(stored)?, stored.revision)));
            let Some((job, revision)) = parsed else {
                return Err(Error::new(Stage::Outbox, Code::JobMissing, format!("outbox: no job {}", name(id))));
            };
            let job = change(&job)?;
            match self.store.amend(&job, revision).await? {
                Amended::Outdated => {}
                Amended::PathTaken => {
                    let why = "outbox: another image of the outbox is on its way to this path";
                    return Err(Error::new(Stage::Outbox, Code::PathTaken, why));
                }
                Amended::Stored => {
                    self.witness.changed(&job);
                    self.look_again();
                    return Ok(());
                }
            }
        }
    }
}
