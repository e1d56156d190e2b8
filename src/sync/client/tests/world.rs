//! A host with a fake clock, and a model of Supabase behind a line that breaks as told.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::ops::Range;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::fault::{Break, Fault};
use super::uploads::Uploads;
use super::worker::{WORKER_URL, Worker};
use crate::error::Cause;
use crate::host::{OnSent, Patience, Platform};
use crate::image::thumbnail::Thumbnail;
use crate::json::Json;
use crate::wire::http::{Failure, Method, Payload, Request, Response};

pub(crate) type Bytes = Rc<Vec<u8>>;

pub(crate) const URL: &str = "https://project.supabase.co";
pub(crate) const KEY: &str = "sb_publishable_ofTheTests";
pub(super) const BUCKET: &str = "imagen-generated";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Upload,
    Insert,
    ReadBack,
    Sign,
    /// The upload in pieces: its creation, a piece, the question how far it got, and that for the object.
    Create,
    Piece,
    Offset,
    Info,
    Abandon,
    InsertMany,
    ReadBackMany,
    SignMany,
    /// The Worker's: an image in one form, a ticket, its commit, a signed URL.
    Hand,
    Ticket,
    Commit,
    Link,
    /// A removal: who names the object, the objects, the rows.
    Namers,
    /// A page of rows.
    List,
    RemoveObjects,
    RemoveRows,
    RemoveUnseen,
    /// The Worker's, and its word on what became of an image.
    HandRemoval,
    Standing,
}

/// What happens to one request, whatever it asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    Fault(Fault),
    /// Of a piece this part is stored, then the line breaks.
    Stored(f64),
    /// Of a piece this part is stored, and the answer says so: another request took the upload over.
    Evicted(f64),
    /// The server has forgotten the upload, and says so with this status.
    Forgotten(u16),
    /// A gateway sends the request twice and passes the second answer on.
    Replayed,
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) step: Step,
    pub(crate) bearer: String,
    pub(crate) patience_ms: u32,
    pub(crate) at_ms: i64,
    /// Of an image.
    pub(crate) bytes: usize,
    pub(crate) url: String,
}

/// An object in the bucket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) mime_type: String,
    pub(crate) version: String,
}

/// What the caller of a test makes of an answer.
type Lie = Rc<dyn Fn(Step, Response) -> Response>;

/// Everything outside of the library. Cheap to clone: a clone is the same world.
#[derive(Clone, Default)]
pub(crate) struct World(Rc<State>);

#[derive(Default)]
pub(crate) struct State {
    clock_ms: Cell<i64>,
    timers: RefCell<Vec<i64>>,
    /// The waits that came to their end.
    pub(crate) waits: RefCell<Vec<u32>>,
    pub(crate) jitter: Cell<f64>,
    random: Cell<u8>,
    /// What `accessToken` answers, one after the other, the last one again and again; `Err` is what it says when it fails.
    pub(crate) tokens: RefCell<VecDeque<Result<String, String>>>,
    pub(crate) tokens_asked: Cell<u32>,
    /// Under row-level security the bearer is the user's id, up to a dot.
    pub(crate) row_level_security: Cell<bool>,
    /// How long every exchange takes.
    pub(crate) latency_ms: Cell<u32>,
    /// How long a server takes over an image that it has whole, whether or not anybody waits for that still.
    pub(crate) slow_ms: Cell<u32>,
    late: RefCell<Vec<Late>>,
    pub(crate) objects: RefCell<BTreeMap<String, Object>>,
    pub(crate) rows: RefCell<Vec<Value>>,
    pub(crate) sent: RefCell<Vec<Sent>>,
    /// What happens to the next requests of a step.
    pub(crate) faults: RefCell<BTreeMap<Step, VecDeque<Fault>>>,
    /// What happens to the next requests, whatever they ask for.
    pub(crate) weather: RefCell<VecDeque<Option<Fault>>>,
    /// What happens to the nth request of all.
    pub(crate) troubles: RefCell<BTreeMap<usize, Trouble>>,
    /// Those that came true.
    pub(crate) hits: RefCell<Vec<(Step, Trouble)>>,
    /// Changes every answer.
    pub(crate) lie: RefCell<Option<Lie>>,
    /// A firewall before the servers turns away what has one of these texts in its address or its JSON.
    pub(crate) rejects: RefCell<Vec<String>>,
    pub(crate) uploads: Uploads,
    pub(crate) worker: Worker,
    /// How often an upload in pieces came to its end, by path.
    pub(crate) completed: RefCell<BTreeMap<String, u32>>,
    versions: Cell<u32>,
    /// After how many requests a bearer is refused; then `accessToken` gives another one.
    pub(crate) token_uses: Cell<Option<u32>>,
    uses: RefCell<BTreeMap<String, u32>>,
    /// Then it gives the same one again, as when the user has signed out.
    pub(crate) is_signed_out: Cell<bool>,
    /// A kill: at this one of the moments before and after each commit everything stops.
    pub(crate) kill_at: Cell<Option<u32>>,
    pub(crate) moments: Cell<u32>,
    dead: Cell<bool>,
    /// Requests under way, by what they are about, and whether there ever were two at once.
    pub(crate) flying: RefCell<BTreeMap<String, u32>>,
    pub(crate) most_flying: Cell<u32>,
    /// What the host draws as the small picture of any image.
    pub(crate) drawn: RefCell<Option<Bytes>>,
    /// How many rows the database gives at once, whatever is asked for.
    pub(crate) max_rows: Cell<Option<usize>>,
    /// What the next looks for rows see instead of them, a state each: they go to a copy of the database that lags behind.
    pub(crate) replica: RefCell<VecDeque<Vec<Value>>>,
    /// The pieces of images that were looked at.
    pub(crate) read: RefCell<Vec<Range<u32>>>,
}

/// A request that a server has, and will do by then.
struct Late {
    at_ms: i64,
    step: Step,
    request: Request<Bytes>,
    bearer: String,
    answer: Rc<RefCell<Option<Response>>>,
}

/// Whether what runs asked to be looked at again.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl core::ops::Deref for World {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl World {
    /// A world whose jitter is in the middle, so that every wait is three quarters of the longest one.
    pub(crate) fn new() -> Self {
        let world = Self::default();
        world.jitter.set(0.5);
        world.clock_ms.set(1_778_457_600_000);
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

    /// The rows that a look for some of them sees.
    pub(super) fn seen_rows(&self) -> Vec<Value> {
        self.replica.borrow_mut().pop_front().unwrap_or_else(|| self.rows.borrow().clone())
    }

    /// Runs a future to its end. When it waits for time alone, time passes.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.run_until_dead(future).expect("nobody was to be killed")
    }

    /// Runs a future to its end, or until the moment of [`State::kill_at`]: then it is dropped as it is.
    pub(crate) fn run_until_dead<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return Some(result);
            }
            if self.dead.take() {
                self.kill_at.set(None);
                return None;
            }
            if woken.0.swap(false, Ordering::Relaxed) {
                continue;
            }
            let next = self.timers.borrow().iter().copied().min().expect("waits for nothing that ever comes");
            self.set_clock(next);
        }
    }

    /// Supabase is well again.
    pub(crate) fn heal(&self) {
        self.troubles.borrow_mut().clear();
        self.lie.take();
        self.faults.borrow_mut().clear();
        self.weather.borrow_mut().clear();
    }

    /// A moment at which everything may end.
    pub(crate) async fn moment(&self) {
        let moment = self.moments.get();
        self.moments.set(moment + 1);
        if self.kill_at.get() == Some(moment) {
            self.dead.set(true);
        }
        poll_fn(|_| if self.dead.get() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    pub(crate) fn set_clock(&self, ms: i64) {
        self.clock_ms.set(ms);
        let due: Vec<Late> = self.late.borrow_mut().extract_if(.., |late| late.at_ms <= ms).collect();
        for Late { step, request, bearer, answer, .. } in due {
            answer.replace(Some(self.serve_by_token(step, &request, &bearer)));
        }
    }

    /// What a server answers that takes its time.
    async fn serve_slowly(&self, step: Step, request: &Request<Bytes>, bearer: &str, slow_ms: u32) -> Response {
        let (request, bearer, answer) = (request.clone(), bearer.to_owned(), Rc::default());
        let at_ms = self.clock_ms.get() + i64::from(slow_ms);
        self.late.borrow_mut().push(Late { at_ms, step, request, bearer, answer: Rc::clone(&answer) });
        self.pass(slow_ms).await;
        answer.take().unwrap()
    }

    pub(super) fn new_version(&self) -> String {
        self.versions.set(self.versions.get() + 1);
        format!("version-{}", self.versions.get())
    }

    /// Bytes of images that were sent.
    pub(crate) fn bytes_sent(&self) -> usize {
        self.sent.borrow().iter().map(|sent| sent.bytes).sum()
    }

    pub(crate) async fn pass(&self, ms: u32) {
        let until = self.clock_ms.get() + i64::from(ms);
        self.timers.borrow_mut().push(until);
        let _timer = Timer { world: self, until };
        poll_fn(|_| if self.clock_ms.get() >= until { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// The line to the servers and the servers.
    async fn exchange(
        &self,
        request: Request<Bytes>,
        patience_ms: u32,
        on_sent: Option<OnSent>,
    ) -> Result<Response, Failure> {
        let step = step_of(&request);
        let header = |name: &str| {
            let found = request.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.clone());
            let values: Vec<String> = found.collect();
            assert!(values.len() <= 1, "{name} is sent twice");
            values.into_iter().next()
        };
        let is_signed = request.url.contains("/upload/resumable/sign");
        let by_key = !is_signed && request.url.starts_with(URL);
        assert_eq!(header("apikey").as_deref(), by_key.then_some(KEY));
        let authorization = header("Authorization");
        assert_eq!(authorization.is_some(), !is_signed, "whoever has a token for an upload needs no other one");
        let bearer = authorization.as_deref().map(|value| value.strip_prefix("Bearer ").unwrap());
        let bearer = bearer.map(str::to_owned).or(header("x-signature")).unwrap();
        let nth = self.sent.borrow().len();
        assert!(nth < 3000, "without an end: {:?}", self.steps().split_off(2960));
        let bytes = request.payload.files().map(|file| file.len()).sum();
        let (at_ms, url) = (self.clock_ms.get(), request.url.clone());
        self.sent.borrow_mut().push(Sent { step, bearer: bearer.clone(), patience_ms, at_ms, bytes, url });
        let planned = self.faults.borrow_mut().get_mut(&step).and_then(VecDeque::pop_front);
        let fault = planned.or_else(|| self.weather.borrow_mut().pop_front().flatten()).map(Trouble::Fault);
        let trouble = fault.or_else(|| self.troubles.borrow().get(&nth).copied());
        self.hits.borrow_mut().extend(trouble.map(|trouble| (step, trouble)));
        let _flight = Flight::begin(self, about(&request));

        let latency_ms = self.latency_ms.get();
        self.pass(latency_ms / 2).await;
        self.moment().await;
        let is_rejected = self.rejects.borrow().iter().any(|text| {
            request.url.contains(text) || matches!(&request.payload, Payload::Json(json) if json.contains(text))
        });
        let serve = || match is_rejected {
            true => answer_of(403, "<html>Blocked</html>"),
            false => self.serve_by_token(step, &request, &bearer),
        };
        let mut cut = None;
        let slow_ms = self.slow_ms.get();
        let served = match trouble {
            None if slow_ms > 0 && bytes > 0 => {
                on_sent.iter().for_each(|on_sent| on_sent(bytes as u64));
                Some(self.serve_slowly(step, &request, &bearer, slow_ms).await)
            }
            Some(Trouble::Fault(fault)) if !fault.arrives() => None,
            Some(Trouble::Stored(part)) => {
                cut = Some(Break::Cut("Failed to fetch".to_owned()));
                self.serve_part(step, &request, part)
            }
            Some(Trouble::Evicted(part)) => self.serve_part(step, &request, part).or_else(|| Some(serve())),
            Some(Trouble::Forgotten(status)) => self.forget(step, &request, status).or_else(|| Some(serve())),
            Some(Trouble::Replayed) => {
                serve();
                Some(serve())
            }
            _ => Some(serve()),
        };
        self.moment().await;
        self.pass(latency_ms - latency_ms / 2).await;
        let broken = match trouble {
            Some(Trouble::Fault(fault)) => Some(fault.at(step, &bearer, served.as_ref())),
            _ => cut,
        };
        let mut response = match broken {
            None => served.unwrap(),
            Some(Break::Answer(response)) => response,
            Some(Break::Cut(problem)) => return Err(Failure::Network(problem, None)),
            Some(Break::Silence) => {
                self.pass(patience_ms).await;
                return Err(Failure::Timeout);
            }
        };
        let lie = self.lie.borrow().clone();
        if let Some(lie) = lie {
            response = lie(step, response);
        }
        if request.method == Method::Head {
            // An answer to HEAD has no body, whatever the server would have said.
            (response.body, response.json) = (String::new(), None);
        }
        Ok(response)
    }

    fn serve_by_token(&self, step: Step, request: &Request<Bytes>, bearer: &str) -> Response {
        if let Some(most) = self.token_uses.get() {
            let mut uses = self.uses.borrow_mut();
            let used = uses.entry(bearer.to_owned()).or_default();
            *used += 1;
            if *used > most {
                if request.url.contains("/rest/v1/") {
                    return answer_of(401, r#"{"code":"PGRST303","message":"JWT expired"}"#);
                }
                if step == Step::Info {
                    return storage_error("404", "NoSuchBucket", "Bucket not found");
                }
                let expired = "\"exp\" claim timestamp check failed";
                return storage_error("403", "AccessDenied", expired);
            }
        }
        self.serve(step, request, bearer)
    }

    fn serve(&self, step: Step, request: &Request<Bytes>, bearer: &str) -> Response {
        let user = bearer.split('.').next().unwrap();
        if let Some(refused) = self.refuse_signature(request) {
            return refused;
        }
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
                if key.contains("refused-upload") {
                    return storage_error("415", "InvalidMimeType", "mime type image/png is not supported");
                }
                let version = self.new_version();
                let object = Object { bytes: bytes.clone(), mime_type: mime_type.clone(), version };
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
                let rows = self.seen_rows();
                let seen = rows
                    .iter()
                    .filter(|row| row["id"] == *id)
                    .filter(|row| is_mine(row["owner_user_id"].as_str().unwrap()));
                answer_of(200, &seen.map(selected).collect::<Value>().to_string())
            }
            (Step::SignMany, Payload::Json(text)) => {
                let asked: Value = serde_json::from_str(text).unwrap();
                let paths = asked["paths"].as_array().unwrap();
                assert!((1..=1000).contains(&paths.len()) && asked["expiresIn"].as_u64().unwrap() >= 1);
                let sign = |path: &Value| {
                    let key = path.as_str().unwrap();
                    match self.objects.borrow().contains_key(key) {
                        true => json!({ "error": null, "path": key,
                            "signedURL": format!("/object/sign/{BUCKET}/{key}?token=eyJ.signed") }),
                        false => json!({ "error": "Either the object does not exist or you do not have access to it",
                            "path": key, "signedURL": null }),
                    }
                };
                answer_of(200, &paths.iter().map(sign).collect::<Value>().to_string())
            }
            (Step::InsertMany, Payload::Json(text)) => {
                let (_, prefer) = request.headers.iter().find(|(name, _)| *name == "Prefer").unwrap();
                assert_eq!(prefer, "resolution=ignore-duplicates,return=representation,missing=default");
                let columns: Vec<&str> = request.url.split("&columns=").nth(1).unwrap().split(',').collect();
                let rows: Vec<Value> = serde_json::from_str(text).unwrap();
                for row in &rows {
                    let row = row.as_object().unwrap();
                    assert!(row.keys().all(|column| columns.contains(&column.as_str())), "a column is left out");
                    if !is_mine(row["owner_user_id"].as_str().unwrap()) {
                        return answer_of(403, r#"{"code":"42501","message":"row-level security"}"#);
                    }
                    if row["prompt"] == "refused-row" {
                        return answer_of(400, r#"{"code":"23514","message":"violates check constraint"}"#);
                    }
                }
                let mut news = Vec::new();
                for row in rows {
                    let is_there = self.rows.borrow().iter().any(|other| other["id"] == row["id"]);
                    if !is_there {
                        self.rows.borrow_mut().push(row.clone());
                        news.push(row);
                    }
                }
                answer_of(201, &json!(news).to_string())
            }
            (Step::ReadBackMany, Payload::Empty) => {
                let ids = request.url.split("id=in.(").nth(1).unwrap().split(')').next().unwrap();
                let ids: Vec<&str> = ids.split(',').collect();
                let is_seen = |row: &&Value| {
                    ids.contains(&row["id"].as_str().unwrap()) && is_mine(row["owner_user_id"].as_str().unwrap())
                };
                let selected = |row: &Value| json!({ "id": row["id"], "owner_user_id": row["owner_user_id"], "storage_path": row["storage_path"] });
                let most = self.max_rows.get().unwrap_or(usize::MAX);
                let seen = self.seen_rows().iter().filter(is_seen).take(most).map(selected).collect::<Value>();
                answer_of(200, &seen.to_string())
            }
            (Step::Hand | Step::Ticket | Step::Commit | Step::Link | Step::Standing, _) => {
                self.serve_worker(step, request, user)
            }
            (Step::Create, Payload::Image(bytes)) => self.create_upload(request, bytes, user, None),
            (Step::Piece, Payload::Image(bytes)) => self.take_piece(request, bytes, None),
            (Step::Offset, Payload::Empty) => self.tell_offset(request),
            (Step::Abandon, Payload::Empty) => self.drop_upload(request),
            (Step::Info, Payload::Empty) => self.tell_info(&key("object/info")),
            (Step::List, Payload::Empty) => self.serve_list(request),
            (Step::Namers | Step::RemoveObjects | Step::RemoveRows | Step::RemoveUnseen | Step::HandRemoval, _) => {
                self.serve_removal(step, request, user)
            }
            (step, _) => panic!("{step:?} with another payload"),
        }
    }
}

/// What a request is about: two at once for one thing are counted.
fn about(request: &Request<Bytes>) -> String {
    match &request.payload {
        // Of one row, not of many.
        Payload::Json(row) if row.starts_with('{') => {
            let path = row.split("\"storage_path\":\"").nth(1).and_then(|rest| rest.split('"').next());
            path.unwrap_or_default().to_owned()
        }
        _ => request.url.split("/imagen-generated/").nth(1).map(str::to_owned).unwrap_or_default(),
    }
}

/// A request under way.
struct Flight<'a> {
    world: &'a World,
    about: String,
}

impl<'a> Flight<'a> {
    fn begin(world: &'a World, about: String) -> Self {
        let mut flying = world.flying.borrow_mut();
        let count = flying.entry(about.clone()).or_default();
        *count += 1;
        if !about.is_empty() {
            world.most_flying.set(world.most_flying.get().max(*count));
        }
        Self { world, about }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        *self.world.flying.borrow_mut().get_mut(&self.about).unwrap() -= 1;
    }
}

/// Forgets a timer, also when what waited for it was dropped.
struct Timer<'a> {
    world: &'a World,
    until: i64,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let mut timers = self.world.timers.borrow_mut();
        let mine = timers.iter().position(|until| *until == self.until).unwrap();
        timers.swap_remove(mine);
    }
}

fn step_of(request: &Request<Bytes>) -> Step {
    if let Some(path) = request.url.strip_prefix(WORKER_URL) {
        return match request.method {
            Method::Post if path == "/api/sync" || path.starts_with("/api/sync?ttl=") => Step::Hand,
            Method::Post if path == "/api/tickets" => Step::Ticket,
            Method::Post if path.starts_with("/api/tickets/") && path.contains("/commit") => Step::Commit,
            Method::Get if path.starts_with("/api/signed-url?path=") => Step::Link,
            Method::Delete if path.starts_with("/api/images") => Step::HandRemoval,
            Method::Get if path.starts_with("/api/images/") => Step::Standing,
            _ => panic!("no such route: {:?} {path}", request.method),
        };
    }
    let path = request.url.strip_prefix(URL).expect("another host");
    let starts = |prefix: &str| path.starts_with(prefix);
    match request.method {
        Method::Put if starts("/storage/v1/object/imagen-generated/") => Step::Upload,
        Method::Post if starts("/storage/v1/object/sign/imagen-generated/") => Step::Sign,
        Method::Post if path == "/storage/v1/object/sign/imagen-generated" => Step::SignMany,
        Method::Post if path == "/storage/v1/upload/resumable" => Step::Create,
        Method::Post if path == "/storage/v1/upload/resumable/sign" => Step::Create,
        Method::Patch if starts("/storage/v1/upload/resumable/") => Step::Piece,
        Method::Head if starts("/storage/v1/upload/resumable/") => Step::Offset,
        Method::Delete if starts("/storage/v1/upload/resumable/") => Step::Abandon,
        Method::Get if starts("/storage/v1/object/info/imagen-generated/") => Step::Info,
        Method::Delete if path == "/storage/v1/object/imagen-generated" => Step::RemoveObjects,
        Method::Delete if starts("/rest/v1/images?id=in.(") => Step::RemoveRows,
        Method::Delete if starts("/rest/v1/images?") => Step::RemoveUnseen,
        Method::Get if starts("/rest/v1/images?storage_path=eq.") => Step::Namers,
        Method::Get if starts("/rest/v1/images?select=") => Step::List,
        Method::Post if path == "/rest/v1/images" => Step::Insert,
        Method::Post if starts("/rest/v1/images?on_conflict=id&columns=") => Step::InsertMany,
        Method::Get if starts("/rest/v1/images?id=in.(") => Step::ReadBackMany,
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
        on_sent: Option<OnSent>,
    ) -> Result<Response, Failure> {
        self.exchange(request, patience.idle_ms + patience.line_ms, on_sent).await
    }

    async fn sleep(&self, ms: u32) {
        self.pass(ms).await;
        self.waits.borrow_mut().push(ms);
    }

    async fn access_token(&self, _patience_ms: u32) -> Result<Option<String>, (String, Option<Cause>)> {
        if let Some(most) = self.token_uses.get() {
            // A session that is refreshed when a token was refused, and not a moment before.
            self.tokens_asked.set(self.tokens_asked.get() + 1);
            let refused = self.uses.borrow().values().filter(|used| **used > most && !self.is_signed_out.get()).count();
            return Ok(Some(format!("token-{refused}.of-the-session")));
        }
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
        self.token_uses.get().is_some() || !self.tokens.borrow().is_empty()
    }

    fn size(&self, bytes: &Bytes) -> u64 {
        bytes.len() as u64
    }

    fn slice(&self, bytes: &Bytes, piece: Range<u64>) -> Bytes {
        bytes[piece.start as usize..piece.end as usize].to_vec().into()
    }

    fn own_type(&self, _: &Bytes) -> Option<String> {
        None
    }

    async fn thumbnail(&self, _: &Bytes, _: &Thumbnail) -> Option<Bytes> {
        self.drawn.borrow().clone()
    }

    async fn read(&self, bytes: &Bytes, piece: Range<u32>) -> Result<Vec<u8>, Cause> {
        if ***bytes == *b"unreadable" {
            return Err(Rc::new("the file is gone"));
        }
        self.read.borrow_mut().push(piece.clone());
        Ok(bytes[piece.start as usize..piece.end as usize].to_vec())
    }

    fn now_ms(&self) -> i64 {
        self.clock_ms.get()
    }

    fn parse_date(&self, date: &str) -> Option<i64> {
        crate::wire::retry::tests::parse_date(date)
    }

    fn parse_json(&self, text: &str) -> Option<Json> {
        crate::json::tests::parse(text)
    }

    fn jitter(&self) -> f64 {
        self.jitter.get()
    }

    fn random_bytes(&self) -> Option<[u8; 16]> {
        self.random.set(self.random.get().wrapping_add(1));
        Some([self.random.get(); 16])
    }
}
