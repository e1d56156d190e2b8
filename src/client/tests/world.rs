//! A host with a fake clock, and a model of Supabase behind a line that breaks as told.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::fault::{Break, Fault};
use crate::error::Cause;
use crate::http::{Failure, Method, Payload, Request, Response};
use crate::json::Json;
use crate::platform::{OnSent, Patience, Platform};

pub(crate) type Bytes = Rc<Vec<u8>>;

pub(crate) const URL: &str = "https://project.supabase.co";
pub(crate) const KEY: &str = "sb_publishable_ofTheTests";
const BUCKET: &str = "imagen-generated";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Upload,
    Insert,
    ReadBack,
    Sign,
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) step: Step,
    pub(crate) bearer: String,
    pub(crate) patience_ms: u32,
    pub(crate) at_ms: f64,
}

/// An object in the bucket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) mime_type: String,
}

/// Everything outside of the library. Cheap to clone: a clone is the same world.
#[derive(Clone, Default)]
pub(crate) struct World(Rc<State>);

#[derive(Default)]
pub(crate) struct State {
    clock_ms: Cell<f64>,
    timers: RefCell<Vec<f64>>,
    /// The waits that came to their end.
    pub(crate) waits: RefCell<Vec<u32>>,
    pub(crate) dice: Cell<f64>,
    random: Cell<u8>,
    /// What `accessToken` answers, one after the other, the last one again and again; `Err` is what it says when it fails.
    pub(crate) tokens: RefCell<VecDeque<Result<String, String>>>,
    pub(crate) tokens_asked: Cell<u32>,
    /// Under row-level security the bearer is the user's id, up to a dot.
    pub(crate) row_level_security: Cell<bool>,
    /// How long every exchange takes.
    pub(crate) latency_ms: Cell<u32>,
    pub(crate) objects: RefCell<BTreeMap<String, Object>>,
    pub(crate) rows: RefCell<Vec<Value>>,
    pub(crate) sent: RefCell<Vec<Sent>>,
    /// What happens to the next requests of a step.
    pub(crate) faults: RefCell<BTreeMap<Step, VecDeque<Fault>>>,
    /// What happens to the next requests, whatever they ask for.
    pub(crate) weather: RefCell<VecDeque<Option<Fault>>>,
}

impl core::ops::Deref for World {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl World {
    /// A world whose dice show the middle, so that every wait is three quarters of the longest one.
    pub(crate) fn new() -> Self {
        let world = Self::default();
        world.dice.set(0.5);
        world.clock_ms.set(1_778_457_600_000.0);
        world
    }

    /// Breaks the next requests of a step.
    pub(crate) fn plan(&self, step: Step, faults: &[Fault]) {
        self.faults.borrow_mut().entry(step).or_default().extend(faults);
    }

    /// The steps of the requests that were sent.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.sent.borrow().iter().map(|sent| sent.step).collect()
    }

    pub(crate) fn rows_of(&self, image_id: &str) -> Vec<Value> {
        self.rows.borrow().iter().filter(|row| row["id"] == image_id).cloned().collect()
    }

    /// Runs a future to its end. When it waits for time alone, time passes.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return result;
            }
            let next =
                self.timers.borrow().iter().copied().reduce(f64::min).expect("waits for nothing that ever comes");
            self.clock_ms.set(next);
        }
    }

    /// Supabase is well again.
    pub(crate) fn heal(&self) {
        self.faults.borrow_mut().clear();
        self.weather.borrow_mut().clear();
    }

    async fn pass(&self, ms: u32) {
        let until = self.clock_ms.get() + f64::from(ms);
        self.timers.borrow_mut().push(until);
        let _timer = Timer { world: self, until };
        poll_fn(|_| if self.clock_ms.get() >= until { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// The line to the servers and the servers.
    async fn exchange(&self, request: Request<Bytes>, patience_ms: u32) -> Result<Response, Failure> {
        let step = step_of(&request);
        let header = |name: &str| {
            let found = request.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.clone());
            let values: Vec<String> = found.collect();
            assert!(values.len() <= 1, "{name} is sent twice");
            values.into_iter().next()
        };
        assert_eq!(header("apikey").as_deref(), Some(KEY));
        let bearer = header("Authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned();
        self.sent.borrow_mut().push(Sent { step, bearer: bearer.clone(), patience_ms, at_ms: self.clock_ms.get() });
        let planned = self.faults.borrow_mut().get_mut(&step).and_then(VecDeque::pop_front);
        let fault = planned.or_else(|| self.weather.borrow_mut().pop_front().flatten());

        let latency_ms = self.latency_ms.get();
        self.pass(latency_ms / 2).await;
        let served = match fault {
            Some(fault) if !fault.arrives() => None,
            _ => Some(self.serve(step, &request, &bearer)),
        };
        self.pass(latency_ms - latency_ms / 2).await;
        match fault.map(|fault| fault.at(step, &bearer, served.as_ref())) {
            None => Ok(served.unwrap()),
            Some(Break::Answer(response)) => Ok(response),
            Some(Break::Cut(problem)) => Err(Failure::Network(problem, None)),
            Some(Break::Silence) => {
                self.pass(patience_ms).await;
                Err(Failure::Timeout)
            }
        }
    }

    fn serve(&self, step: Step, request: &Request<Bytes>, bearer: &str) -> Response {
        let user = bearer.split('.').next().unwrap();
        let is_mine = |owner: &str| !self.row_level_security.get() || owner == user;
        let key = |route: &str| {
            let (_, escaped) = request.url.split_once(&format!("/storage/v1/{route}/{BUCKET}/")).unwrap();
            percent_decode_str(escaped).decode_utf8().unwrap().into_owned()
        };
        match (step, &request.payload) {
            (Step::Upload, Payload::Image(bytes)) => {
                let key = key("object");
                if !is_mine(key.split('/').next().unwrap()) {
                    return storage_error("403", "AccessDenied", "new row violates row-level security policy");
                }
                let (_, mime_type) = request.headers.iter().find(|(name, _)| *name == "Content-Type").unwrap();
                let object = Object { bytes: bytes.clone(), mime_type: mime_type.clone() };
                let answer = json!({ "Key": format!("{BUCKET}/{key}"), "Id": "2f1a" });
                self.objects.borrow_mut().insert(key, object);
                answer_of(200, &answer.to_string())
            }
            (Step::Sign, Payload::Json(text)) => {
                let key = key("object/sign");
                assert!(serde_json::from_str::<Value>(text).unwrap()["expiresIn"].as_u64().unwrap() >= 1);
                if !self.objects.borrow().contains_key(&key) {
                    return storage_error("404", "NoSuchKey", "Object not found");
                }
                let answer = json!({ "signedURL": format!("/object/sign/{BUCKET}/{key}?token=eyJ.signed") });
                answer_of(200, &answer.to_string())
            }
            (Step::Insert, Payload::Json(text)) => {
                let row: Value = serde_json::from_str(text).unwrap();
                if !is_mine(row["owner_user_id"].as_str().unwrap()) {
                    let refused = json!({ "code": "42501", "details": null, "hint": null,
                        "message": "new row violates row-level security policy for table \"images\"" });
                    return answer_of(403, &refused.to_string());
                }
                if self.rows.borrow().iter().any(|other| other["id"] == row["id"]) {
                    let duplicate = json!({ "code": "23505", "details": null, "hint": null,
                        "message": "duplicate key value violates unique constraint \"images_pkey\"" });
                    return answer_of(409, &duplicate.to_string());
                }
                self.rows.borrow_mut().push(row.clone());
                answer_of(201, &json!([row]).to_string())
            }
            (Step::ReadBack, Payload::Empty) => {
                let id = request.url.split("id=eq.").nth(1).unwrap().split('&').next().unwrap();
                let columns: Vec<&str> = request.url.split("select=").nth(1).unwrap().split(',').collect();
                let selected = |row: &Value| {
                    columns.iter().map(|column| ((*column).to_owned(), row[*column].clone())).collect::<Value>()
                };
                let rows: Vec<Value> = self.rows_of(id);
                let seen = rows.iter().filter(|row| is_mine(row["owner_user_id"].as_str().unwrap()));
                answer_of(200, &seen.map(selected).collect::<Value>().to_string())
            }
            (step, _) => panic!("{step:?} with another payload"),
        }
    }
}

/// Forgets a timer, also when what waited for it was dropped.
struct Timer<'a> {
    world: &'a World,
    until: f64,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let mut timers = self.world.timers.borrow_mut();
        let mine = timers.iter().position(|until| *until == self.until).unwrap();
        timers.swap_remove(mine);
    }
}

fn step_of(request: &Request<Bytes>) -> Step {
    let path = request.url.strip_prefix(URL).expect("another host");
    let starts = |prefix: &str| path.starts_with(prefix);
    match request.method {
        Method::Put if starts("/storage/v1/object/imagen-generated/") => Step::Upload,
        Method::Post if starts("/storage/v1/object/sign/imagen-generated/") => Step::Sign,
        Method::Post if path == "/rest/v1/images" => Step::Insert,
        Method::Get if starts("/rest/v1/images?") => Step::ReadBack,
        _ => panic!("no such route: {:?} {path}", request.method),
    }
}

pub(crate) fn answer_of(status: u16, body: &str) -> Response {
    Response { status, headers: Vec::new(), body: body.to_owned(), json: crate::json::tests::parse(body) }
}

/// Storage's way: an HTTP 400 with the real status in its body.
pub(crate) fn storage_error(status: &str, code: &str, message: &str) -> Response {
    let body = json!({ "statusCode": status, "error": code, "message": message, "code": code });
    answer_of(400, &body.to_string())
}

impl Platform for World {
    type Bytes = Bytes;

    async fn send(
        &self,
        request: Request<Bytes>,
        patience: Patience,
        _on_sent: Option<OnSent>,
    ) -> Result<Response, Failure> {
        self.exchange(request, patience.idle_ms + patience.line_ms).await
    }

    async fn sleep(&self, ms: u32) {
        self.pass(ms).await;
        self.waits.borrow_mut().push(ms);
    }

    async fn access_token(&self, _patience_ms: u32) -> Result<Option<String>, (String, Option<Cause>)> {
        let mut tokens = self.tokens.borrow_mut();
        let Some(next) = tokens.front().cloned() else {
            return Ok(None);
        };
        if tokens.len() > 1 {
            tokens.pop_front();
        }
        self.tokens_asked.set(self.tokens_asked.get() + 1);
        next.map(Some).map_err(|problem| (problem, None))
    }

    fn has_access_token(&self) -> bool {
        !self.tokens.borrow().is_empty()
    }

    fn size(&self, bytes: &Bytes) -> f64 {
        bytes.len() as f64
    }

    fn slice(&self, bytes: &Bytes, from: f64, to: f64) -> Bytes {
        bytes[from as usize..to as usize].to_vec().into()
    }

    async fn first_bytes(&self, bytes: &Bytes, count: u32) -> Result<Vec<u8>, Cause> {
        Ok(bytes[..bytes.len().min(count as usize)].to_vec())
    }

    fn now_ms(&self) -> f64 {
        self.clock_ms.get()
    }

    fn parse_date(&self, date: &str) -> Option<f64> {
        crate::retry::tests::parse_date(date)
    }

    fn parse_json(&self, text: &str) -> Option<Json> {
        crate::json::tests::parse(text)
    }

    fn dice(&self) -> f64 {
        self.dice.get()
    }

    fn random_bytes(&self) -> Option<[u8; 16]> {
        self.random.set(self.random.get() + 1);
        Some([self.random.get(); 16])
    }
}
