//! The driver against every fault at every step, with a fake clock: nothing here waits.

mod exhaustive;
pub(crate) mod fault;
mod late;
mod link;
mod list;
mod many;
mod random;
mod relay;
mod remove;
mod resumable;
mod swept;
mod thumbnail;
mod uploads;
pub(crate) mod worker;
pub(crate) mod world;

use core::cell::{Cell, RefCell};
use core::task::Poll;
use std::rc::Rc;

use self::fault::fault;
use self::world::{Bytes, KEY, Step, URL, World};
use super::*;
use crate::config::Options;
use crate::error::Cause;
use crate::image::path::StoragePath;
use crate::image::row::ImageMeta;
use crate::race::Racer;
use crate::sync::call::{self, Abort, Observer, Progress, Reached, Retrying};
use crate::wire::link::Link;

const OWNER: &str = "7e5c2b9a-6d1f-4c3e-8b0a-9f2d4e6a8c10";
const IMAGE_ID: &str = "00000000-0000-4000-8000-00000000002a";
const PATH: &str = "2026-05-11/lighthouse-42.png";
/// The start of a real image: the driver sees its header and its length, the world compares its bytes.
const PNG: &[u8] = include_bytes!("../../../tests/data/lighthouse.png").split_at(1000).0;

fn options() -> Options {
    Options {
        url: Some(URL.to_owned()),
        api_key: Some(KEY.to_owned()),
        owner_user_id: Some(OWNER.to_owned()),
        ..Options::default()
    }
}

fn client(world: &World, options: Options) -> Client<World> {
    Client::new(Config::new(options, true).unwrap(), world.clone())
}

fn client_with_retries(world: &World, max_retries: i32) -> Client<World> {
    client(world, Options { max_retries: Some(max_retries), ..options() })
}

fn image(bytes: &[u8]) -> Bytes {
    Rc::new(bytes.to_vec())
}

fn request() -> SyncRequest<Bytes> {
    SyncRequest {
        meta: ImageMeta {
            date: Some("2026-05-11".to_owned()),
            slug: Some("lighthouse".to_owned()),
            seed: 42,
            prompt: "a lighthouse at dusk".to_owned(),
            backend: "test".to_owned(),
            image_id: Some(IMAGE_ID.to_owned()),
            ..ImageMeta::default()
        },
        image: image(PNG),
    }
}

fn synced() -> Synced {
    Synced { storage_path: PATH.to_owned(), image_id: IMAGE_ID.to_owned(), queued: false, signed_url: None }
}

/// What a caller hears during a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Progress(Progress),
    Retry(Retrying),
}

type Events = Rc<RefCell<Vec<Event>>>;

struct Recorder(Events);

impl Observer for Recorder {
    fn progress(&self, progress: Progress) {
        self.0.borrow_mut().push(Event::Progress(progress));
    }

    fn retrying(&self, retrying: Retrying) {
        self.0.borrow_mut().push(Event::Retry(retrying));
    }

    fn watches(&self) -> bool {
        true
    }
}

fn call_with(options: call::Options) -> (Call, Events) {
    let events = Events::default();
    (Call::new(Rc::new(Recorder(events.clone())), options), events)
}

fn call(deadline_ms: Option<u32>) -> (Call, Events) {
    call_with(call::Options { deadline_ms, ..call::Options::default() })
}

/// A caller who stops a call after so many ms.
struct After(World, u32);

impl Abort for After {
    fn aborted(&self) -> Racer<'_, ()> {
        Box::pin(self.0.pass(self.1))
    }

    fn reason(&self) -> Option<Cause> {
        None
    }
}

fn aborted_after(world: &World, ms: u32) -> (Call, Events) {
    call_with(call::Options { abort: Some(Box::new(After(world.clone(), ms))), ..call::Options::default() })
}

fn sync_within(
    world: &World,
    client: &Client<World>,
    request: SyncRequest<Bytes>,
    deadline_ms: Option<u32>,
) -> (Result<Synced, Error>, Vec<Event>) {
    let (call, events) = call(deadline_ms);
    let result = world.run(client.sync(request, &call));
    (result, events.take())
}

fn sync(world: &World, client: &Client<World>, request: SyncRequest<Bytes>) -> Result<Synced, Error> {
    sync_within(world, client, request, None).0
}

fn sign_within(world: &World, client: &Client<World>, path: &str, deadline_ms: Option<u32>) -> Result<String, Error> {
    world.run(client.signed_url(StoragePath::parse(path)?, &Link::for_seconds(60), &call(deadline_ms).0))
}

/// The row and the object are there, the row once, both as the request wanted them.
fn assert_delivered(world: &World, image_id: &str, path: &str, bytes: &[u8], context: &dyn core::fmt::Debug) {
    let rows = world.rows_of(image_id);
    assert_eq!(rows.len(), 1, "rows after {context:?}");
    assert_eq!(rows[0]["storage_path"], path, "{context:?}");
    let objects = world.objects.borrow();
    let object = objects.get(path).unwrap_or_else(|| panic!("no object after {context:?}"));
    assert!(*object.bytes == bytes && object.mime_type == "image/png", "another object after {context:?}");
}

fn assert_no_secret(error: &Error, secrets: &[&str]) {
    let text = format!("{error:?}");
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

const UP: Step = Step::Upload;
const IN: Step = Step::Insert;
const BACK: Step = Step::ReadBack;

#[test]
fn an_image_arrives_by_two_requests() {
    let world = World::new();
    let (result, events) = sync_within(&world, &client(&world, options()), request(), None);
    assert_eq!(result.unwrap(), synced());
    assert_eq!(world.steps(), [UP, IN]);
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"no fault");
    let total = PNG.len() as u64;
    let at = |stage, sent| Event::Progress(Progress { stage, sent, total });
    assert_eq!(events, [at(Reached::Upload, 0), at(Reached::Insert, total), at(Reached::Done, total)]);
}

#[test]
fn an_id_is_made_where_none_is_given_and_kept_for_all_attempts() {
    let world = World::new();
    world.plan(IN, &[fault("answer lost"), fault("cut before it arrives")]);
    let result = sync(
        &world,
        &client(&world, options()),
        SyncRequest { meta: ImageMeta { image_id: None, ..request().meta }, ..request() },
    )
    .unwrap();
    assert_eq!(result.image_id, "01010101-0101-4101-8101-010101010101");
    assert_eq!(world.steps(), [UP, IN, IN, IN, BACK]);
    assert_delivered(&world, &result.image_id, PATH, PNG, &"a lost answer");
}

#[test]
fn a_lost_answer_does_not_make_a_second_row() {
    for name in ["answer lost", "silence after it arrived", "half an answer", "captive portal", "504 after it arrived"]
    {
        let world = World::new();
        world.plan(IN, &[fault(name)]);
        assert_eq!(sync(&world, &client(&world, options()), request()).unwrap(), synced(), "{name}");
        assert_delivered(&world, IMAGE_ID, PATH, PNG, &name);
    }
}

#[test]
fn waits_and_their_reasons_are_told_before_they_begin() {
    let world = World::new();
    world.plan(UP, &[fault("cut before it arrives"), fault("503 for 2 s")]);
    world.plan(IN, &[fault("answer lost"), fault("429")]);
    let (result, events) = sync_within(&world, &client(&world, options()), request(), None);
    assert_eq!(result.unwrap(), synced());
    assert_eq!(*world.waits.borrow(), [750, 2000, 750, 1500]);
    let total = PNG.len() as u64;
    let progress = |stage, sent| Event::Progress(Progress { stage, sent, total });
    let retry =
        |stage, code, status, attempt, wait_ms| Event::Retry(Retrying { stage, code, status, attempt, wait_ms });
    let wanted = [
        progress(Reached::Upload, 0),
        retry(Stage::Upload, Code::Network, None, 1, 750),
        retry(Stage::Upload, Code::Unavailable, Some(503), 2, 2000),
        progress(Reached::Insert, total),
        retry(Stage::Insert, Code::Network, None, 1, 750),
        retry(Stage::Insert, Code::RateLimited, Some(429), 2, 1500),
        progress(Reached::Done, total),
    ];
    assert_eq!(events, wanted);
}

#[test]
fn a_caller_who_stops_a_call_hears_where_it_was_and_what_is_under_way_ends() {
    for (after_ms, stage, attempts) in [(0, Stage::Request, 0), (5, Stage::Upload, 1), (15, Stage::Insert, 1)] {
        let world = World::new();
        world.latency_ms.set(10);
        let error =
            world.run(client(&world, options()).sync(request(), &aborted_after(&world, after_ms).0)).unwrap_err();
        assert_eq!((error.code, error.stage, error.attempts), (Code::Aborted, stage, attempts), "{after_ms}");
        let known = (after_ms > 0).then_some((PATH, IMAGE_ID));
        assert_eq!(error.storage_path.as_deref().zip(error.image_id.as_deref()), known, "{after_ms}");
        assert!(!error.retryable && world.flying.borrow().values().all(|flying| *flying == 0), "{after_ms}");
    }
}

#[test]
fn jitter_takes_up_to_a_half_off_every_wait() {
    for (jitter, wanted) in [(0.0, [1000, 2000, 4000]), (0.5, [750, 1500, 3000]), (0.999, [500, 1000, 2001])] {
        let world = World::new();
        world.jitter.set(jitter);
        world.plan(UP, &[fault("502"); 3]);
        assert!(sync(&world, &client_with_retries(&world, 3), request()).is_ok());
        assert_eq!(*world.waits.borrow(), wanted, "{jitter}");
    }
}

#[test]
fn each_step_has_all_its_retries() {
    let world = World::new();
    world.plan(UP, &[fault("502"); 2]);
    world.plan(IN, &[fault("answer lost"), fault("502")]);
    world.plan(BACK, &[fault("502"); 2]);
    assert!(sync(&world, &client(&world, options()), request()).is_ok());
    assert_eq!(world.steps(), [UP, UP, UP, IN, IN, IN, BACK, BACK, BACK]);
}

#[test]
fn an_id_of_another_row_is_taken() {
    for (name, other) in [
        ("another path", SyncRequest { meta: ImageMeta { seed: 43, ..request().meta }, ..request() }),
        (
            "another date",
            SyncRequest { meta: ImageMeta { date: Some("2026-05-12".to_owned()), ..request().meta }, ..request() },
        ),
    ] {
        let world = World::new();
        let client = client(&world, options());
        sync(&world, &client, other).unwrap();
        let rows = world.rows.borrow().clone();
        let error = sync(&world, &client, request()).unwrap_err();
        assert_eq!((error.stage, error.code, error.retryable), (Stage::Insert, Code::IdTaken, false), "{name}");
        assert_eq!((error.status, error.server_code.as_deref()), (Some(409), Some("23505")));
        assert_eq!((error.storage_path.as_deref(), error.image_id.as_deref()), (Some(PATH), Some(IMAGE_ID)));
        assert_eq!(*world.rows.borrow(), rows, "the other row is as it was");
    }
}

#[test]
fn an_id_of_another_users_row_is_taken_though_it_cant_be_seen() {
    let world = World::new();
    world.row_level_security.set(true);
    let client_of = |user: &str| {
        let (owner_user_id, path_prefix) = (Some(user.to_owned()), Some(user.to_owned()));
        world.tokens.replace([Ok(format!("{user}.token"))].into());
        client(&world, Options { owner_user_id, path_prefix, ..options() })
    };
    let first = client_of("aaaaaaaa-0000-4000-8000-00000000000a");
    sync(&world, &first, request()).unwrap();
    let second = client_of("bbbbbbbb-0000-4000-8000-00000000000b");
    assert_eq!(sync(&world, &second, request()).unwrap_err().code, Code::IdTaken);
    assert_eq!(world.steps(), [UP, IN, UP, IN, BACK, BACK, BACK], "it might have been one that is not seen yet");
    assert_eq!(world.rows.borrow().len(), 1);
}

#[test]
fn another_users_folder_is_refused_by_the_policy_at_once() {
    let world = World::new();
    world.row_level_security.set(true);
    world.tokens.replace([Ok("aaaaaaaa-0000-4000-8000-00000000000a.token".to_owned())].into());
    let error = sync(&world, &client(&world, options()), request()).unwrap_err();
    assert_eq!((error.stage, error.code, error.attempts), (Stage::Upload, Code::Forbidden, 1));
    assert_eq!(world.steps(), [UP]);
}

#[test]
fn the_same_image_synced_again_is_the_same_success() {
    let world = World::new();
    for owner in [OWNER.to_owned(), OWNER.to_ascii_uppercase()] {
        let client = client(&world, Options { owner_user_id: Some(owner), ..options() });
        for id in [IMAGE_ID.to_owned(), IMAGE_ID.to_ascii_uppercase(), format!("{{{IMAGE_ID}}}")] {
            let again = SyncRequest { meta: ImageMeta { image_id: Some(id), ..request().meta }, ..request() };
            assert_eq!(sync(&world, &client, again).unwrap(), synced());
        }
    }
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"six calls");
}

#[test]
fn two_calls_at_once_for_one_image_make_one_row() {
    let world = World::new();
    world.latency_ms.set(10);
    let client = client(&world, options());
    let (one, other) = (call(None).0, call(None).0);
    let mut first = Box::pin(client.sync(request(), &one));
    let mut second = Box::pin(client.sync(request(), &other));
    let (mut first_result, mut second_result) = (None, None);
    world.run(core::future::poll_fn(|context| {
        for (work, result) in [(&mut first, &mut first_result), (&mut second, &mut second_result)] {
            if result.is_none()
                && let Poll::Ready(ready) = work.as_mut().poll(context)
            {
                *result = Some(ready);
            }
        }
        if first_result.is_some() && second_result.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }));
    assert_eq!(world.steps(), [UP, UP, IN, IN, BACK]);
    assert_eq!((first_result.unwrap().unwrap(), second_result.unwrap().unwrap()), (synced(), synced()));
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"two calls");
}

fn bearers(world: &World) -> Vec<String> {
    world.sent.borrow().iter().map(|sent| sent.bearer.clone()).collect()
}

fn give_tokens(world: &World, tokens: &[&str]) {
    world.tokens.replace(tokens.iter().map(|token| Ok((*token).to_owned())).collect());
}

#[test]
fn without_access_token_the_key_is_the_bearer() {
    let world = World::new();
    sync(&world, &client(&world, options()), request()).unwrap();
    assert_eq!(bearers(&world), [KEY, KEY]);
}

#[test]
fn the_token_is_asked_for_at_each_attempt() {
    let world = World::new();
    give_tokens(&world, &["token-1", "token-2", "token-3", "token-4", "token-5"]);
    world.plan(UP, &[fault("502")]);
    world.plan(IN, &[fault("answer lost")]);
    sync(&world, &client(&world, options()), request()).unwrap();
    assert_eq!(bearers(&world), ["token-1", "token-2", "token-3", "token-4", "token-5"]);
    assert_eq!(world.tokens_asked.get(), 5);
}

#[test]
fn a_refused_token_is_refreshed_once_and_without_a_wait() {
    for (step, name) in [(UP, "storage 403 of a token"), (IN, "PGRST303"), (UP, "401"), (IN, "401")] {
        let world = World::new();
        let before = usize::from(step == IN);
        give_tokens(&world, &["token-old", "token-old", "token-new"][1 - before..]);
        world.plan(step, &[fault(name)]);
        let (result, events) = sync_within(&world, &client(&world, options()), request(), None);
        assert!(result.is_ok(), "{name}");
        assert_eq!(bearers(&world)[before..before + 2], ["token-old", "token-new"], "{name}");
        assert!(world.waits.borrow().is_empty() && events.len() == 3, "{name}");

        let world = World::new();
        give_tokens(&world, &["token-old"]);
        world.plan(step, &[fault(name); 2]);
        let error = sync(&world, &client(&world, options()), request()).unwrap_err();
        assert_eq!((error.code, error.attempts, error.retryable), (Code::Unauthorized, 2, false), "{name}");
    }
}

#[test]
fn a_refresh_uses_up_no_retry() {
    let world = World::new();
    give_tokens(&world, &["token-old"]);
    world.plan(UP, &[fault("502"), fault("401"), fault("502")]);
    assert!(sync(&world, &client(&world, options()), request()).is_ok());
    assert_eq!(*world.waits.borrow(), [750, 1500]);
}

#[test]
fn without_a_token_nothing_is_sent() {
    let world = World::new();
    world.tokens.replace([Err("failed".to_owned())].into());
    let error = sync(&world, &client(&world, options()), request()).unwrap_err();
    assert_eq!((error.stage, error.code), (Stage::Upload, Code::TokenUnavailable));
    assert_eq!((error.retryable, error.attempts), (true, 0));
    assert!(world.sent.borrow().is_empty());

    let world = World::new();
    world.tokens.replace([Ok("token-1".to_owned()), Err("failed".to_owned())].into());
    let error = sync(&world, &client(&world, options()), request()).unwrap_err();
    assert_eq!((error.stage, error.code, error.attempts), (Stage::Insert, Code::TokenUnavailable, 0));
    assert_eq!(error.storage_path.as_deref(), Some(PATH));
    assert_eq!(world.steps(), [UP]);
}

#[test]
fn an_upload_has_the_timeout_and_the_time_of_the_slowest_line() {
    for (bytes, wanted) in [(16 * 1024, 31_000), (1, 30_000), (1024, 30_062), (1_600 * 1024, 130_000)] {
        let world = World::new();
        let image = Rc::new(vec![7; bytes]);
        sync(&world, &client(&world, options()), SyncRequest { image, ..request() }).unwrap();
        let patience: Vec<u32> = world.sent.borrow().iter().map(|sent| sent.patience_ms).collect();
        assert_eq!(patience, [wanted, 30_000], "{bytes} bytes");
    }
}

#[test]
fn an_attempt_without_an_answer_is_given_up_after_its_patience() {
    let world = World::new();
    world.plan(IN, &[fault("silence"), fault("silence after it arrived")]);
    let options = Options { timeout_ms: Some(5000), ..options() };
    assert!(sync(&world, &client(&world, options), request()).is_ok());
    let at: Vec<i64> = world.sent.borrow().iter().map(|sent| sent.at_ms).collect();
    let since: Vec<i64> = at.iter().map(|ms| ms - at[0]).collect();
    assert_eq!(since, [0, 0, 5750, 12_250, 12_250]);
}

#[test]
fn a_deadline_ends_a_request_and_a_wait() {
    for (step, name, steps) in [
        (UP, "silence", &[UP][..]),
        (UP, "503 for 2 s", &[UP]),
        (IN, "silence", &[UP, IN]),
        (IN, "503 for 2 s", &[UP, IN]),
        (IN, "silence after it arrived", &[UP, IN]),
    ] {
        let world = World::new();
        world.plan(step, &[fault(name); 3]);
        let (result, _) = sync_within(&world, &client(&world, options()), request(), Some(1999));
        let error = result.unwrap_err();
        let stage = if step == UP { Stage::Upload } else { Stage::Insert };
        assert_eq!((error.stage, error.code, error.retryable), (stage, Code::DeadlineExceeded, true), "{name}");
        assert_eq!(error.attempts, 1);
        assert_eq!((error.storage_path.as_deref(), error.image_id.as_deref()), (Some(PATH), Some(IMAGE_ID)));
        assert_eq!(world.steps(), steps);
        assert_eq!(world.now_ms() - world.sent.borrow()[0].at_ms, 1999, "at the very ms");
        world.heal();
        assert_eq!(sync(&world, &client(&world, options()), request()).unwrap(), synced());
        assert_delivered(&world, IMAGE_ID, PATH, PNG, &name);
    }
}

#[test]
fn a_deadline_that_is_met_changes_nothing() {
    let world = World::new();
    world.plan(UP, &[fault("503 for 2 s")]);
    let (result, _) = sync_within(&world, &client(&world, options()), request(), Some(2001));
    assert_eq!(result.unwrap(), synced());
}

#[test]
fn signing_has_a_deadline_too() {
    let world = World::new();
    world.plan(Step::Sign, &[fault("silence")]);
    let error = sign_within(&world, &client(&world, options()), PATH, Some(10)).unwrap_err();
    assert_eq!((error.stage, error.code), (Stage::Sign, Code::DeadlineExceeded));
    assert_eq!(error.storage_path, None);
}

#[test]
fn a_signed_url_is_absolute() {
    let world = World::new();
    let client = client(&world, options());
    sync(&world, &client, request()).unwrap();
    let url = sign_within(&world, &client, PATH, None).unwrap();
    assert_eq!(url, format!("{URL}/storage/v1/object/sign/imagen-generated/{PATH}?token=eyJ.signed"));
    let error = sign_within(&world, &client, "missing.png", None).unwrap_err();
    assert_eq!((error.stage, error.code, error.attempts), (Stage::Sign, Code::ObjectMissing, 1));
    assert_eq!(sign_within(&world, &client, "../x", None).unwrap_err().field.as_deref(), Some("storagePath"));
}

#[test]
fn a_bad_request_is_refused_before_anything_is_sent() {
    let text = str::to_owned;
    let with = |change: &dyn Fn(&mut SyncRequest<Bytes>)| {
        let mut request = request();
        change(&mut request);
        request
    };
    for (field, bad) in [
        ("date", with(&|request| request.date = Some(String::new()))),
        ("date", with(&|request| request.date = Some(text("../2026")))),
        ("slug", with(&|request| request.slug = Some(String::new()))),
        ("slug", with(&|request| request.slug = Some(text("a/../../b")))),
        ("slug", with(&|request| request.slug = Some("x".repeat(260)))),
        ("ext", with(&|request| request.ext = text("png/x"))),
        ("ext", with(&|request| request.ext = text("p\nng"))),
        ("mimeType", with(&|request| request.mime_type = text("png"))),
        ("mimeType", with(&|request| request.mime_type = text("image/png\r\nx-evil: 1"))),
        ("imageId", with(&|request| request.image_id = Some(text("42")))),
        ("imageId", with(&|request| request.image_id = Some(text("")))),
        ("image", with(&|request| request.image = image(b""))),
        ("image", with(&|request| request.mime_type = text("image/jpeg"))),
    ] {
        let world = World::new();
        let (result, events) = sync_within(&world, &client(&world, options()), bad, None);
        let error = result.unwrap_err();
        assert_eq!((error.stage, error.field.as_deref()), (Stage::Request, Some(field)));
        assert_eq!((error.retryable, error.attempts, error.status), (false, 0, None), "{field}");
        assert!(world.sent.borrow().is_empty() && events.is_empty(), "{field}");
        assert_eq!(world.tokens_asked.get(), 0);
    }
    for (field, options, request) in [
        ("ownerUserId", Options { owner_user_id: None, ..options() }, request()),
        ("image", Options { require_image: true, ..options() }, SyncRequest { image: image(b"no image"), ..request() }),
    ] {
        let world = World::new();
        let error = sync(&world, &client(&world, options), request).unwrap_err();
        assert_eq!((error.stage, error.field.as_deref()), (Stage::Request, Some(field)));
        assert!(world.sent.borrow().is_empty(), "{field}");
    }
}

#[test]
fn a_servers_echo_of_a_secret_is_in_no_error() {
    for step in [UP, IN, BACK, Step::Sign] {
        let world = World::new();
        let client = client(&world, options());
        sync(&world, &client, request()).unwrap();
        give_tokens(&world, &["opaque-token-of-a-user"]);
        world.plan(step, &[fault("echo")]);
        let error = match step {
            Step::Sign => sign_within(&world, &client, PATH, None).unwrap_err(),
            _ => sync(&world, &client, request()).unwrap_err(),
        };
        assert_eq!(error.code, Code::Rejected);
        assert!(error.message.contains("[redacted] nor [redacted]"), "{}", error.message);
        assert_no_secret(&error, &["opaque-token", KEY]);
    }
}

#[test]
fn a_failed_request_that_names_a_secret_puts_it_in_no_error() {
    let world = World::new();
    give_tokens(&world, &["opaque-token-of-a-user"]);
    world.plan(UP, &[fault("cut, with the secrets")]);
    let error = sync(&world, &client_with_retries(&world, 0), request()).unwrap_err();
    assert_eq!(error.code, Code::Network);
    assert_no_secret(&error, &["opaque-token", KEY]);
}
