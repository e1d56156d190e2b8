//! The outbox's driver over a store in memory, with a fake clock: killed at every moment, and on every bad day.

mod anew;
mod bulk;
mod ended;
mod failing;
mod gateway;
mod handed_over;
mod killed;
mod limits;
mod mended;
mod refused;
mod relay;
mod removal;
mod shelf;
mod stopped;
mod swept;
mod users;
mod waits;

use core::cell::Cell;
use core::future::{pending, ready};
use core::task::Poll;
use std::collections::BTreeMap;

use self::shelf::{Record, Shelf};
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

    fn ended(&self, id: &str, how: End) {
        self.changes.borrow_mut().push((id.to_owned(), how.as_str().to_owned()));
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

async fn drain_async(outbox: &Outbox) -> Result<Drained, Error> {
    outbox.drain(false, Box::pin(pending())).await
}
