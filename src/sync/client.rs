//! The driver of one image: from its request to its object and its row.

use super::call::{Call, Reached, Synced, Unkept};
use crate::config::{Config, Owner, Target};
use crate::error::{Code, Error, Stage};
use crate::host::Platform;
use crate::image::header::{Header, Walk};
use crate::image::meta::{Found, Prepared, Settled, Shipment, SyncRequest};
use crate::race::beside;
use crate::wire::Landed;
use crate::wire::http::Response;
use crate::wire::retry::Policy;
#[cfg(feature = "outbox")]
use crate::wire::worker::{self, Standing};
use crate::wire::{object, rows};

/// How long an object without a row is sure to stay where somebody sweeps such objects: the Worker waits much longer.
const SURE_MS: i64 = 3_600_000;

/// Whether an object without a row may have been swept since its upload. By a clock that was put back nothing is sure.
pub fn is_swept_after(uploaded_ms: i64, now_ms: i64) -> bool {
    !(0..=SURE_MS).contains(&now_ms.saturating_sub(uploaded_ms))
}

/// A configured connection.
pub struct Client<P> {
    pub(super) config: Config,
    pub(super) platform: P,
}

impl<P: Platform> Client<P> {
    /// Takes a checked configuration and the host it runs on.
    pub fn new(config: Config, platform: P) -> Self {
        Self { config, platform }
    }

    /// Uploads the image, then inserts its row. The path and the id are fixed before anything is sent.
    pub async fn sync(&self, request: SyncRequest<P::Bytes>, call: &Call) -> Result<Synced, Error> {
        let work = async {
            let shipment = self.ship(request).await?;
            call.trace.locate(self.known_path(&shipment), Some(&shipment.image_id));
            self.deliver(&shipment, call).await.map_err(|error| call.trace.located(error))
        };
        match self.unless_stopped(call, Box::pin(work)).await {
            // Only its link was waited for.
            Err(error) if error.code == Code::DeadlineExceeded => call.outcome.arrived.take().ok_or(error),
            other => other,
        }
    }

    /// The path, unless it is the Worker's to say.
    pub(super) fn known_path<B>(&self, shipment: &Shipment<B>) -> Option<String> {
        self.knows_paths().then(|| shipment.storage_path.as_str().to_owned())
    }

    /// Whether paths are known before the Worker has said them.
    pub(super) fn knows_paths(&self) -> bool {
        self.config.target.is_project() || self.config.owner.is_some()
    }

    /// The host this client runs on.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// The owner of all images, if one is set.
    pub fn owner(&self) -> Option<&Owner> {
        self.config.owner.as_ref()
    }

    /// Where images go.
    pub fn target(&self) -> Target {
        self.config.target
    }

    /// Whether an image of so many bytes goes in pieces.
    pub(crate) fn is_large(&self, size: u64) -> bool {
        self.config.goes_in_pieces(size)
    }

    /// How often and how long to wait.
    pub(crate) fn policy(&self) -> &Policy {
        &self.config.retry
    }

    /// Checks the request and fixes path, id and row.
    pub(crate) async fn ship(&self, request: SyncRequest<P::Bytes>) -> Result<Shipment<P::Bytes>, Error> {
        let request = request.dated(self.platform.now_ms());
        request.check(&self.config)?;
        let found = self.look_at(&request.image).await?;
        request.ship(&self.config, &found, self.platform.random_bytes())
    }

    /// The same, without making the shipment yet: for who keeps it, and sends it later.
    pub(crate) async fn settle(&self, request: SyncRequest<P::Bytes>) -> Result<(Settled, P::Bytes), Error> {
        let request = request.dated(self.platform.now_ms());
        request.check(&self.config)?;
        let found = self.look_at(&request.image).await?;
        let SyncRequest { meta, image } = request;
        Ok((meta.settle(&self.config, &found, self.platform.random_bytes())?, image))
    }

    /// The shipment of a request that was settled.
    pub(crate) fn shipment<B>(&self, settled: Settled, image: B) -> Shipment<B> {
        settled.shipment(&self.config, image)
    }

    /// The same for an image that somebody else will bring, or has brought. Without it, its MIME type has to be given.
    pub async fn prepare(&self, request: SyncRequest<Option<P::Bytes>>) -> Result<Prepared, Error> {
        let request = request.dated(self.platform.now_ms());
        request.check(&self.config)?;
        let found = match &request.image {
            Some(image) => self.look_at(image).await?,
            None => Found::promised(&request.mime_type),
        };
        let shipment = request.ship(&self.config, &found, self.platform.random_bytes())?;
        Ok(Prepared::new(shipment, self.platform.now_ms()))
    }

    /// Inserts the row of an image that is in its place already. Long after it was prepared Storage is asked whether it is: by
    /// then an object without a row may have been swept.
    pub async fn insert_prepared(&self, prepared: Prepared, call: &Call) -> Result<Synced, Error> {
        let work = async {
            let is_old = prepared.prepared_at.is_some_and(|at_ms| is_swept_after(at_ms, self.platform.now_ms()));
            let row = self.platform.parse_json(&prepared.row);
            let shipment = prepared.check(&self.config, row.as_ref())?;
            let storage_path = shipment.storage_path.as_str().to_owned();
            call.trace.locate(Some(storage_path.clone()), Some(&shipment.image_id));
            if is_old && !self.is_stored(&shipment, call).await? {
                let why = "db insert: there is no object at the image's path: it never came, or was swept since. Bring it there \
                           again, then insert";
                return Err(call.trace.located(Error::new(Stage::Insert, Code::ObjectMissing, why)));
            }
            let image_id = self.insert(&shipment, call).await.map_err(|error| call.trace.located(error))?;
            Ok(Synced { storage_path, image_id, queued: false, signed_url: None })
        };
        self.unless_stopped(call, Box::pin(work)).await
    }

    async fn look_at(&self, image: &P::Bytes) -> Result<Found, Error> {
        let size = self.platform.size(image);
        let header = self.header(image, size).await?;
        let own_type = if header.is_none() { self.platform.own_type(image) } else { None };
        Ok(Found { size, header, own_type })
    }

    /// Looks into an image as far as its header needs; one piece of it is here at a time.
    pub(super) async fn header(&self, image: &P::Bytes, size: u64) -> Result<Option<Header>, Error> {
        let mut walk = Walk::new(size);
        while let Some(piece) = walk.wants() {
            let read = self.platform.read(image, piece).await;
            walk.read(&read.map_err(|cause| Error::image("can't be read").with_cause(Some(cause)))?);
        }
        Ok(walk.header())
    }

    async fn deliver(&self, shipment: &Shipment<P::Bytes>, call: &Call) -> Result<Synced, Error> {
        let landed = self.upload(shipment, call, &Unkept).await?;
        let total = call.meter.total.get();
        let mut link = self.link_of(shipment, &landed, call);
        let image_id = if landed == Landed::InBucket {
            let uploaded_ms = self.platform.now_ms();
            call.meter.reach(Reached::Insert, total);
            let image_id = beside(Box::pin(self.insert(shipment, call)), &mut link).await?;
            self.bring_back(shipment, uploaded_ms, call).await?;
            image_id
        } else {
            shipment.image_id.clone()
        };
        call.meter.reach(Reached::Done, total);
        Ok(self.linked(Synced { image_id, ..landed.synced(shipment) }, link, call).await)
    }

    /// Whether the object is there.
    pub(crate) async fn is_stored<B>(&self, shipment: &Shipment<B>, call: &Call) -> Result<bool, Error> {
        call.trace.is_about(&shipment.image_id);
        let info = || object::info(&self.config, &shipment.storage_path);
        self.ask(call, Stage::Upload, &info, |response| object::read_info(Stage::Upload, response)).await
    }

    /// Uploads an object again that was swept while its row was waited for, as an upload that nobody had finished.
    pub(super) async fn bring_back(
        &self,
        shipment: &Shipment<P::Bytes>,
        uploaded_ms: i64,
        call: &Call,
    ) -> Result<(), Error> {
        let call = call.unwatched();
        if is_swept_after(uploaded_ms, self.platform.now_ms()) && !self.is_stored(shipment, &call).await? {
            self.upload(shipment, &call, &Unkept).await?;
        }
        Ok(())
    }

    /// Whether the shipment's row is there.
    #[cfg(feature = "outbox")]
    pub(crate) async fn has_row<B>(&self, shipment: &Shipment<B>, call: &Call) -> Result<bool, Error> {
        call.trace.is_about(&shipment.image_id);
        let read_back = || rows::read_back(&self.config, &shipment.image_id);
        let read = |response: &Response| rows::read_seen(&[shipment], response).map(|(held, _)| !held.is_empty());
        self.ask(call, Stage::Insert, &read_back, read).await
    }

    /// What became of an image that the Worker was given.
    #[cfg(feature = "outbox")]
    pub(crate) async fn standing(&self, image_id: &str, call: &Call) -> Result<Standing, Error> {
        call.trace.is_about(image_id);
        let ask = || worker::ask_standing(&self.config, image_id);
        self.ask(call, Stage::Upload, &ask, |response| worker::read_standing(image_id, response)).await
    }

    /// Inserts the row. A duplicate id is no failure when the row that holds it is the one an earlier attempt brought. One that nobody
    /// sees may be this call's own all the same, after an attempt without an answer.
    pub(crate) async fn insert<B>(&self, shipment: &Shipment<B>, call: &Call) -> Result<String, Error> {
        let insert = || rows::insert(&self.config, &shipment.row);
        match self.ask(call, Stage::Insert, &insert, rows::read_insert).await {
            // Also where the words were lost on their way.
            Err(error) if error.code == Code::IdTaken || error.turned_away && error.status == Some(409) => {
                let may_be_own = call.trace.attempts.get() > 1;
                let read_back = || rows::read_back(&self.config, &shipment.image_id);
                let read = |response: &Response| rows::read_holder(shipment, response);
                self.ask(call, Stage::Insert, &read_back, read).await.map_err(|mut error| {
                    error.retryable &= may_be_own || error.code != Code::IdTaken;
                    error
                })
            }
            other => other,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
