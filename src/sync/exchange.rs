//! One request until it is answered: who it goes as, how long it may take by itself, and what is tried again. An upload in pieces
//! has a loop of its own, over the same exchange and the same decision.

use std::rc::Rc;

use super::call::{Call, Reached, Retrying};
use super::client::Client;
use crate::error::{Code, Error, Stage};
use crate::host::{OnSent, Patience, Platform};
use crate::text::{jwt_claims, redact};
use crate::wire::auth::Auth;
use crate::wire::classify::{self, Refusal};
use crate::wire::event::Event;
use crate::wire::http::{Authority, Failure, Request, Response};
use crate::wire::retry::{Attempts, Decision, retry_after_ms};

/// The slowest line an upload is given time for, where its progress can't be seen.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 * 1024;

/// Takes an answer, or says why it is none.
type Accept<'a> = dyn FnMut(&Response) -> Result<(), Refusal> + 'a;

impl<P: Platform> Client<P> {
    /// Sends what `build` makes until `read` makes something of the answer, or trying again makes no sense.
    pub(super) async fn ask<T>(
        &self,
        call: &Call,
        stage: Stage,
        build: &dyn Fn() -> Request<P::Bytes>,
        read: impl Fn(&Response) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        let mut answer = None;
        let mut accept = |response: &Response| {
            answer = Some(read(response)?);
            Ok(())
        };
        self.until_accepted(call, stage, build, &mut accept).await?;
        answer.ok_or_else(|| call.stopped(Code::BadResponse, "no answer"))
    }

    /// Not generic, so that there is one retry loop in the binary.
    async fn until_accepted(
        &self,
        call: &Call,
        stage: Stage,
        build: &dyn Fn() -> Request<P::Bytes>,
        accept: &mut Accept<'_>,
    ) -> Result<(), Error> {
        call.trace.enter(stage);
        let mut attempts = Attempts::default();
        loop {
            let response = self.exchange(call, stage, build(), 0).await;
            match response.and_then(|response| accept(&response)) {
                Ok(()) => return Ok(()),
                Err(refusal) => self.await_next_try(call, stage, &mut attempts, refusal).await?,
            }
        }
    }

    /// Waits as long as is right before the next attempt, or gives the error if there is to be none.
    pub(super) async fn await_next_try(
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
        match self.config.retry.decide(attempts, refusal.remedy, asked_ms, can_refresh, self.platform.jitter()) {
            Decision::GiveUp(retry_after_ms) => {
                let mut error = refusal.error;
                error.attempts = call.trace.attempts.get();
                error.retry_after_ms = retry_after_ms;
                return Err(error);
            }
            Decision::RefreshToken => {}
            Decision::Wait(wait_ms) => {
                let (code, status, attempt) = (refusal.error.code, refusal.error.status, call.trace.attempts.get());
                call.meter.observer.retrying(Retrying { stage, code, status, attempt, wait_ms });
                let image_ids = call.trace.image_ids();
                self.platform.tell(&Event::Retry { stage, code, status, attempt, wait_ms, image_ids });
                self.platform.sleep(wait_ms).await;
            }
        }
        Ok(())
    }

    /// Sends one request with its keys. Any answer is one, whatever its status. Of the image, `sent_before` bytes are sent.
    pub(super) async fn exchange(
        &self,
        call: &Call,
        stage: Stage,
        request: Request<P::Bytes>,
        sent_before: u64,
    ) -> Result<Response, Refusal> {
        let auth = match &request.authority {
            Authority::Upload(token) => Auth::Signed(token.clone()),
            Authority::Client => self.own_auth(call, stage).await?,
        };
        let request = auth.add_to(request, &self.config);
        let bytes: u64 = request.payload.files().map(|file| self.platform.size(file)).sum();
        let line_ms = u32::try_from(bytes.saturating_mul(1000) / SLOWEST_BYTES_PER_SECOND).unwrap_or(u32::MAX);
        let patience = Patience { idle_ms: self.config.timeout_ms, line_ms };
        let is_image = bytes > 0 && stage == Stage::Upload;
        let on_sent = (is_image && call.meter.observer.watches()).then(|| {
            let meter = call.meter.clone();
            Rc::new(move |sent| meter.reach(Reached::Upload, sent_before + sent)) as OnSent
        });
        call.trace.attempts.set(call.trace.attempts.get() + 1);
        // A server may echo what it was sent, a host may name what it could not send, and errors quote them.
        let clean = |text| [auth.token(), self.config.api_key.as_deref()].into_iter().flatten().fold(text, redact);
        let (method, began_ms) = (request.method.as_str(), self.platform.now_ms());
        let sent = self.platform.send(request, patience, on_sent).await;
        let answered = match sent {
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
        };
        self.platform.tell(&Event::Request {
            stage,
            method,
            status: answered.as_ref().ok().map(|response: &Response| response.status),
            code: answered.as_ref().err().map(|refusal| refusal.error.code),
            ms: u32::try_from((self.platform.now_ms() - began_ms).max(0)).unwrap_or(u32::MAX),
            bytes,
            attempt: call.trace.attempts.get(),
            image_ids: call.trace.image_ids(),
        });
        answered
    }

    /// The user's token where the caller gives one, else the key.
    async fn own_auth(&self, call: &Call, stage: Stage) -> Result<Auth, Refusal> {
        let token = self.platform.access_token(self.config.timeout_ms).await.map_err(|(problem, cause)| {
            let message = format!("{}: accessToken {problem}", stage.label());
            Refusal::last(Error::new(stage, Code::TokenUnavailable, message).with_cause(cause)).retryable()
        })?;
        let Some(token) = token else {
            return Ok(self.config.api_key.clone().map_or(Auth::Nobody, Auth::Bearer));
        };
        self.config.check_token(&token).map_err(Refusal::last)?;
        if call.options.owner_only && self.is_of_another_user(&token) {
            let message = format!("{}: the token is another user's", stage.label());
            return Err(Refusal::last(Error::new(stage, Code::WrongUser, message)).retryable());
        }
        Ok(Auth::Bearer(token))
    }

    /// By the token's `sub`; one that is no JWT tells nothing, and is the server's to judge.
    fn is_of_another_user(&self, token: &str) -> bool {
        let claims = jwt_claims(token).and_then(|claims| self.platform.parse_json(&claims));
        let subject = claims.as_ref().and_then(|claims| claims.text("sub"));
        subject.is_some_and(|subject| !self.config.owner_id().is_some_and(|owner| owner.eq_ignore_ascii_case(subject)))
    }
}
