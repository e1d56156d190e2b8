//! The driver of one image's bytes: in one request, or in pieces that go on after every fault.

use core::cell::{Cell, RefCell};
use core::slice;

use super::call::{Call, Reached, Resumption};
use super::client::Client;
use crate::error::{Error, Stage};
use crate::host::Platform;
use crate::image::meta::Shipment;
use crate::image::path::{StoragePath, is_plain_name};
use crate::limits;
use crate::race::{Racer, beside, first_of};
use crate::text::contains;
use crate::wire::Landed;
use crate::wire::classify::Refusal;
use crate::wire::http::Response;
use crate::wire::object;
use crate::wire::retry::Attempts;
use crate::wire::tus::{self, Outcome, Upload};
use crate::wire::worker::{self, Beside, Ticket};

/// How often in a row an upload's state may be asked for without a byte getting further.
const MAX_IDLE: u32 = 4;

/// How much longer than its image a small picture may take.
const THUMBNAIL_GRACE_MS: u32 = 2000;
/// How long it may take to remove one that is another image's.
const STRAY_GRACE_MS: u32 = 1000;

/// What the Worker is asked to take, and to give, with an image.
fn beside_of<'a, B: Clone>(call: &'a Call, drawn: &RefCell<Option<B>>) -> Beside<'a, B> {
    Beside { thumbnail: drawn.borrow().clone(), link: call.options.link.as_ref() }
}

impl<P: Platform> Client<P> {
    /// Brings the bytes to their target: in one request, or from `resumableFrom` on in pieces.
    pub(crate) async fn upload(
        &self,
        shipment: &Shipment<P::Bytes>,
        call: &Call,
        resumption: &dyn Resumption,
    ) -> Result<Landed, Error> {
        if !call.trace.is_located() {
            call.trace.locate(self.known_path(shipment), Some(&shipment.image_id));
        }
        let (drawn, is_stored) = (RefCell::new(None), Cell::new(false));
        let mut thumbnail = self.thumbnail_of(shipment, call, &drawn, &is_stored);
        let is_handed_over = !self.config.target.is_project();
        if is_handed_over && !self.is_large(self.platform.size(&shipment.image)) {
            // It goes in the image's own request. With a large image it goes in the last one, if it is there by then.
            self.end_soon(thumbnail.take()).await;
        }
        let landed = beside(Box::pin(self.upload_image(shipment, &drawn, call, resumption)), &mut thumbnail).await;
        if landed.is_ok() && !is_handed_over {
            self.end_soon(thumbnail.take()).await;
        }
        drop(thumbnail);
        if let Some(stray) = self.stray_thumbnail(shipment, is_stored.get(), landed.as_ref().err()) {
            let own = call.unwatched();
            let build = || object::remove(&self.config, slice::from_ref(&stray));
            let removed = async { drop(self.ask(&own, Stage::Upload, &build, object::read_removal).await) };
            first_of(Box::pin(removed), Box::pin(self.platform.sleep(STRAY_GRACE_MS))).await;
        }
        landed
    }

    async fn end_soon(&self, thumbnail: Option<Racer<'_, ()>>) {
        if let Some(rest) = thumbnail {
            first_of(rest, Box::pin(self.platform.sleep(THUMBNAIL_GRACE_MS))).await;
        }
    }

    /// The place of a small picture that may be another image's than what lies beside it: that of an earlier image, where this one's
    /// did not come, or this one's, where its image was refused. Only under a name that others may have had.
    fn stray_thumbnail<B>(
        &self,
        shipment: &Shipment<B>,
        is_stored: bool,
        refused: Option<&Error>,
    ) -> Option<StoragePath> {
        let wanted = self.config.thumbnail.as_ref().filter(|_| self.config.target.is_project());
        let is_stray = refused.map_or(!is_stored, |error| is_stored && !error.retryable);
        let own_name = shipment.image_id.rsplit(['-']).next().unwrap_or_default();
        let is_own = contains(shipment.storage_path.as_str(), own_name);
        wanted.filter(|_| is_stray && !is_own).and_then(|_| shipment.storage_path.thumbnail())
    }

    /// Draws the small picture that goes beside the image, and sends it, or leaves it in `drawn` for the Worker. Whatever becomes
    /// of it, the image is not asked.
    fn thumbnail_of<'a>(
        &'a self,
        shipment: &'a Shipment<P::Bytes>,
        call: &'a Call,
        drawn: &'a RefCell<Option<P::Bytes>>,
        is_stored: &'a Cell<bool>,
    ) -> Option<Racer<'a, ()>> {
        let wanted = self.config.thumbnail.as_ref()?;
        let path = shipment.storage_path.thumbnail()?;
        let call = call.unwatched();
        Some(Box::pin(async move {
            let Some(picture) = self.platform.thumbnail(&shipment.image, wanted).await else { return };
            if !self.config.target.is_project() {
                drawn.replace(self.taken_by_the_worker(picture).await);
                return;
            }
            let mime_type = self.platform.own_type(&picture).unwrap_or_else(|| wanted.mime_type.clone());
            let build = || object::put(&self.config, &path, picture.clone(), &mime_type);
            let sent = self.ask(&call, Stage::Upload, &build, object::read_upload).await;
            is_stored.set(sent.is_ok());
        }))
    }

    /// A small picture, unless the Worker would refuse the image for its sake.
    async fn taken_by_the_worker(&self, picture: P::Bytes) -> Option<P::Bytes> {
        let size = self.platform.size(&picture);
        let is_taken = size <= limits::THUMBNAIL as u64 && self.header(&picture, size).await.ok()?.is_some();
        is_taken.then_some(picture)
    }

    async fn upload_image(
        &self,
        shipment: &Shipment<P::Bytes>,
        drawn: &RefCell<Option<P::Bytes>>,
        call: &Call,
        resumption: &dyn Resumption,
    ) -> Result<Landed, Error> {
        let total = self.platform.size(&shipment.image);
        call.meter.total.set(total);
        call.meter.reach(Reached::Upload, 0);
        if self.is_large(total) {
            return self.upload_in_pieces(shipment, drawn, call, resumption).await;
        }
        let target = self.config.target;
        let build = || target.upload(&self.config, shipment, beside_of(call, drawn));
        let read = |response: &Response| {
            let landed = target.read_upload(response)?;
            call.outcome.signed_url.replace(target.read_link(response));
            Ok(landed)
        };
        self.ask(call, Stage::Upload, &build, read).await
    }

    /// Resumes from the server's word after every fault; what it has got refills the budget of retries.
    async fn upload_in_pieces(
        &self,
        shipment: &Shipment<P::Bytes>,
        drawn: &RefCell<Option<P::Bytes>>,
        call: &Call,
        resumption: &dyn Resumption,
    ) -> Result<Landed, Error> {
        let by_ticket = self.config.target.has_tickets();
        let mut upload = Upload::new(call.meter.total.get(), self.config.chunk_size, resumption.earlier(), by_ticket);
        let mut attempts = Attempts::default();
        let (mut idle, mut furthest) = (0, 0);
        let (mut ticket, mut wants_ticket, mut renewed) = (None::<Ticket>, by_ticket, false);
        call.trace.enter(Stage::Upload);
        loop {
            if wants_ticket {
                ticket = Some(self.ask_ticket(shipment, call).await?);
                wants_ticket = false;
            }
            // Once a step: another ticket won't mend what a fresh one does not.
            let may_renew = by_ticket && !renewed;
            let beside = beside_of(call, drawn);
            let sent = self.send_next(&mut upload, ticket.as_ref(), may_renew, shipment, beside, call);
            let Some(answered) = sent.await else {
                (wants_ticket, renewed) = (true, true);
                continue;
            };
            resumption.keep(upload.id()).await?;
            let refusal = match answered {
                Ok(Outcome::Complete) => {
                    return Ok(match ticket {
                        Some(ticket) => Landed::Stored { path: ticket.storage_path },
                        None => Landed::InBucket,
                    });
                }
                Ok(Outcome::Progress) => {
                    // A server that loses what it has gets it again, but not for ever.
                    if upload.offset() > furthest {
                        (attempts, idle, furthest) = (Attempts::default(), 0, upload.offset());
                        renewed = false;
                    }
                    call.meter.reach(Reached::Upload, upload.offset());
                    continue;
                }
                Ok(Outcome::Known) if idle < MAX_IDLE => {
                    idle += 1;
                    continue;
                }
                Ok(Outcome::Known) => {
                    idle = 0;
                    upload.forget_untold();
                    resumption.keep(upload.id()).await?;
                    Refusal::contradictory(Stage::Upload, "the server's answers about the upload contradict each other")
                }
                Err(refusal) => refusal,
            };
            self.await_next_try(call, call.trace.stage(), &mut attempts, refusal).await?;
        }
    }

    /// Sends the next request of an upload in pieces and reads its answer; `None` if that asks for another ticket, and one
    /// may be had.
    async fn send_next(
        &self,
        upload: &mut Upload,
        ticket: Option<&Ticket>,
        may_renew: bool,
        shipment: &Shipment<P::Bytes>,
        beside: Beside<'_, P::Bytes>,
        call: &Call,
    ) -> Option<Result<Outcome, Refusal>> {
        let (stage, reached) = match upload.awaits_commit() {
            true => (Stage::Insert, Reached::Insert),
            false => (Stage::Upload, Reached::Upload),
        };
        if call.trace.stage() != stage {
            call.trace.enter(stage);
            call.meter.reach(reached, upload.offset());
        }
        let slice = |piece| self.platform.slice(&shipment.image, piece);
        let request = upload.next(&self.config, ticket, shipment, beside, slice);
        let authority = request.authority.clone();
        match self.exchange(call, stage, request, upload.offset()).await {
            Ok(response) if may_renew && worker::wants_ticket(&response, &authority) => {
                upload.interrupted();
                None
            }
            Ok(response) => {
                if stage == Stage::Insert {
                    call.outcome.signed_url.replace(self.config.target.read_link(&response));
                }
                Some(upload.read(&response))
            }
            Err(refusal) => {
                upload.interrupted();
                Some(Err(refusal))
            }
        }
    }

    /// Tells the server that an upload in pieces won't be gone on with.
    pub(crate) async fn abandon(&self, upload_id: &str, call: &Call) -> Result<(), Error> {
        if !is_plain_name(upload_id) {
            return Ok(()); // damaged where it was stored: it names no upload
        }
        let build = || tus::abandon(&self.config, upload_id);
        self.ask(call, Stage::Upload, &build, tus::read_abandon).await
    }

    async fn ask_ticket(&self, shipment: &Shipment<P::Bytes>, call: &Call) -> Result<Ticket, Error> {
        let total = call.meter.total.get();
        let build = || worker::ask_ticket(&self.config, shipment, total);
        self.ask(call, Stage::Upload, &build, worker::read_ticket).await
    }
}
