//! Through the Worker: whatever breaks at whatever step, the image arrives once, and no secret is told.

use super::fault::{Verdict, faults_at};
use super::worker::{WORKER_URL, problem};
use super::*;
use crate::config::Target;
use crate::image::row::ImageMeta;

const CHUNK: usize = 256;
const HAND: Step = Step::Hand;
const BY_TICKET: [Step; 6] = [Step::Ticket, Step::Create, Step::Piece, Step::Piece, Step::Piece, Step::Commit];
const TOKEN: &str = "7e5c2b9a-6d1f-4c3e-8b0a-9f2d4e6a8c10.token.of-the-user";

pub(super) fn place() -> String {
    format!("{OWNER}/{PATH}")
}

pub(super) fn landed() -> Synced {
    Synced { storage_path: place(), image_id: IMAGE_ID.to_owned(), queued: false, signed_url: None }
}

pub(super) fn relay_with(world: &World, options: Options) -> Client<World> {
    client(
        world,
        Options {
            url: Some(format!("{WORKER_URL}/")),
            owner_user_id: options.owner_user_id,
            target: Target::Worker,
            max_retries: options.max_retries,
            resumable_from: options.resumable_from,
            chunk_size: Some(CHUNK as u64),
            thumbnail: options.thumbnail,
            ..Options::default()
        },
    )
}

pub(super) fn relay(world: &World) -> Client<World> {
    relay_with(world, options())
}

pub(super) fn large() -> Options {
    Options { resumable_from: Some(300), ..options() }
}

pub(super) fn world() -> World {
    let world = World::new();
    give_tokens(&world, &[TOKEN]);
    world
}

#[test]
fn a_small_image_is_one_request_and_a_large_one_goes_by_ticket() {
    let small = world();
    let (result, events) = sync_within(&small, &relay(&small), request(), None);
    assert_eq!((result.unwrap(), small.steps()), (landed(), vec![HAND]));
    let stages = |events: &[Event]| {
        let mut stages: Vec<Option<Reached>> = events
            .iter()
            .map(|event| match event {
                Event::Progress(progress) => Some(progress.stage),
                Event::Retry(_) => None,
            })
            .collect();
        stages.dedup();
        stages
    };
    assert_eq!(stages(&events), [Some(Reached::Upload), Some(Reached::Done)]);
    let sent = small.worker.requests.borrow()[0].clone();
    let wanted = serde_json::json!({ "imageId": IMAGE_ID, "date": "2026-05-11", "slug": "lighthouse", "seed": "42",
        "ext": "png", "mimeType": "image/png", "prompt": "a lighthouse at dusk", "backend": "test", "model": "",
        "steps": 0, "width": 0, "height": 0, "latencyMs": 0 });
    assert_eq!(sent, wanted);

    let world = world();
    let (result, events) = sync_within(&world, &relay_with(&world, large()), request(), None);
    assert_eq!((result.unwrap(), world.steps()), (landed(), BY_TICKET.to_vec()));
    assert_eq!(stages(&events), [Reached::Upload, Reached::Insert, Reached::Done].map(Some));
    for world in [&small, &world] {
        assert_delivered(world, IMAGE_ID, &place(), PNG, &"no fault");
        assert_eq!(world.objects.borrow().len(), 1);
    }
}

#[test]
fn every_digit_of_a_seed_and_every_known_field_goes_along() {
    let world = world();
    let full = SyncRequest {
        meta: ImageMeta {
            seed: i64::MIN,
            model: "m".to_owned(),
            steps: 4,
            latency_ms: 5,
            cost_usd_estimate: Some("0".to_owned()),
            sidecar: Some(r#"{"seed":1}"#.to_owned()),
            ..request().meta
        },
        ..request()
    };
    sync(&world, &relay(&world), full).unwrap();
    let sent = world.worker.requests.borrow()[0].clone();
    assert_eq!(sent["seed"], "-9223372036854775808");
    assert_eq!((&sent["model"], &sent["steps"], &sent["latencyMs"]), (&"m".into(), &4.into(), &5.into()));
    assert_eq!((&sent["costUsdEstimate"], &sent["sidecar"]), (&0.into(), &serde_json::json!({ "seed": 1 })));
}

#[test]
fn without_an_owner_only_the_worker_knows_the_path() {
    let world = world();
    let nobody = || Options { owner_user_id: None, ..options() };
    assert_eq!(sync(&world, &relay_with(&world, nobody()), request()).unwrap(), landed());
    world.plan(HAND, &[fault("400 of a gateway"); 2]);
    let error = sync(&world, &relay_with(&world, nobody()), request()).unwrap_err();
    assert_eq!((error.storage_path.as_deref(), error.image_id.as_deref()), (None, Some(IMAGE_ID)));
    let error = sync(&world, &relay(&world), request()).unwrap_err();
    assert_eq!(error.storage_path, Some(place()));
}

#[test]
fn every_fault_at_every_step_is_survived_or_told() {
    for step in BY_TICKET.into_iter().chain([HAND, Step::Link]) {
        for fault in faults_at(step) {
            let world = world();
            let client = if step == HAND { relay(&world) } else { relay_with(&world, large()) };
            world.plan(step, &[fault]);
            let (result, _) = sync_within(&world, &client, request(), None);
            let result = match step {
                Step::Link => world
                    .run(client.signed_url(
                        StoragePath::parse(&place()).unwrap(),
                        &Link::for_seconds(60),
                        &call(None).0,
                    ))
                    .map(|_| landed()),
                _ => result,
            };
            // By any 4xx that may be about a token of Storage's, a new ticket is asked for.
            let renews =
                matches!(step, Step::Create | Step::Piece) && matches!(fault.status(step), Some(400 | 401 | 403));
            match fault.verdict {
                Verdict::Final | Verdict::Later | Verdict::TooLong(_) if !renews => {
                    let error = result.unwrap_err();
                    let is_final = fault.verdict == Verdict::Final;
                    assert_eq!(error.retryable, !is_final, "{fault:?} at {step:?}");
                    assert_no_secret(&error, &[TOKEN, "eyJticket", "eyJtoken"]);
                }
                _ => {
                    assert_eq!(result.unwrap(), landed(), "{fault:?} at {step:?}");
                    assert_delivered(&world, IMAGE_ID, &place(), PNG, &(step, fault));
                    assert_eq!(world.rows.borrow().len(), 1);
                }
            }
        }
    }
}

#[test]
fn any_fault_at_any_request_of_an_upload_by_ticket_costs_little() {
    let faults = ["cut before it arrives", "answer lost", "504 after it arrived", "503 for 2 s"].map(fault);
    for nth in 0..6 {
        for other in 0..8 {
            for fault in faults {
                let world = world();
                world
                    .troubles
                    .replace([(nth, world::Trouble::Fault(fault)), (other, world::Trouble::Fault(fault))].into());
                let client = relay_with(&world, Options { max_retries: Some(4), ..large() });
                let context = (nth, other, fault);
                assert_eq!(sync(&world, &client, request()).unwrap(), landed(), "{context:?}");
                assert_delivered(&world, IMAGE_ID, &place(), PNG, &context);
                assert_eq!(world.objects.borrow().len(), 1, "{context:?}");
                assert!(world.bytes_sent() <= PNG.len() + 2 * CHUNK, "{} bytes after {context:?}", world.bytes_sent());
            }
        }
    }
}

#[test]
fn a_queued_image_is_a_success_that_says_so() {
    let world = world();
    world.worker.is_cut_off.set(true);
    assert_eq!(sync(&world, &relay(&world), request()).unwrap(), Synced { queued: true, ..landed() });
    assert!(world.rows.borrow().is_empty());
    world.worker.is_cut_off.set(false);
    assert_eq!(sync(&world, &relay(&world), request()).unwrap(), landed());
    assert_delivered(&world, IMAGE_ID, &place(), PNG, &"an outage");
}

#[test]
fn an_ended_ticket_is_renewed_for_the_same_upload() {
    for (nth, ticket) in [(2, false), (3, false), (4, true), (5, true)] {
        let world = world();
        let ended = world.clone();
        // Before the nth request goes out.
        let seen = Cell::new(0);
        world.lie.replace(Some(Rc::new(move |_, response| {
            seen.set(seen.get() + 1);
            if seen.get() == nth {
                ended.worker.end_ticket(ticket);
            }
            response
        })));
        assert_eq!(sync(&world, &relay_with(&world, large()), request()).unwrap(), landed(), "{nth}");
        assert_delivered(&world, IMAGE_ID, &place(), PNG, &nth);
        assert_eq!(world.worker.tickets_issued.get(), 2, "{:?}", world.steps());
        assert!(world.bytes_sent() <= PNG.len() + CHUNK, "{nth}: {:?}", world.steps());
        assert!(world.waits.borrow().is_empty());
    }
}

#[test]
fn tickets_that_never_work_are_given_up() {
    for step in [Step::Create, Step::Commit] {
        let world = world();
        world.lie.replace(Some(Rc::new(move |at, response| match at == step {
            true if step == Step::Commit => problem(410, "ticket_expired"),
            true => answer("Invalid x-signature"),
            false => response,
        })));
        let error = sync(&world, &relay_with(&world, large()), request()).unwrap_err();
        assert_eq!((error.code, error.retryable), (Code::Rejected, false));
        assert_eq!(world.worker.tickets_issued.get(), 2);
    }
}

fn answer(text: &str) -> Response {
    world::answer_of(400, text)
}

#[test]
fn what_the_worker_refuses_is_told_by_its_own_words() {
    for (status, code, wanted, retryable) in [
        (400, "invalid_request", Code::InvalidRequest, false),
        (400, "owner_not_allowed", Code::Rejected, false),
        (403, "forbidden", Code::Forbidden, false),
        (403, "origin_not_allowed", Code::Forbidden, false),
        (404, "not_found", Code::Rejected, false),
        (408, "too_slow", Code::Unavailable, true),
        (409, "id_taken", Code::IdTaken, false),
        (413, "too_large", Code::TooLarge, false),
        (415, "invalid_image", Code::InvalidImage, false),
        (429, "rate_limited", Code::RateLimited, true),
        (500, "misconfigured", Code::Unavailable, true),
        (502, "upstream_refused", Code::Unavailable, true),
        (503, "busy", Code::Unavailable, true),
    ] {
        let world = world();
        world.lie.replace(Some(Rc::new(move |_, _| problem(status, code))));
        let client = relay_with(&world, Options { max_retries: Some(1), ..options() });
        let error = sync(&world, &client, request()).unwrap_err();
        assert_eq!((error.code, error.retryable, error.stage), (wanted, retryable, Stage::Upload), "{code}");
        assert_eq!((error.status, error.server_code.as_deref()), (Some(status), Some(code)));
        assert_eq!(error.attempts, 1 + u32::from(retryable), "{code}");
    }
}

#[test]
fn an_id_of_another_user_is_taken() {
    for options in [options(), large()] {
        let world = world();
        give_tokens(&world, &["somebody-else.token"]);
        sync(&world, &relay(&world), request()).unwrap();
        give_tokens(&world, &[TOKEN]);
        assert_eq!(sync(&world, &relay_with(&world, options), request()).unwrap_err().code, Code::IdTaken);
        assert_eq!((world.rows.borrow().len(), world.objects.borrow().len()), (1, 1));
    }
}

#[test]
fn a_refused_token_is_refreshed_once() {
    for step in [HAND, Step::Ticket, Step::Commit] {
        let world = world();
        let client = if step == HAND { relay(&world) } else { relay_with(&world, large()) };
        let left = Rc::new(Cell::new(0));
        let refuse = left.clone();
        world.lie.replace(Some(Rc::new(move |at, response| {
            if at != step || refuse.get() == 0 {
                return response;
            }
            refuse.set(refuse.get() - 1);
            problem(401, "unauthorized")
        })));
        left.set(1);
        assert_eq!(sync(&world, &client, request()).unwrap(), landed());
        left.set(2);
        assert_eq!(sync(&world, &client, request()).unwrap_err().code, Code::Unauthorized);
    }
}

#[test]
fn who_stands_before_the_worker_says_nothing_of_the_token() {
    let body = r#"{"message":"Forbidden","code":"id_taken","requestId":"r"}"#;
    for step in [HAND, Step::Ticket, Step::Commit] {
        for status in [401, 403] {
            let world = world();
            let client = if step == HAND { relay(&world) } else { relay_with(&world, large()) };
            world.lie.replace(Some(Rc::new(move |at, response| match at == step {
                true => world::answer_of(status, body),
                false => response,
            })));
            let error = sync(&world, &client, request()).unwrap_err();
            assert_eq!((error.code, error.retryable), (Code::Unavailable, true), "{step:?} {status}");
        }
    }
}

#[test]
fn many_go_one_by_one_and_each_has_its_own_outcome() {
    let world = world();
    world.worker.is_cut_off.set(true);
    let with = |seed, bytes: &[u8]| {
        Ok(SyncRequest { meta: ImageMeta { seed, image_id: None, ..request().meta }, image: image(bytes) })
    };
    let requests = vec![with(1, PNG), with(2, &PNG[..299]), with(2, PNG), with(3, b"no image")];
    let client = relay_with(&world, large());
    let (call, events) = call(None);
    let outcomes = world.run(client.sync_many(requests, 2, &call));
    let told: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().map(|synced| synced.queued)).collect();
    assert_eq!((told[0].unwrap(), told[1].unwrap()), (false, true));
    assert_eq!(outcomes[2].as_ref().unwrap_err().code, Code::PathTaken);
    assert_eq!(outcomes[3].as_ref().unwrap_err().code, Code::InvalidImage);
    assert_eq!(outcomes[0].as_ref().unwrap().storage_path, format!("{OWNER}/2026-05-11/lighthouse-1.png"));
    let last = events.take().pop().unwrap();
    assert!(matches!(last, Event::Progress(Progress { stage: Reached::Done, .. })));
}

#[test]
fn a_link_is_asked_of_the_worker() {
    let world = world();
    let client = relay(&world);
    let odd = SyncRequest { meta: ImageMeta { slug: Some("a&b=c +41?".to_owned()), ..request().meta }, ..request() };
    let path = sync(&world, &client, odd).unwrap().storage_path;
    let url = sign_within(&world, &client, &path, None).unwrap();
    assert!(url.contains("/object/sign/"), "{url}");
    let missing = sign_within(&world, &client, &format!("{OWNER}/x.png"), None).unwrap_err();
    assert_eq!((missing.stage, missing.code), (Stage::Sign, Code::ObjectMissing));
    assert_eq!(sign_within(&world, &client, "other/x.png", None).unwrap_err().code, Code::Forbidden);
    world.lie.replace(Some(Rc::new(|_, _| world::answer_of(200, r#"{"url":"javascript:alert(1)"}"#))));
    assert_eq!(sign_within(&world, &client, &path, None).unwrap_err().code, Code::BadResponse);
}
