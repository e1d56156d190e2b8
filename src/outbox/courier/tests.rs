//! The outbox's driver over a store in memory, with a fake clock: killed at every moment, and on every bad day.

mod anew;
mod bulk;
mod handed_over;
mod mended;
mod relay;
mod removal;
mod stopped;
mod swept;

use core::cell::Cell;
use core::future::{pending, ready};
use core::task::Poll;
use std::collections::BTreeMap;

use super::*;
use crate::config::{Config, Options, Target};
use crate::host::{Amended, Outlook};
use crate::image::row::ImageMeta;
use crate::json::{Json, to_text};
use crate::outbox::job::State;
use crate::sync::client::tests::fault::fault;
use crate::sync::client::tests::worker::WORKER_URL;
use crate::sync::client::tests::world::{Bytes as Image, KEY, Step, Trouble as WorldTrouble, URL, World, answer_of};

const USER: &str = "7e5c2b9a-6d1f-4c3e-8b0a-9f2d4e6a8c10";
const OTHER: &str = "11111111-6d1f-4c3e-8b0a-9f2d4e6a8c10";
const LIMITS: Limits = Limits { concurrency: 1, line_bytes: None, max_jobs: 10, max_bytes: 10_000 };
const CHUNK: usize = 100;

/// Jobs and images in memory. What is killed leaves it as its last whole transaction did.
#[derive(Clone)]
struct Shelf(Rc<Shelves>);

struct Shelves {
    world: World,
    jobs: RefCell<Vec<Record>>,
    images: RefCell<BTreeMap<String, Image>>,
    /// How many jobs were ever added.
    added: Cell<u32>,
    calls: Cell<u32>,
    /// Jobs that were read or written since it was set.
    touched: Cell<usize>,
    /// The most that were read at once.
    most_read: Cell<usize>,
    /// How long each transaction takes.
    latency_ms: Cell<u32>,
    /// This one of the calls fails, before or after its commit.
    fails_at: Cell<Option<(u32, bool)>>,
    /// Nothing can be written, only deleted.
    is_full: Cell<bool>,
    /// Every text that was ever stored.
    written: RefCell<String>,
}

/// A job as it is stored; what is looked for is beside its text.
#[derive(Clone)]
struct Record {
    id: String,
    paths: Vec<String>,
    size: u64,
    position: u64,
    revision: u64,
    /// Before when it is not tried, and when that wait began; none of one that does not wait.
    waits: Option<(i64, i64)>,
    is_suspect: bool,
    text: String,
}

impl Record {
    fn new(job: &Job, position: u64, revision: u64) -> Self {
        Self {
            id: job.id.clone(),
            paths: job.paths().map(str::to_owned).collect(),
            size: job.size,
            position,
            revision,
            waits: job.is_waiting().then_some((job.not_before_ms, job.wait_set_ms)),
            is_suspect: job.is_waiting() && job.is_suspect,
            text: job.to_text(),
        }
    }

    fn stored(&self) -> Stored {
        Stored {
            id: self.id.clone(),
            position: self.position,
            not_before_ms: self.waits.map_or(0, |(not_before_ms, _)| not_before_ms),
            revision: self.revision,
            json: crate::json::tests::parse(&self.text).unwrap_or(Json::Null),
        }
    }
}

impl core::ops::Deref for Shelf {
    type Target = Shelves;

    fn deref(&self) -> &Shelves {
        &self.0
    }
}

impl Shelf {
    fn new(world: &World) -> Self {
        Self(Rc::new(Shelves {
            world: world.clone(),
            jobs: RefCell::default(),
            images: RefCell::default(),
            added: Cell::new(0),
            calls: Cell::new(0),
            touched: Cell::new(0),
            most_read: Cell::new(0),
            latency_ms: Cell::new(0),
            fails_at: Cell::new(None),
            is_full: Cell::new(false),
            written: RefCell::default(),
        }))
    }

    async fn transact<T>(&self, work: impl FnOnce() -> T) -> Result<T, Error> {
        let nth = self.calls.get();
        self.calls.set(nth + 1);
        let broken = || Error::new(Stage::Outbox, Code::StorageUnavailable, "outbox: the disk is gone");
        self.world.moment().await;
        if self.fails_at.get() == Some((nth, false)) {
            return Err(broken());
        }
        let result = work();
        if self.latency_ms.get() > 0 {
            self.world.pass(self.latency_ms.get()).await;
        }
        self.world.moment().await;
        if self.fails_at.get() == Some((nth, true)) { Err(broken()) } else { Ok(result) }
    }

    fn touch(&self, count: usize) {
        self.touched.set(self.touched.get() + count);
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.jobs.borrow().iter().position(|known| known.id == id)
    }

    fn has(&self, job: &Which) -> bool {
        self.place(&job.id).is_some_and(|place| self.jobs.borrow()[place].position == job.position)
    }

    fn job(&self, id: &str) -> Option<Job> {
        let stored = self.jobs.borrow().get(self.place(id)?)?.stored();
        Job::parse(stored.position, &stored.json)
    }

    fn discard(&self, id: &str) {
        self.images.borrow_mut().remove(id);
        self.jobs.borrow_mut().retain(|known| known.id != id);
    }

    /// Whether the job is there.
    fn put(&self, job: &Job) -> bool {
        self.written.borrow_mut().push_str(&job.to_text());
        let Some(place) = self.place(&job.id) else { return false };
        let known = &mut self.jobs.borrow_mut()[place];
        *known = Record::new(job, known.position, known.revision + 1);
        true
    }

    fn is_empty(&self) -> bool {
        self.jobs.borrow().is_empty() && self.images.borrow().is_empty()
    }
}

impl Store for Shelf {
    type Bytes = Image;

    async fn add(&self, job: &Job, image: &Image, limits: &Limits) -> Result<Added, Error> {
        self.transact(|| {
            let mut jobs = self.jobs.borrow_mut();
            if let Some(Record { paths, .. }) = jobs.iter().find(|known| known.id == job.id) {
                return if paths[0] == job.storage_path { Added::Known } else { Added::IdTaken };
            }
            if jobs.iter().any(|known| known.id == Job::removal_id(&job.id)) {
                return Added::IdTaken;
            }
            if jobs.iter().any(|known| known.paths.contains(&job.storage_path)) {
                return Added::PathTaken;
            }
            let bytes = jobs.iter().map(|known| known.size).sum::<u64>() + job.size;
            if jobs.len() >= limits.max_jobs as usize || bytes > limits.max_bytes {
                return Added::Full;
            }
            self.added.set(self.added.get() + 1);
            let position = u64::from(self.added.get());
            jobs.push(Record::new(job, position, 0));
            self.images.borrow_mut().insert(job.id.clone(), image.clone());
            Added::New(position)
        })
        .await
    }

    async fn supersede(&self, removal: &Job, id: &str, revision: Option<u64>) -> Result<Option<Added>, Error> {
        self.transact(|| {
            if self.place(id).map(|place| self.jobs.borrow()[place].revision) != revision {
                return None;
            }
            self.discard(id);
            if self.place(&removal.id).is_some() {
                return Some(Added::Known);
            }
            self.written.borrow_mut().push_str(&removal.to_text());
            self.added.set(self.added.get() + 1);
            let position = u64::from(self.added.get());
            self.jobs.borrow_mut().push(Record::new(removal, position, 0));
            Some(Added::New(position))
        })
        .await
    }

    async fn waiting(&self, query: Query, most: usize) -> Result<Vec<Stored>, Error> {
        self.transact(|| {
            let jobs = self.jobs.borrow();
            let mut found: Vec<(i64, &Record)> = jobs.iter().filter_map(|job| Some((job.waits?.0, job))).collect();
            found.retain(|(due, job)| match query {
                Query::Due { after, until_ms } => {
                    until_ms.is_none_or(|until_ms| *due <= until_ms)
                        && after.is_none_or(|(from, position)| (*due, job.position) > (from, position))
                }
                Query::WaitSince(since) => job.waits.is_some_and(|(_, set)| set > since),
                Query::Suspects => job.is_suspect,
            });
            found.sort_by_key(|(due, job)| (*due, job.position));
            found.truncate(most);
            self.touch(found.len());
            self.most_read.set(self.most_read.get().max(found.len()));
            found.iter().map(|(_, job)| job.stored()).collect()
        })
        .await
    }

    async fn outlook(&self) -> Result<Outlook, Error> {
        self.transact(|| {
            let due: Vec<i64> = self.jobs.borrow().iter().filter_map(|job| Some(job.waits?.0)).collect();
            Outlook { waiting: due.len() as u32, next_due_ms: due.into_iter().min() }
        })
        .await
    }

    async fn job(&self, id: &str) -> Result<Option<Stored>, Error> {
        self.touch(1);
        self.transact(|| Some(self.jobs.borrow()[self.place(id)?].stored())).await
    }

    async fn known(&self, jobs: &[Which]) -> Result<Vec<bool>, Error> {
        self.transact(|| jobs.iter().map(|job| self.has(job)).collect()).await
    }

    async fn image(&self, job: &Which) -> Result<Option<Image>, Error> {
        self.transact(|| self.images.borrow().get(&job.id).filter(|_| self.has(job)).cloned()).await
    }

    async fn commit(&self, changed: &[&Job], gone: &[Which]) -> Result<Vec<bool>, Error> {
        self.touch(changed.len() + gone.len());
        if self.is_full.get() && !changed.is_empty() {
            return Err(Error::new(Stage::Outbox, Code::QuotaExceeded, "outbox: the browser's storage is full"));
        }
        self.transact(|| {
            let gone = gone.iter().map(|job| {
                let is_others = self.place(&job.id).is_some() && !self.has(job);
                if !is_others {
                    self.discard(&job.id);
                }
                !is_others
            });
            changed.iter().map(|job| self.has(&job.which()) && self.put(job)).chain(gone).collect()
        })
        .await
    }

    async fn amend(&self, job: &Job, revision: u64) -> Result<Amended, Error> {
        self.transact(|| {
            let is_other = |known: &Record| {
                known.id != job.id && known.paths.iter().any(|path| job.paths().any(|own| own == path))
            };
            if self.jobs.borrow().iter().any(is_other) {
                return Amended::PathTaken;
            }
            let is_same = self.place(&job.id).is_some_and(|place| self.jobs.borrow()[place].revision == revision);
            if is_same && self.has(&job.which()) && self.put(job) { Amended::Stored } else { Amended::Outdated }
        })
        .await
    }

    async fn shelve(&self, ids: &[String]) -> Result<(), Error> {
        self.transact(|| {
            for job in self.jobs.borrow_mut().iter_mut().filter(|job| ids.contains(&job.id)) {
                job.waits = None;
            }
        })
        .await
    }
}

/// What listeners hear.
#[derive(Default)]
struct Diary {
    changes: RefCell<Vec<(String, String)>>,
    sent: RefCell<BTreeMap<String, u64>>,
}

impl Witness for Diary {
    fn changed(&self, job: &Job) {
        self.changes.borrow_mut().push((job.id.clone(), to_text(&job.state).trim_matches('"').to_owned()));
    }

    fn progress(&self, id: &str, sent: u64, total: u64) {
        assert!(sent <= total);
        self.sent.borrow_mut().insert(id.to_owned(), sent);
    }

    fn done(&self, id: &str) {
        self.changes.borrow_mut().push((id.to_owned(), "done".to_owned()));
    }

    fn discarded(&self, id: &str) {
        self.changes.borrow_mut().push((id.to_owned(), "discarded".to_owned()));
    }
}

type Outbox = Courier<World, Shelf>;

struct Setup {
    user: &'static str,
    limits: Limits,
    max_retries: i32,
    target: Target,
}

const SETUP: Setup = Setup { user: USER, limits: LIMITS, max_retries: 0, target: Target::Project };

impl Setup {
    fn open(&self, world: &World, shelf: &Shelf) -> (Outbox, Rc<Diary>) {
        let text = |text: &str| Some(text.to_owned());
        let options = Options {
            url: text(if self.target == Target::Worker { WORKER_URL } else { URL }),
            api_key: text(KEY),
            target: self.target,
            owner_user_id: text(self.user),
            path_prefix: text(self.user),
            max_retries: Some(self.max_retries),
            resumable_from: Some(250),
            chunk_size: Some(CHUNK as u64),
            ..Options::default()
        };
        let client = Client::new(Config::new(options, true).unwrap(), world.clone());
        let diary = Rc::new(Diary::default());
        (Courier::new(Rc::new(client), shelf.clone(), self.limits, diary.clone()), diary)
    }
}

fn open(world: &World, shelf: &Shelf) -> Outbox {
    SETUP.open(world, shelf).0
}

/// A world whose user is signed in; nobody else's rows and folders may be touched.
fn world() -> (World, Shelf) {
    let world = World::new();
    world.row_level_security.set(true);
    sign_in(&world, USER);
    let shelf = Shelf::new(&world);
    (world, shelf)
}

/// A session's token: the world takes what is before the dot for the user, the library what is in its `sub`.
fn token_of(user: &str) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding};
    format!("{user}.{}.signature", Base64UrlUnpadded::encode_string(format!(r#"{{"sub":"{user}"}}"#).as_bytes()))
}

fn sign_in(world: &World, user: &str) {
    world.tokens.replace([Ok(token_of(user))].into());
}

fn id_of(number: usize) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02x}")
}

fn path_of(user: &str, number: usize) -> String {
    format!("{user}/2026-05-11/picture-{number}.png")
}

fn bytes_of(number: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + number) as u8).collect()
}

fn request(number: usize, size: usize) -> SyncRequest<Image> {
    SyncRequest {
        meta: ImageMeta {
            date: Some("2026-05-11".to_owned()),
            slug: Some("picture".to_owned()),
            seed: number as i64,
            prompt: "a picture".to_owned(),
            backend: "test".to_owned(),
            image_id: Some(id_of(number)),
            ..ImageMeta::default()
        },
        image: Rc::new(bytes_of(number, size)),
    }
}

/// Every image with its size; from 250 bytes on it goes in pieces.
fn enqueue(world: &World, outbox: &Outbox, sizes: &[usize]) {
    for (number, size) in sizes.iter().enumerate() {
        let synced = world.run(outbox.enqueue(request(number, *size))).unwrap();
        assert_eq!(
            synced,
            Synced { storage_path: path_of(USER, number), image_id: id_of(number), queued: false, signed_url: None }
        );
    }
}

#[test]
fn what_the_worker_or_storage_would_refuse_is_not_kept() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    let long = |bytes: usize| "x".repeat(bytes);
    for (field, bad) in [
        (
            "slug",
            SyncRequest {
                meta: ImageMeta { slug: Some("Café 夜 100%".to_owned()), ..request(0, 10).meta },
                ..request(0, 10)
            },
        ),
        ("model", SyncRequest { meta: ImageMeta { model: long(256), ..request(0, 10).meta }, ..request(0, 10) }),
        ("prompt", SyncRequest { meta: ImageMeta { prompt: long(65_537), ..request(0, 10).meta }, ..request(0, 10) }),
        (
            "sidecar",
            SyncRequest {
                meta: ImageMeta { sidecar: Some(format!("{{\"a\":\"{}\"}}", long(131_072))), ..request(0, 10).meta },
                ..request(0, 10)
            },
        ),
        (
            "request",
            SyncRequest { meta: ImageMeta { prompt: "\u{1}".repeat(65_536), ..request(0, 10).meta }, ..request(0, 10) },
        ),
    ] {
        let error = world.run(outbox.enqueue(bad)).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some(field)));
    }
    assert!(shelf.jobs.borrow().is_empty());
}

fn drain(world: &World, outbox: &Outbox) -> Result<Drained, Error> {
    world.run(outbox.drain(false, Box::pin(pending())))
}

fn assert_arrived(world: &World, numbers: impl IntoIterator<Item = (usize, usize)>, context: &dyn core::fmt::Debug) {
    for (number, size) in numbers {
        let path = path_of(USER, number);
        let rows = world.rows_of(&id_of(number));
        assert_eq!(rows.len(), 1, "rows of {number} after {context:?}");
        assert_eq!(rows[0]["storage_path"], path);
        let objects = world.objects.borrow();
        assert_eq!(*objects[&path].bytes, bytes_of(number, size), "{number} after {context:?}");
    }
}

fn assert_all_arrived(world: &World, shelf: &Shelf, sizes: &[usize], context: &dyn core::fmt::Debug) {
    assert!(shelf.is_empty(), "a job is left after {context:?}");
    assert_eq!((world.rows.borrow().len(), world.objects.borrow().len()), (sizes.len(), sizes.len()), "{context:?}");
    assert_arrived(world, sizes.iter().copied().enumerate(), context);
}

/// Lets time pass and drains until nothing waits.
fn drain_to_the_end(world: &World, outbox: &Outbox) {
    for _ in 0..30 {
        let drained = drain(world, outbox).unwrap();
        match drained.next_due_ms {
            Some(due) if due > now(world) => world.set_clock(due),
            Some(_) => {}
            None => return,
        }
    }
    panic!("never ends");
}

fn now(world: &World) -> i64 {
    world.now_ms()
}

fn steps_of(world: &World, number: usize) -> Vec<Step> {
    // Inserts and pieces don't name their path in the URL: only whole uploads are asked for here.
    let of = |url: &str| url.ends_with(&path_of(USER, number));
    world.sent.borrow().iter().filter(|sent| of(&sent.url)).map(|sent| sent.step).collect()
}

#[test]
fn what_is_enqueued_arrives_and_nothing_of_it_is_kept() {
    let (world, shelf) = world();
    let (outbox, diary) = SETUP.open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 450]);
    assert!(world.sent.borrow().is_empty(), "nothing is sent before a drain");
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!(drained, Drained { done: 2, ..Drained::default() });
    assert_all_arrived(&world, &shelf, &[50, 450], &"no fault");
    let told: Vec<String> = diary.changes.borrow().iter().map(|(_, state)| state.clone()).collect();
    // The second one's upload got a name at the server in between.
    let states = ["queued", "queued", "uploading", "uploaded", "uploading", "uploading", "uploaded", "done", "done"];
    assert_eq!(told, states, "of the second one twice, since its upload got a name at the server in between");
    assert_eq!(diary.sent.borrow()[&id_of(1)], 400, "the last word of the bytes is before the last piece's answer");
    let written = shelf.written.borrow();
    assert!(!written.contains(KEY) && !written.contains(&token_of(USER)), "no secret is stored");
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_repeats_nothing() {
    let sizes = [50, 450, 80];
    let mut runs = 0;
    for concurrency in [1, 2, 3] {
        for moment in 0.. {
            let (world, shelf) = world();
            world.latency_ms.set(10);
            let limits = Limits { concurrency, ..LIMITS };
            let setup = Setup { limits, ..SETUP };
            enqueue(&world, &setup.open(&world, &shelf).0, &sizes);
            world.moments.set(0);
            world.kill_at.set(Some(moment));
            let (first_life, _) = setup.open(&world, &shelf);
            if world.run_until_dead(first_life.drain(false, Box::pin(pending()))).is_some() {
                assert!(moment > 40, "{moment} moments");
                break;
            }
            let done_before: Vec<Job> = (0..3).filter_map(|number| shelf.job(&id_of(number))).collect();
            let before = world.sent.borrow().len();
            drain_to_the_end(&world, &setup.open(&world, &shelf).0);
            let context = (concurrency, moment);
            assert_all_arrived(&world, &shelf, &sizes, &context);
            for job in done_before.iter().filter(|job| job.uploaded) {
                let again =
                    world.sent.borrow()[before..].iter().filter(|sent| sent.url.contains(&job.storage_path)).count();
                assert_eq!(again, 0, "{} uploaded again after {context:?}", job.id);
            }
            assert!(world.most_flying.get() <= 1, "one job twice at a time after {context:?}");
            let most = sizes.iter().sum::<usize>() + concurrency as usize * CHUNK;
            assert!(world.bytes_sent() <= most, "{} bytes after {context:?}", world.bytes_sent());
            assert!(world.completed.borrow()[&path_of(USER, 1)] == 1, "{context:?}");
            runs += 1;
        }
    }
    assert!(runs > 120, "{runs}");
}

#[test]
fn two_kills_at_any_two_moments_lose_nothing_either() {
    let sizes = [50, 350];
    for first in 0..60 {
        for second in (0..60).step_by(3) {
            let (world, shelf) = world();
            enqueue(&world, &open(&world, &shelf), &sizes);
            for moment in [first, second] {
                world.moments.set(0);
                world.kill_at.set(Some(moment));
                let outbox = open(&world, &shelf);
                world.run_until_dead(outbox.drain(false, Box::pin(pending())));
            }
            world.kill_at.set(None);
            drain_to_the_end(&world, &open(&world, &shelf));
            assert_all_arrived(&world, &shelf, &sizes, &(first, second));
            let most = sizes.iter().sum::<usize>() + 2 * CHUNK;
            assert!(world.bytes_sent() <= most, "{} bytes after {first} and {second}", world.bytes_sent());
        }
    }
}

#[test]
fn a_kill_while_it_is_enqueued_keeps_the_whole_image_or_nothing() {
    for moment in 0..2 {
        let (world, shelf) = world();
        world.kill_at.set(Some(moment));
        assert!(world.run_until_dead(open(&world, &shelf).enqueue(request(0, 50))).is_none());
        assert_eq!(shelf.jobs.borrow().len(), moment as usize);
        // The page does not know which, and enqueues once more.
        enqueue(&world, &open(&world, &shelf), &[50]);
        drain_to_the_end(&world, &open(&world, &shelf));
        assert_all_arrived(&world, &shelf, &[50], &moment);
    }
}

#[test]
fn a_kill_after_any_fault_at_any_request_loses_nothing() {
    let troubles = ["cut before it arrives", "answer lost", "502", "504 after it arrived", "captive portal", "429"];
    let troubles = troubles.map(|name| WorldTrouble::Fault(fault(name)));
    for trouble in troubles.into_iter().chain([WorldTrouble::Stored(0.5), WorldTrouble::Replayed]) {
        for nth in 0..8 {
            for moment in (0..30).step_by(2) {
                let (world, shelf) = world();
                enqueue(&world, &open(&world, &shelf), &[350, 50]);
                world.troubles.replace([(nth, trouble)].into());
                world.moments.set(0);
                world.kill_at.set(Some(moment));
                let outbox = open(&world, &shelf);
                world.run_until_dead(outbox.drain(false, Box::pin(pending())));
                world.kill_at.set(None);
                drain_to_the_end(&world, &open(&world, &shelf));
                assert_all_arrived(&world, &shelf, &[350, 50], &(trouble, nth, moment));
                assert!(world.bytes_sent() <= 400 + 2 * CHUNK, "{trouble:?} {nth} {moment}");
            }
        }
    }
}

#[test]
fn an_upload_in_pieces_goes_on_from_where_it_was_in_an_earlier_life() {
    let (world, shelf) = world();
    enqueue(&world, &open(&world, &shelf), &[950]);
    // Of ten pieces each life brings one or two: it ends at its third request.
    let mut lives = 0;
    while !shelf.is_empty() {
        world.plan(Step::Piece, &[fault("cut before it arrives")]);
        let sent = world.sent.borrow().len();
        world.troubles.replace([(sent + 3, WorldTrouble::Fault(fault("cut before it arrives")))].into());
        world.faults.borrow_mut().clear();
        let drained = drain(&world, &open(&world, &shelf)).unwrap();
        if let Some(due) = drained.next_due_ms {
            world.set_clock(due);
        }
        lives += 1;
        assert!(lives < 30);
    }
    assert!(lives > 3, "{lives} lives");
    assert_eq!(world.uploads.borrow().len(), 1, "one upload at the server");
    assert!(world.bytes_sent() <= 950 + lives * CHUNK);
    assert_all_arrived(&world, &shelf, &[950], &"many lives");
}

#[test]
fn an_upload_whose_id_the_server_cannot_read_begins_anew() {
    let (world, shelf) = world();
    enqueue(&world, &open(&world, &shelf), &[450]);
    world.troubles.replace((2..9).map(|nth| (nth, WorldTrouble::Fault(fault("cut before it arrives")))).collect());
    drain(&world, &open(&world, &shelf)).unwrap();
    assert!(shelf.job(&id_of(0)).unwrap().upload_id.is_some());
    world.heal();
    // As on a server that keeps its uploads in another way since: it refuses the id, by HEAD without a word.
    world.uploads.borrow_mut().clear();
    world.lie.replace(Some(Rc::new(|step, response| match step {
        Step::Offset => answer_of(400, ""),
        _ => response,
    })));
    let drain = || world.run(open(&world, &shelf).drain(true, Box::pin(pending()))).unwrap();
    assert_eq!((drain().waiting, shelf.job(&id_of(0)).unwrap().upload_id), (1, None));
    assert_eq!(drain().done, 1, "{:?}", world.steps());
    assert_all_arrived(&world, &shelf, &[450], &"begun anew");
}

#[test]
fn a_final_refusal_holds_nobody_up() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60, 70]);
    world.plan(Step::Upload, &[fault("storage 413")]);
    // Both rows at once, and then the first one alone.
    world.plan(Step::InsertMany, &[fault("23503"), fault("23503")]);
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!(drained, Drained { done: 1, failed: 2, ..Drained::default() });
    let (first, second) = (shelf.job(&id_of(0)).unwrap(), shelf.job(&id_of(1)).unwrap());
    assert_eq!((first.state, first.uploaded), (State::Failed, false));
    assert_eq!((second.state, second.uploaded), (State::Failed, true));
    assert!(first.error.unwrap().contains("too_large"));
    assert_eq!(drain(&world, &outbox).unwrap(), Drained::default(), "failed jobs are their user's affair");
    assert_eq!(world.run(outbox.drain(true, Box::pin(pending()))).unwrap(), Drained::default());
    for number in 0..2 {
        world.run(outbox.retry(&id_of(number))).unwrap();
    }
    assert_eq!(drain(&world, &outbox).unwrap().done, 2);
    assert_all_arrived(&world, &shelf, &[50, 60, 70], &"retried");
    assert_eq!(steps_of(&world, 1), [Step::Upload], "what is uploaded is not uploaded again");
    let error = world.run(outbox.retry(&id_of(0))).unwrap_err();
    assert_eq!((error.stage, error.code), (Stage::Outbox, Code::JobMissing));
}

#[test]
fn an_image_that_is_damaged_or_gone_fails_alone() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60, 70]);
    shelf.images.borrow_mut().remove(&id_of(0));
    shelf.images.borrow_mut().insert(id_of(1), Rc::new(vec![0; 59]));
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!((drained.done, drained.failed), (1, 2));
    assert!(shelf.job(&id_of(0)).unwrap().error.unwrap().contains("job_unreadable"));
    assert_eq!(world.objects.borrow().len(), 1, "nothing of the damaged ones is sent");
}

#[test]
fn a_record_that_cant_be_read_is_left_alone() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60]);
    for garbage in ["", "{}", "[]", "null", "{\"id\":1}"] {
        shelf.jobs.borrow_mut()[0].text = garbage.to_owned();
        drain(&world, &outbox).unwrap();
        assert_eq!(shelf.jobs.borrow().len(), 1, "{garbage}");
        assert_eq!(shelf.jobs.borrow()[0].text, garbage);
        assert_eq!(shelf.images.borrow().len(), 1, "its image is kept");
    }
}

#[test]
fn without_the_users_own_token_nothing_is_sent_and_no_job_is_to_blame() {
    for (tokens, code, most) in [
        (vec![Err("failed".to_owned())], Code::TokenUnavailable, 0),
        (vec![Ok(token_of(OTHER))], Code::WrongUser, 0),
        (vec![Ok("refused.token".to_owned())], Code::Forbidden, 1),
    ] {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 450]);
        world.tokens.replace(tokens.into());
        let drained = drain(&world, &outbox).unwrap();
        assert!(world.sent.borrow().len() <= 2 * most, "{code:?}");
        assert!(world.objects.borrow().is_empty());
        if code != Code::Forbidden {
            let told = (drained.stopped, drained.waiting, drained.failed, drained.done);
            assert_eq!(told, (Some(Stop::Token(code)), 2, 0, 0));
            let first = shelf.job(&id_of(0)).unwrap();
            assert_eq!((first.state, first.attempts, first.not_before_ms), (State::Queued, 0, 0));
            assert_eq!(drained.next_due_ms, Some(now(&world)));
            sign_in(&world, USER);
            assert_eq!(drain(&world, &outbox).unwrap().done, 2);
        }
    }
    // A token that the server refuses, again after it was refreshed.
    for (step, name) in
        [(Step::Upload, "storage 403 of a token"), (Step::InsertMany, "PGRST303"), (Step::Upload, "401")]
    {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 60]);
        world.plan(step, &[fault(name); 2]);
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!((drained.stopped, drained.waiting), (Some(Stop::Token(Code::Unauthorized)), 2), "{name}");
        assert_eq!(drain(&world, &outbox).unwrap().done, 2);
        assert_all_arrived(&world, &shelf, &[50, 60], &name);
    }
}

#[test]
fn a_token_refused_midway_stops_the_drain_and_blames_no_job() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[450, 50]);
    world.plan(Step::Piece, &[fault("storage 403 of a token")]);
    world.plan(Step::Offset, &[fault("storage 403 of a token")]);
    world.plan(Step::Info, &[fault("no bucket")]);
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!((drained.stopped, drained.waiting), (Some(Stop::Token(Code::Unauthorized)), 2));
    let job = shelf.job(&id_of(0)).unwrap();
    assert_eq!((job.state, job.attempts, job.upload_id.is_some()), (State::Queued, 0, true));
    assert_eq!(world.steps(), [Step::Create, Step::Piece, Step::Offset, Step::Info]);
    assert_eq!(drain(&world, &outbox).unwrap().done, 2);
    assert_all_arrived(&world, &shelf, &[450, 50], &"signed in again");
    assert_eq!(world.uploads.borrow().len(), 1, "the upload went on");
}

/// A firewall that dislikes these images, in their uploads' addresses.
fn block(world: &World, numbers: &[usize]) {
    world.rejects.replace(numbers.iter().map(|number| format!("/{}", path_of(USER, *number))).collect());
}

#[test]
fn a_firewall_that_dislikes_one_image_keeps_no_other_away() {
    let row = format!(r#""storage_path":"{}""#, path_of(USER, 0));
    for (text, is_row) in [(format!("/{}", path_of(USER, 0)), false), (row, true)] {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 60, 70]);
        world.rejects.replace(vec![text.clone()]);
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!((drained.done, drained.failed, drained.waiting, drained.stopped), (2, 0, 1, None), "{text}");
        let job = shelf.job(&id_of(0)).unwrap();
        assert_eq!((job.turned_away, job.is_suspect, job.uploaded), (1, false, is_row));
        assert!(drained.next_due_ms.unwrap() > now(&world) && job.error.unwrap().contains("unavailable"));
        world.rejects.take();
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &[50, 60, 70], &text);
    }
}

#[test]
fn a_job_fails_after_five_refusals_each_followed_by_anothers_success() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50]);
    block(&world, &[0]);
    for nth in 1..=5 {
        // Alone it may be refused again and again, in whichever life.
        for _ in 0..4 {
            let drained = world.run(open(&world, &shelf).drain(true, Box::pin(pending()))).unwrap();
            assert_eq!((drained.failed, drained.waiting, drained.stopped), (0, 1, None), "{nth}");
        }
        world.run(outbox.enqueue(request(nth, 50))).unwrap();
        let drained = drain(&world, &open(&world, &shelf)).unwrap();
        let is_last = nth == 5;
        assert_eq!((drained.done, drained.failed), (1, u32::from(is_last)), "{nth}");
        let job = shelf.job(&id_of(0)).unwrap();
        assert_eq!((job.turned_away, job.state == State::Failed), (nth as u32, is_last));
    }
    assert_eq!(drain(&world, &outbox).unwrap(), Drained::default());
    world.rejects.take();
    world.run(outbox.retry(&id_of(0))).unwrap();
    assert_eq!(drain(&world, &outbox).unwrap().done, 1);
}

#[test]
fn a_captive_portal_stops_the_drain_after_three_jobs_and_fails_none() {
    for concurrency in [1, 3] {
        let (world, shelf) = world();
        let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
        let outbox = setup.open(&world, &shelf).0;
        let sizes = [50; 9];
        enqueue(&world, &outbox, &sizes);
        world.lie.replace(Some(Rc::new(|_, _| answer_of(403, "<html>Log in</html>"))));
        for _ in 0..30 {
            world.sent.take();
            world.set_clock(now(&world) + 30_000);
            let drained = drain(&world, &setup.open(&world, &shelf).0).unwrap();
            assert_eq!((drained.stopped, drained.waiting, drained.failed), (Some(Stop::TurnedAway), 9, 0));
            assert!(world.sent.borrow().len() <= 2 + concurrency as usize, "{:?}", world.steps());
        }
        let turned_away: Vec<u32> = (0..9).map(|number| shelf.job(&id_of(number)).unwrap().turned_away).collect();
        assert_eq!(turned_away, [0; 9], "nobody is to blame");
        world.heal();
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &sizes, &"logged in");
    }
}

#[test]
fn jobs_that_are_always_turned_away_keep_none_from_being_tried() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    let sizes = [50; 8];
    enqueue(&world, &outbox, &sizes);
    // The oldest, more of them than stop a drain.
    block(&world, &[0, 1, 2, 3]);
    for _ in 0..40 {
        world.set_clock(now(&world) + 30_000);
        drain(&world, &outbox).unwrap();
    }
    assert_eq!(world.rows.borrow().len(), 4, "the others arrive");
    assert_arrived(&world, (4..8).map(|number| (number, 50)), &"behind four");
    // What comes later has them held against them, one round each.
    for number in 8..14 {
        world.run(outbox.enqueue(request(number, 50))).unwrap();
        world.set_clock(now(&world) + 30_000);
        assert_eq!(drain(&world, &outbox).unwrap().done, 1);
    }
    assert!((0..4).any(|number| shelf.job(&id_of(number)).unwrap().state == State::Failed));
}

#[test]
fn two_users_images_never_mix() {
    let (world, mine) = world();
    let theirs = Shelf::new(&world);
    let other = Setup { user: OTHER, ..SETUP };
    enqueue(&world, &open(&world, &mine), &[50, 450]);
    world.run(other.open(&world, &theirs).0.enqueue(request(7, 60))).unwrap();
    // The other user's session: my images wait, whoever asks.
    sign_in(&world, OTHER);
    assert_eq!(drain(&world, &open(&world, &mine)).unwrap().stopped, Some(Stop::Token(Code::WrongUser)));
    assert_eq!(drain(&world, &other.open(&world, &theirs).0).unwrap().done, 1);
    let owners: Vec<String> = world.rows.borrow().iter().map(|row| row["owner_user_id"].to_string()).collect();
    assert_eq!(owners, [format!("\"{OTHER}\"")]);
    // The token changes hands in the middle of a drain: the rest waits.
    world.tokens.replace([Ok(token_of(USER)), Ok(token_of(USER)), Ok(token_of(USER)), Ok(token_of(OTHER))].into());
    let drained = drain(&world, &open(&world, &mine)).unwrap();
    assert_eq!((drained.waiting, drained.stopped), (2, Some(Stop::Token(Code::WrongUser))));
    assert!(mine.job(&id_of(0)).unwrap().uploaded);
    sign_in(&world, USER);
    drain_to_the_end(&world, &open(&world, &mine));
    assert!(mine.is_empty() && theirs.is_empty());
    for row in world.rows.borrow().iter() {
        let owner = row["owner_user_id"].as_str().unwrap();
        assert!(row["storage_path"].as_str().unwrap().starts_with(&format!("{owner}/")));
    }
}

#[test]
fn own_waits_may_be_cut_short_but_no_servers() {
    for (name, forced_sends) in
        [("502", true), ("cut before it arrives", true), ("503 for 2 s", false), ("429 for too long", false)]
    {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50]);
        world.plan(Step::Upload, &[fault(name)]);
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!((drained.waiting, drained.failed), (1, 0), "{name}");
        let due = drained.next_due_ms.unwrap();
        assert!(due > now(&world));
        assert_eq!(drain(&world, &outbox).unwrap().done, 0, "{name}: not before its time");
        let forced = world.run(outbox.drain(true, Box::pin(pending()))).unwrap();
        assert_eq!(forced.done == 1, forced_sends, "{name}");
        world.set_clock(due - 1);
        assert_eq!(drain(&world, &outbox).unwrap().done, 0);
        world.set_clock(due);
        drain(&world, &outbox).unwrap();
        assert_all_arrived(&world, &shelf, &[50], &name);
    }
}

#[test]
fn a_clock_that_jumps_holds_nothing_up_for_ever() {
    let day = 86_400_000;
    for jump in [-day, -1000, day, 40 * 365 * day, -40 * 365 * day] {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 60]);
        world.plan(Step::Upload, &[fault("502"); 2]);
        drain(&world, &outbox).unwrap();
        world.set_clock(now(&world) + jump);
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!(drained.done, 2, "{jump}");
        assert_all_arrived(&world, &shelf, &[50, 60], &jump);
    }
}

#[test]
fn a_wait_of_a_clock_put_back_is_no_time_to_come_back_at() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60]);
    world.plan(Step::Upload, &[fault("502"); 2]);
    drain(&world, &outbox).unwrap();
    world.set_clock(now(&world) - 86_400_000);
    // Stopped before either is tried: both are due.
    world.tokens.replace([Err("failed".to_owned())].into());
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!((drained.waiting, drained.next_due_ms), (2, Some(now(&world))));
}

#[test]
fn what_is_discarded_on_its_way_gets_no_row() {
    for latency in [0, 10] {
        for moment in 0..16 {
            let (world, shelf) = world();
            world.latency_ms.set(latency);
            let outbox = open(&world, &shelf);
            enqueue(&world, &outbox, &[350, 60]);
            world.moments.set(0);
            // Another tab discards it at that very moment.
            let discard = async {
                poll_fn(|_| if world.moments.get() >= moment { Poll::Ready(()) } else { Poll::Pending }).await;
                let had_row = !world.rows_of(&id_of(0)).is_empty();
                shelf.discard(&id_of(0));
                had_row
            };
            let had_row = Cell::new(None);
            let discarded = async { had_row.set(Some(discard.await)) };
            let drained = async {
                drain_async(&outbox).await.unwrap();
            };
            world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(discarded)]));
            assert!(shelf.is_empty());
            assert_arrived(&world, [(1, 60)], &moment);
            let insert_began = world.steps().contains(&Step::InsertMany);
            assert!(world.rows_of(&id_of(0)).is_empty() || had_row.get() == Some(true) || insert_began);
        }
    }
    // Surely before its insert: while a piece is on its way.
    let (world, shelf) = world();
    world.latency_ms.set(10);
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[350, 60]);
    let discard = async {
        world.pass(15).await;
        shelf.discard(&id_of(0));
    };
    let drained = async {
        assert_eq!(drain_async(&outbox).await.unwrap().done, 1);
    };
    world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(discard)]));
    assert!(world.rows_of(&id_of(0)).is_empty() && shelf.is_empty());
}

#[test]
fn what_is_new_or_due_again_during_a_drain_waits_for_no_other() {
    let (world, shelf) = world();
    world.latency_ms.set(1000);
    let setup = Setup { limits: Limits { concurrency: 2, ..LIMITS }, ..SETUP };
    let (outbox, other_tab) = (setup.open(&world, &shelf).0, open(&world, &shelf));
    // Ten pieces of a second each.
    enqueue(&world, &outbox, &[950]);
    let began = now(&world);
    world.plan(Step::Upload, &[fault("502")]);
    let later = async {
        world.pass(2500).await;
        outbox.enqueue(request(1, 50)).await.unwrap();
        world.pass(10).await;
        other_tab.enqueue(request(2, 50)).await.unwrap();
        outbox.look_again();
        // By then the first one's wait is over.
        world.pass(3500).await;
        outbox.look_again();
    };
    let drained = Cell::new(None);
    let drain = async { drained.set(Some(drain_async(&outbox).await.unwrap())) };
    world.run(all_of(vec![Box::pin(drain) as Racer<'_, ()>, Box::pin(later)]));
    assert_eq!(drained.get().unwrap().done, 3);
    assert_all_arrived(&world, &shelf, &[950, 50, 50], &"one drain");
    let sent = world.sent.borrow();
    let starts = sent.iter().filter(|sent| sent.step == Step::Upload).map(|sent| sent.at_ms - began);
    assert_eq!(starts.collect::<Vec<i64>>(), [2500, 3500, 6010], "refused, the other tab's, and once more");
    assert!(world.most_flying.get() <= 1);
}

#[test]
fn looking_again_at_any_time_sends_nothing_twice_and_forgets_nothing() {
    for concurrency in [1, 3] {
        for after_ms in 0..60 {
            let (world, shelf) = world();
            world.latency_ms.set(10);
            let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
            let (outbox, _) = setup.open(&world, &shelf);
            enqueue(&world, &outbox, &[50, 250, 60]);
            let mut refused = request(3, 50);
            refused.prompt = "refused-row".to_owned();
            world.run(outbox.enqueue(refused)).unwrap();
            shelf.latency_ms.set(3);
            let look = async {
                for ms in [after_ms, 1, 1, 2, 7] {
                    world.pass(ms).await;
                    outbox.look_again();
                }
            };
            let drained = Cell::new(None);
            let drain = async { drained.set(Some(drain_async(&outbox).await.unwrap())) };
            world.run(all_of(vec![Box::pin(drain) as Racer<'_, ()>, Box::pin(look)]));
            let Drained { done, failed, waiting, .. } = drained.get().unwrap();
            assert_eq!((done, failed, waiting), (3, 1, 0), "{concurrency} {after_ms}");
            assert!(world.most_flying.get() <= 1, "one job twice at a time: {concurrency} {after_ms}");
            let inserts = world.steps().iter().filter(|step| **step == Step::InsertMany).count();
            assert!(inserts <= 7, "{inserts} inserts: {concurrency} {after_ms}");
        }
    }
}

#[test]
fn a_discarded_upload_ends_at_once() {
    let (world, shelf) = world();
    world.latency_ms.set(1000);
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[950, 60]);
    let discard = async {
        world.pass(2500).await;
        outbox.discarded(&id_of(0));
        world.pass(10).await;
        shelf.discard(&id_of(0));
        outbox.discarded(&id_of(0));
    };
    let drain = async {
        assert_eq!(drain_async(&outbox).await.unwrap().done, 1);
    };
    world.run(all_of(vec![Box::pin(drain) as Racer<'_, ()>, Box::pin(discard)]));
    assert!(shelf.is_empty() && world.rows_of(&id_of(0)).is_empty());
    assert_arrived(&world, [(1, 60)], &"a discard");
    assert!(
        world.bytes_sent() <= 3 * CHUNK + 60,
        "{} bytes, and none for a word that was not true",
        world.bytes_sent()
    );
    assert!(world.flying.borrow().values().all(|flying| *flying == 0), "what was on its way is aborted");
}

async fn drain_async(outbox: &Outbox) -> Result<Drained, Error> {
    outbox.drain(false, Box::pin(pending())).await
}

#[test]
fn a_pause_at_any_time_leaves_every_job_to_be_gone_on_with() {
    for concurrency in [1, 2] {
        for after_ms in 0..90 {
            let (world, shelf) = world();
            world.latency_ms.set(10);
            let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
            let (outbox, _) = setup.open(&world, &shelf);
            enqueue(&world, &outbox, &[50, 450]);
            let drained = world.run(outbox.drain(false, Box::pin(world.pass(after_ms)))).unwrap();
            let is_paused = drained.stopped == Some(Stop::Paused);
            assert!(is_paused || drained.done == 2, "{after_ms}");
            assert_eq!(drained.done + drained.waiting, 2, "{after_ms}");
            assert!(world.flying.borrow().values().all(|flying| *flying == 0), "what is on its way is aborted");
            drain_to_the_end(&world, &outbox);
            assert_all_arrived(&world, &shelf, &[50, 450], &after_ms);
            assert!(world.bytes_sent() <= 500 + concurrency as usize * CHUNK);
        }
    }
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50]);
    let drained = world.run(outbox.drain(false, Box::pin(ready(())))).unwrap();
    assert_eq!((drained.stopped, drained.waiting), (Some(Stop::Paused), 1));
    assert!(world.sent.borrow().is_empty(), "paused before it began");
}

#[test]
fn a_store_that_fails_at_any_call_rejects_the_drain_and_loses_nothing() {
    for concurrency in [1, 3] {
        for after_commit in [false, true] {
            for nth in 0.. {
                let (world, shelf) = world();
                let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
                let (outbox, _) = setup.open(&world, &shelf);
                enqueue(&world, &outbox, &[50, 350, 60]);
                shelf.calls.set(0);
                shelf.fails_at.set(Some((nth, after_commit)));
                let drained = drain(&world, &outbox);
                if shelf.calls.get() <= nth {
                    assert!(nth > 12, "{nth} calls");
                    assert_eq!(drained.unwrap().done, 3);
                    break;
                }
                assert_eq!(drained.unwrap_err().code, Code::StorageUnavailable, "{nth}");
                shelf.fails_at.set(None);
                drain_to_the_end(&world, &outbox);
                assert_all_arrived(&world, &shelf, &[50, 350, 60], &(concurrency, after_commit, nth));
            }
        }
    }
}

#[test]
fn a_store_that_is_full_keeps_no_image_from_arriving() {
    let sizes = [50, 350, 60];
    for concurrency in [1, 3] {
        let (world, shelf) = world();
        let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
        let (outbox, _) = setup.open(&world, &shelf);
        // One was tried before, and that is known.
        world.run(outbox.enqueue(request(0, sizes[0]))).unwrap();
        world.plan(Step::Upload, &[fault("502")]);
        world.set_clock(drain(&world, &outbox).unwrap().next_due_ms.unwrap());
        for (number, size) in sizes.iter().enumerate().skip(1) {
            world.run(outbox.enqueue(request(number, *size))).unwrap();
        }
        shelf.is_full.set(true);
        world.plan(Step::Upload, &[fault("502")]);
        // That a job waits has to be known, or it would be tried without end.
        assert_eq!(drain(&world, &outbox).unwrap_err().code, Code::QuotaExceeded);
        let sent = world.bytes_sent();
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &sizes, &concurrency);
        assert!(world.bytes_sent() - sent <= 460, "{} bytes, once each", world.bytes_sent() - sent);
    }
}

#[test]
fn a_store_that_fails_at_enqueue_is_a_clear_error() {
    for after_commit in [false, true] {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        shelf.fails_at.set(Some((0, after_commit)));
        let error = world.run(outbox.enqueue(request(0, 50))).unwrap_err();
        assert_eq!((error.stage, error.code), (Stage::Outbox, Code::StorageUnavailable));
        enqueue(&world, &outbox, &[50]);
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &[50], &after_commit);
    }
}

#[test]
fn the_oldest_goes_first_and_only_so_many_at_once() {
    for concurrency in 1..=4 {
        let (world, shelf) = world();
        world.latency_ms.set(10);
        let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
        let (outbox, _) = setup.open(&world, &shelf);
        enqueue(&world, &outbox, &[50; 8]);
        drain(&world, &outbox).unwrap();
        assert_all_arrived(&world, &shelf, &[50; 8], &concurrency);
        let sent = world.sent.borrow();
        let uploads: Vec<&str> =
            sent.iter().filter(|sent| sent.step == Step::Upload).map(|sent| sent.url.as_str()).collect();
        let wanted: Vec<String> = (0..8).map(|number| format!("/{}", path_of(USER, number))).collect();
        assert!(uploads.iter().zip(&wanted).all(|(url, path)| url.ends_with(path)) && uploads.len() == 8);
        let mut at_once: BTreeMap<i64, u32> = BTreeMap::new();
        for sent in sent.iter() {
            *at_once.entry(sent.at_ms).or_default() += 1;
        }
        assert_eq!(at_once.values().copied().max(), Some(concurrency), "{at_once:?}");
        assert!(world.most_flying.get() <= 1, "one job at a time");
    }
}

#[test]
fn what_the_outbox_cant_take_is_refused_and_said_why() {
    let (world, shelf) = world();
    let limits = Limits { max_jobs: 2, max_bytes: 100, ..LIMITS };
    let (outbox, diary) = Setup { limits, ..SETUP }.open(&world, &shelf);
    enqueue(&world, &outbox, &[60]);
    let same_id = SyncRequest { meta: ImageMeta { seed: 9, ..request(0, 10).meta }, ..request(0, 10) };
    let same_path =
        SyncRequest { meta: ImageMeta { image_id: Some(id_of(9)), ..request(0, 10).meta }, ..request(0, 10) };
    for (request, code, retryable) in
        [(same_id, Code::IdTaken, false), (same_path, Code::PathTaken, false), (request(1, 41), Code::OutboxFull, true)]
    {
        let (wanted_id, wanted_seed) = (request.image_id.clone(), request.seed);
        let error = world.run(outbox.enqueue(request)).unwrap_err();
        assert_eq!((error.stage, error.code, error.retryable), (Stage::Outbox, code, retryable));
        assert_eq!(error.image_id, wanted_id);
        assert_eq!(error.storage_path, Some(path_of(USER, wanted_seed as usize)));
    }
    world.run(outbox.enqueue(request(1, 40))).unwrap();
    assert_eq!(world.run(outbox.enqueue(request(2, 1))).unwrap_err().code, Code::OutboxFull, "two jobs are the most");
    let told = diary.changes.borrow().len();
    assert_eq!(world.run(outbox.enqueue(request(0, 60))).unwrap().image_id, id_of(0), "known: the same success");
    assert_eq!(diary.changes.borrow().len(), told, "and no news");
    assert_eq!(world.run(outbox.enqueue(request(3, 0))).unwrap_err().code, Code::InvalidImage);
    drain_to_the_end(&world, &outbox);
    assert_all_arrived(&world, &shelf, &[60, 40], &"limits");
}

#[test]
fn a_job_that_is_on_its_way_and_told_to_be_tried_again_is_not_uploaded_again() {
    // Another tab's `retry` in the midst of a drain, at any moment of either.
    for after_ms in 0..40 {
        let (world, shelf) = world();
        world.latency_ms.set(10);
        let (outbox, other_tab) = (open(&world, &shelf), open(&world, &shelf));
        enqueue(&world, &outbox, &[50]);
        let retry = async {
            world.pass(after_ms).await;
            let _ = other_tab.retry(&id_of(0)).await;
        };
        let drained = async {
            drain_async(&outbox).await.unwrap();
        };
        world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(retry)]));
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &[50], &after_ms);
        assert_eq!(steps_of(&world, 0), [Step::Upload]);
    }
}
