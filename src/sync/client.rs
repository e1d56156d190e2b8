//! The driver: takes one call from its request to its result. With the courier, the only module that awaits outside
//! `platform` and `api`.

use core::cell::RefCell;
use std::rc::Rc;

use super::call::{Call, Reached, Resumption, Retrying, Synced, Unkept, Work};
use crate::config::Config;
use crate::error::{Code, Error, Stage};
use crate::host::{OnSent, Patience, Platform};
use crate::image::header::{Header, Walk};
use crate::image::meta::{Found, Prepared, Shipment, SyncRequest};
use crate::image::path::{StoragePath, is_plain_name};
use crate::race::first_of;
use crate::text::{jwt_claims, redact};
use crate::wire::classify::{self, Refusal};
use crate::wire::http::{Failure, Payload, Request, Response, SIGNATURE};
use crate::wire::retry::{Attempts, Decision, Policy, retry_after_ms};
use crate::wire::rows;
use crate::wire::tus::{self, Outcome, Upload};
use crate::wire::worker::{self, Ticket};
use crate::wire::{object, sign};

/// The slowest line an upload is given time for, where its progress can't be seen.
const SLOWEST_BYTES_PER_SECOND: f64 = 16.0 * 1024.0;

/// Paths of one request to sign: Storage's limit.
const PATHS_AT_ONCE: usize = 1000;

/// How often in a row an upload's state may be asked for without a byte getting further.
const MAX_IDLE: u32 = 4;

/// Reads the one text that an answer is sent for. Not generic, so that there is one retry loop in the binary.
type Read<'a> = dyn Fn(&Response) -> Result<String, Refusal> + 'a;

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
            let path = self.known_path(&shipment);
            call.shipped.replace(Some((path, shipment.image_id.clone())));
            self.deliver(&shipment, call).await.map_err(|error| call.located(error))
        };
        let image_id = self.within_deadline(call, Box::pin(work)).await?;
        let storage_path = call.shipped.take().map(|(path, _)| path).unwrap_or_default();
        Ok(Synced { storage_path, image_id, queued: call.is_queued() })
    }

    /// The path; empty if it is the Worker's to say.
    fn known_path(&self, shipment: &Shipment<P::Bytes>) -> String {
        let is_known = !self.config.is_relay() || !self.config.owner_user_id.is_empty();
        if is_known { shipment.storage_path.as_str().to_owned() } else { String::new() }
    }

    /// A URL that answers with the object for `ttl_seconds`.
    pub async fn signed_url(&self, path: &str, ttl_seconds: u32, call: &Call) -> Result<String, Error> {
        let path = StoragePath::parse(path)?;
        let relay = self.config.is_relay();
        let build = || match relay {
            true => worker::sign(&self.config, &path, ttl_seconds),
            false => sign::sign(&self.config, &path, ttl_seconds),
        };
        let read = |response: &Response| match relay {
            true => worker::read_sign(response),
            false => sign::read_sign(&self.config, &path, response),
        };
        self.within_deadline(call, Box::pin(self.until_answered(call, Stage::Sign, &build, &read))).await
    }

    /// Tells `each` the URLs of many objects, in the paths' order; an empty one for an object that is missing. Of paths and
    /// URLs no more are here at once than one request is about.
    pub async fn signed_urls(
        &self,
        paths: &mut dyn Iterator<Item = StoragePath>,
        ttl_seconds: u32,
        call: &Call,
        each: &dyn Fn(&str),
    ) -> Result<(), Error> {
        let work = async {
            loop {
                let some: Vec<StoragePath> = paths.take(PATHS_AT_ONCE).collect();
                if some.is_empty() {
                    return Ok(String::new());
                }
                let build = || sign::sign_many(&self.config, &some, ttl_seconds);
                let read = |response: &Response| sign::read_sign_many(&self.config, &some, response);
                let urls = self.until_answered(call, Stage::Sign, &build, &read).await?;
                urls.split(['\n']).for_each(each);
            }
        };
        self.within_deadline(call, Box::pin(work)).await.map(|_| ())
    }

    async fn within_deadline(&self, call: &Call, work: Work<'_, String>) -> Result<String, Error> {
        let Some(ms) = call.deadline_ms else {
            return work.await;
        };
        let expired = async {
            self.platform.sleep(ms).await;
            Err(call.expired(ms))
        };
        first_of(Box::pin(expired), work).await
    }

    /// The host this client runs on.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// The owner of all rows; empty if none is set.
    pub fn owner_user_id(&self) -> &str {
        &self.config.owner_user_id
    }

    /// The owner as the options have it.
    pub fn owner_as_given(&self) -> &str {
        &self.config.owner_as_given
    }

    /// Whether images go through the Worker, which then does the rest.
    pub fn is_relay(&self) -> bool {
        self.config.is_relay()
    }

    /// How often and how long to wait.
    pub fn policy(&self) -> &Policy {
        &self.config.retry
    }

    /// Checks the request and fixes path, id and row.
    pub async fn ship(&self, request: SyncRequest<P::Bytes>) -> Result<Shipment<P::Bytes>, Error> {
        let request = request.dated(self.platform.now_ms());
        request.check(&self.config)?;
        let found = self.look_at(&request.image).await?;
        request.ship(&self.config, &found, self.platform.random_bytes())
    }

    /// The same for an image that somebody else will bring, or has brought. Without it, its MIME type has to be given.
    pub async fn prepare(&self, request: SyncRequest<Option<P::Bytes>>) -> Result<Shipment<Option<P::Bytes>>, Error> {
        let request = request.dated(self.platform.now_ms());
        request.check(&self.config)?;
        let found = match &request.image {
            Some(image) => self.look_at(image).await?,
            None => Found::promised(&request.mime_type),
        };
        request.ship(&self.config, &found, self.platform.random_bytes())
    }

    /// Inserts the row of an image that is in its place already.
    pub async fn insert_prepared(&self, prepared: Prepared, call: &Call) -> Result<Synced, Error> {
        let row = self.platform.parse_json(&prepared.row);
        let shipment = prepared.check(&self.config, row.as_ref())?;
        let storage_path = shipment.storage_path.as_str().to_owned();
        call.shipped.replace(Some((storage_path.clone(), shipment.image_id.clone())));
        let work = async { self.insert(&shipment, call).await.map_err(|error| call.located(error)) };
        let image_id = self.within_deadline(call, Box::pin(work)).await?;
        Ok(Synced { storage_path, image_id, queued: false })
    }

    async fn look_at(&self, image: &P::Bytes) -> Result<Found, Error> {
        let size = self.platform.size(image);
        let header = self.header(image, size).await?;
        let own_type = if header.is_none() { self.platform.own_type(image) } else { None };
        Ok(Found { size, header, own_type })
    }

    /// Looks into an image as far as its header needs; one piece of it is here at a time.
    async fn header(&self, image: &P::Bytes, size: f64) -> Result<Option<Header>, Error> {
        let mut walk = Walk::new(size);
        while let Some(piece) = walk.wants() {
            let read = self.platform.read(image, piece).await;
            walk.read(&read.map_err(|cause| Error::image("can't be read").with_cause(Some(cause)))?);
        }
        Ok(walk.header())
    }

    async fn deliver(&self, shipment: &Shipment<P::Bytes>, call: &Call) -> Result<String, Error> {
        let path = self.upload(shipment, call, &Unkept).await?;
        let total = call.meter.total.get();
        let image_id = if self.config.is_relay() {
            call.shipped.replace(Some((path, shipment.image_id.clone())));
            shipment.image_id.clone()
        } else {
            call.meter.reach(Reached::Insert, total);
            self.insert(shipment, call).await?
        };
        call.meter.reach(Reached::Done, total);
        Ok(image_id)
    }

    /// Brings the bytes into the bucket: in one request, or from `resumableFrom` on in pieces. The Worker then has done, or
    /// will do, all there is to do, and its answer is the path.
    pub async fn upload(
        &self,
        shipment: &Shipment<P::Bytes>,
        call: &Call,
        resumption: &dyn Resumption,
    ) -> Result<String, Error> {
        let total = self.platform.size(&shipment.image);
        call.meter.total.set(total);
        call.meter.reach(Reached::Upload, 0.0);
        if self.config.goes_in_pieces(total) {
            return self.upload_in_pieces(shipment, call, resumption).await;
        }
        let relay = self.config.is_relay();
        let build =
            || if relay { worker::sync(&self.config, shipment) } else { object::upload(&self.config, shipment) };
        let read = |response: &Response| match relay {
            true => worker::read_sync(response, &call.queued),
            false => object::read_upload(response),
        };
        self.until_answered(call, Stage::Upload, &build, &read).await
    }

    /// Resumes from the server's word after every fault; what it has got refills the budget of retries.
    async fn upload_in_pieces(
        &self,
        shipment: &Shipment<P::Bytes>,
        call: &Call,
        resumption: &dyn Resumption,
    ) -> Result<String, Error> {
        let relay = self.config.is_relay();
        let mut upload = Upload::new(call.meter.total.get(), self.config.chunk_size, resumption.earlier(), relay);
        let mut attempts = Attempts::default();
        let (mut idle, mut furthest) = (0, 0.0);
        let (mut ticket, mut wants_ticket, mut renewed) = (None::<Ticket>, relay, false);
        call.enter(Stage::Upload);
        loop {
            if wants_ticket {
                ticket = Some(self.ask_ticket(shipment, call).await?);
                wants_ticket = false;
            }
            let (stage, reached) = match upload.awaits_commit() {
                true => (Stage::Insert, Reached::Insert),
                false => (Stage::Upload, Reached::Upload),
            };
            if call.stage.get() != stage {
                call.enter(stage);
                call.meter.reach(reached, upload.offset());
            }
            let request = upload.next(&self.config, ticket.as_ref(), shipment, |from, to| {
                self.platform.slice(&shipment.image, from, to)
            });
            let signed = request.header_value(SIGNATURE).is_some();
            let answered = match self.exchange(call, stage, request, upload.offset()).await {
                // Once a step: another ticket won't mend what a fresh one does not.
                Ok(response) if relay && !renewed && worker::wants_ticket(&response, signed) => {
                    (wants_ticket, renewed) = (true, true);
                    upload.interrupted();
                    continue;
                }
                Ok(response) => upload.read(&response),
                Err(refusal) => {
                    upload.interrupted();
                    Err(refusal)
                }
            };
            resumption.keep(upload.id()).await?;
            let refusal = match answered {
                Ok(Outcome::Complete) => {
                    return Ok(ticket.map(|ticket| ticket.storage_path).unwrap_or_default());
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
            self.await_next_try(call, stage, &mut attempts, refusal).await?;
        }
    }

    /// Tells the server that an upload in pieces won't be gone on with.
    pub async fn abandon(&self, upload_id: &str, call: &Call) -> Result<(), Error> {
        if !is_plain_name(upload_id) {
            return Ok(()); // damaged where it was stored: it names no upload
        }
        let build = || tus::abandon(&self.config, upload_id);
        self.until_answered(call, Stage::Upload, &build, &tus::read_abandon).await.map(|_| ())
    }

    async fn ask_ticket(&self, shipment: &Shipment<P::Bytes>, call: &Call) -> Result<Ticket, Error> {
        let total = call.meter.total.get();
        let ticket = RefCell::new(None);
        let build = || worker::ask_ticket(&self.config, shipment, total);
        let read = |response: &Response| {
            ticket.replace(Some(worker::read_ticket(response)?));
            Ok(String::new())
        };
        self.until_answered(call, Stage::Upload, &build, &read).await?;
        ticket.take().ok_or_else(|| call.stopped(Code::BadResponse, "no ticket"))
    }

    /// Inserts the row. A duplicate id is no failure when the row that holds it is the one an earlier attempt brought.
    pub async fn insert<B>(&self, shipment: &Shipment<B>, call: &Call) -> Result<String, Error> {
        let insert = || rows::insert(&self.config, &shipment.row);
        match self.until_answered(call, Stage::Insert, &insert, &rows::read_insert).await {
            Err(error) if error.code == Code::IdTaken => {
                let read_back = || rows::read_back(&self.config, &shipment.image_id);
                let read = |response: &Response| rows::read_holder(shipment, response);
                self.until_answered(call, Stage::Insert, &read_back, &read).await
            }
            other => other,
        }
    }

    /// Sends what `build` makes until `read` is content or trying again makes no sense.
    pub(super) async fn until_answered(
        &self,
        call: &Call,
        stage: Stage,
        build: &dyn Fn() -> Request<P::Bytes>,
        read: &Read<'_>,
    ) -> Result<String, Error> {
        call.enter(stage);
        let mut attempts = Attempts::default();
        loop {
            let answered = self.exchange(call, stage, build(), 0.0).await.and_then(|response| read(&response));
            match answered {
                Ok(answer) => return Ok(answer),
                Err(refusal) => self.await_next_try(call, stage, &mut attempts, refusal).await?,
            }
        }
    }

    /// Waits as long as is right before the next attempt, or gives the error if there is to be none.
    async fn await_next_try(
        &self,
        call: &Call,
        stage: Stage,
        attempts: &mut Attempts,
        refusal: Refusal,
    ) -> Result<(), Error> {
        let asked_ms = refusal.retry_after.as_deref().and_then(|(value, date)| {
            let parse_date = |date: &str| self.platform.parse_date(date);
            retry_after_ms(value, date.as_deref(), self.platform.now_ms(), parse_date)
        });
        let can_refresh = self.platform.has_access_token();
        match self.config.retry.decide(attempts, refusal.remedy, asked_ms, can_refresh, self.platform.dice()) {
            Decision::GiveUp(retry_after_ms) => {
                let mut error = refusal.error;
                error.attempts = call.attempts.get();
                error.retry_after_ms = retry_after_ms;
                return Err(error);
            }
            Decision::RefreshToken => {}
            Decision::Wait(wait_ms) => {
                let (code, status, attempt) = (refusal.error.code, refusal.error.status, call.attempts.get());
                call.meter.observer.retrying(Retrying { stage, code, status, attempt, wait_ms });
                self.platform.sleep(wait_ms).await;
            }
        }
        Ok(())
    }

    /// Sends one request with its keys. Any answer is one, whatever its status. Of the image, `sent_before` bytes are sent.
    async fn exchange(
        &self,
        call: &Call,
        stage: Stage,
        request: Request<P::Bytes>,
        sent_before: f64,
    ) -> Result<Response, Refusal> {
        let signature = request.header_value(SIGNATURE).map(str::to_owned);
        let token = match &signature {
            Some(_) => None,
            None => self.platform.access_token(self.config.timeout_ms).await.map_err(|(problem, cause)| {
                let message = format!("{}: accessToken {problem}", stage.label());
                let error = Error::new(stage, Code::TokenUnavailable, message).with_cause(cause);
                Refusal::last(error).retryable()
            })?,
        };
        if let Some(token) = &token {
            self.config.check_token(token).map_err(Refusal::last)?;
        }
        if call.owner_only && token.as_deref().is_some_and(|token| self.is_of_another_user(token)) {
            let message = format!("{}: the token is another user's", stage.label());
            return Err(Refusal::last(Error::new(stage, Code::WrongUser, message)).retryable());
        }
        let bearer = signature.as_deref().or(token.as_deref()).unwrap_or(&self.config.api_key);
        let request = match &signature {
            Some(_) => request,
            None => request.header("Authorization", format!("Bearer {bearer}")),
        };
        let request =
            if self.config.is_relay() { request } else { request.header("apikey", self.config.api_key.as_str()) };
        let bytes = match &request.payload {
            Payload::Image(image) | Payload::Form(_, image) => self.platform.size(image),
            _ => 0.0,
        };
        let line_ms = (bytes / SLOWEST_BYTES_PER_SECOND * 1000.0) as u32;
        let patience = Patience { idle_ms: self.config.timeout_ms, line_ms };
        let on_sent = (bytes > 0.0 && call.meter.observer.watches()).then(|| {
            let meter = call.meter.clone();
            Rc::new(move |sent| meter.reach(Reached::Upload, sent_before + sent)) as OnSent
        });
        call.attempts.set(call.attempts.get() + 1);
        // A server may echo what it was sent, a host may name what it could not send, and errors quote them.
        let clean = |text| [bearer, &self.config.api_key].into_iter().fold(text, redact);
        match self.platform.send(request, patience, on_sent).await {
            Ok(mut response) => {
                let body = clean(response.body.clone());
                if body != response.body {
                    response.json = self.platform.parse_json(&body);
                    response.body = body;
                }
                Ok(response)
            }
            Err(Failure::Network(problem, cause)) => {
                Err(classify::of_failure(stage, Failure::Network(clean(problem), cause)))
            }
            Err(failure) => Err(classify::of_failure(stage, failure)),
        }
    }

    /// By the token's `sub`; one that is no JWT tells nothing, and is the server's to judge.
    fn is_of_another_user(&self, token: &str) -> bool {
        let claims = jwt_claims(token).and_then(|claims| self.platform.parse_json(&claims));
        let subject = claims.as_ref().and_then(|claims| claims.text("sub"));
        subject.is_some_and(|subject| !subject.eq_ignore_ascii_case(&self.config.owner_user_id))
    }
}

#[cfg(test)]
pub(crate) mod tests;
