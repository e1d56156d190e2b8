//! The driver of removals.

use core::cell::{Cell, RefCell};

use super::call::Call;
use super::client::Client;
use crate::error::{Code, Error, Stage};
use crate::host::Platform;
#[cfg(feature = "outbox")]
use crate::image::path::StoragePath;
use crate::race::{Racer, all_of, first_of};
use crate::wire::remove::{ImageRef, Removal};
#[cfg(feature = "outbox")]
use crate::wire::{
    rows,
    worker::{Standing, is_removed},
};

impl<P: Platform> Client<P> {
    /// Removes an image: object, thumbnail and row. What is not there counts as removed, so that it may be repeated.
    pub async fn remove(&self, image: ImageRef, call: &Call) -> Result<ImageRef, Error> {
        let work = async { self.carry_out(Removal::new(&self.config, image)?, call).await };
        self.unless_stopped(call, Box::pin(work)).await
    }

    /// Removes an object that no row names any more.
    #[cfg(feature = "outbox")]
    pub(crate) async fn remove_object(&self, path: StoragePath, call: &Call) -> Result<(), Error> {
        self.carry_out(Removal::of_object(path), call).await.map(|_| ())
    }

    /// Where an image's object is, or will be, as far as the database or the Worker knows.
    #[cfg(feature = "outbox")]
    pub(crate) async fn whereabouts(&self, image_id: &str, call: &Call) -> Result<Option<String>, Error> {
        if self.config.target.is_project() {
            call.trace.is_about(image_id);
            let read_back = || rows::read_back(&self.config, image_id);
            return self.ask(call, Stage::Remove, &read_back, rows::read_path).await;
        }
        match self.standing(image_id, call).await {
            Ok(Standing::There { path } | Standing::OnItsWay { path }) => Ok(Some(path)),
            Ok(Standing::Refused(_) | Standing::Unknown) => Ok(None),
            // It was to be removed before, which may not have come to its end.
            Err(error) if is_removed(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn carry_out(&self, removal: Removal, call: &Call) -> Result<ImageRef, Error> {
        call.trace.enter(Stage::Remove);
        let removal = RefCell::new(removal);
        let locate = || {
            let ImageRef { image_id, storage_path } = removal.borrow().image().clone();
            call.trace.locate(storage_path, image_id.as_deref());
        };
        locate();
        loop {
            let Some(request) = removal.borrow().next(&self.config) else { break };
            let is_again = Cell::new(false);
            let build = || {
                if is_again.replace(true) {
                    removal.borrow_mut().again();
                }
                removal.borrow().next(&self.config).unwrap_or_else(|| request.clone())
            };
            let read = |response: &_| removal.borrow_mut().read(&self.config, response);
            let asked = self.ask(call, Stage::Remove, &build, read).await;
            locate();
            asked.map_err(|error| call.trace.located(error))?;
        }
        Ok(removal.into_inner().image().clone())
    }

    /// Removes many, `lanes` at once: an outcome each, in their order. Of a call that is stopped the error is that of all that are
    /// not removed by then.
    pub async fn remove_many(
        &self,
        images: Vec<Result<ImageRef, Error>>,
        lanes: u32,
        call: &Call,
    ) -> Vec<Result<ImageRef, Error>> {
        let outcomes = RefCell::new(images.iter().map(|_| None).collect::<Vec<_>>());
        let queue = RefCell::new(images.into_iter().enumerate());
        let lane = async || {
            loop {
                let next = queue.borrow_mut().next();
                let Some((index, image)) = next else { return };
                let outcome = match image {
                    Ok(image) => self.remove(image, &call.part()).await,
                    Err(error) => Err(error),
                };
                if let Some(slot) = outcomes.borrow_mut().get_mut(index) {
                    *slot = Some(outcome);
                }
            }
        };
        let work = async {
            all_of((0..lanes).map(|_| Box::pin(lane()) as Racer<'_, ()>).collect()).await;
            Error::new(Stage::Remove, Code::Rejected, "remove: not tried")
        };
        let unfinished = first_of(Box::pin(self.stopped(call)), Box::pin(work)).await;
        outcomes.take().into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(unfinished.clone()))).collect()
    }
}
