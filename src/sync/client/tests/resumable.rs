//! Uploads in pieces: whatever breaks wherever, the object has every byte once, and little is sent twice.

use proptest::prelude::*;

use super::fault::{Verdict, faults_at, weather};
use super::world::{Trouble, answer_of};
use super::*;
use crate::wire::http::Response;

const CHUNK: usize = 256;
/// Without a fault.
const STEPS: [Step; 5] = [Step::Create, Step::Piece, Step::Piece, Step::Piece, IN];

fn in_pieces(max_retries: i32) -> Options {
    let (resumable_from, chunk_size) = (Some(300), Some(CHUNK as u64));
    Options { resumable_from, chunk_size, max_retries: Some(max_retries), ..options() }
}

fn in_world(troubles: &[(usize, Trouble)]) -> World {
    let world = World::new();
    give_tokens(&world, &["token-of-the-user"]);
    world.troubles.replace(troubles.iter().copied().collect());
    world
}

/// Syncs, and checks what has to be so whatever happened.
fn run(world: &World, max_retries: i32) -> Result<Synced, Error> {
    let (result, events) = sync_within(world, &client(world, in_pieces(max_retries)), request(), None);
    let hits = world.hits.borrow();
    let mut sent = 0;
    for event in &events {
        if let Event::Progress(progress) = event {
            assert!(progress.sent >= sent && progress.sent <= progress.total, "progress after {hits:?}: {events:?}");
            sent = progress.sent;
        }
    }
    let uploads = hits.iter().filter(|(step, _)| *step != IN && *step != BACK).count();
    let is_lost = |(_, trouble): &&(Step, Trouble)| matches!(trouble, Trouble::Forgotten(_));
    let lost = hits.iter().filter(is_lost).count();
    let bytes = world.bytes_sent();
    assert!(bytes <= PNG.len() * (1 + lost) + CHUNK * uploads, "{bytes} bytes after {hits:?}: {:?}", world.steps());
    if let Err(error) = &result {
        assert_no_secret(error, &[KEY, "token-of-the-user"]);
        assert_eq!((error.storage_path.as_deref(), error.image_id.as_deref()), (Some(PATH), Some(IMAGE_ID)));
        assert!(error.stage == Stage::Insert || world.rows.borrow().is_empty());
    } else {
        assert_eq!(sent, PNG.len() as u64);
        assert_delivered(world, IMAGE_ID, PATH, PNG, &hits);
    }
    result
}

/// Whether a fault at a step is the end, as far as a HEAD without a body lets it be seen.
fn is_final(step: Step, trouble: Trouble) -> bool {
    let Trouble::Fault(fault) = trouble else {
        return false;
    };
    match (step, fault.own_status()) {
        (Step::Offset, Some(400 | 401 | 403 | 404)) => false,
        // A token that is refused: the server has taken the upload, so the bucket is there.
        (Step::Info, _) if fault.code == Code::BucketMissing => false,
        _ => matches!(fault.verdict, Verdict::Final | Verdict::Later | Verdict::TooLong(_)),
    }
}

/// A refusal whose body is garbled is taken as it stands.
fn may_be_final(step: Step, trouble: Trouble) -> bool {
    step == Step::Info && matches!(trouble, Trouble::Fault(fault) if fault.keeps_status())
}

fn wants_a_token(step: Step, trouble: Trouble) -> bool {
    // HEAD tells nothing of why.
    matches!(trouble, Trouble::Fault(fault) if step != Step::Offset
        && (fault.verdict == Verdict::FreshToken || (step == Step::Info && fault.code == Code::BucketMissing)))
}

fn special() -> Vec<Trouble> {
    let parts = [0.0, 0.5, 1.0].into_iter().flat_map(|part| [Trouble::Stored(part), Trouble::Evicted(part)]);
    parts.chain([Trouble::Forgotten(404), Trouble::Forgotten(410), Trouble::Replayed]).collect()
}

fn troubles_at(step: Step) -> Vec<Trouble> {
    faults_at(step).into_iter().map(Trouble::Fault).chain(special()).collect()
}

fn named(names: &[&str]) -> Vec<Trouble> {
    names.iter().map(|name| Trouble::Fault(fault(name))).collect()
}

fn check_end(world: &World, result: &Result<Synced, Error>) {
    let hits = world.hits.borrow();
    let tokens = hits.iter().filter(|(step, trouble)| wants_a_token(*step, *trouble)).count();
    match result {
        Ok(_) => assert!(!hits.iter().any(|(step, trouble)| is_final(*step, *trouble)), "success after {hits:?}"),
        // One token is asked for once; a second refusal of it is believed.
        Err(error) if tokens > 1 => assert_eq!(error.code, Code::Unauthorized, "{hits:?}"),
        Err(error) => {
            let is_end = |step, trouble| is_final(step, trouble) || may_be_final(step, trouble);
            let last = hits.last().filter(|(step, trouble)| is_end(*step, *trouble));
            assert!(last.is_some(), "{error:?} after {hits:?}: {:?}", world.steps());
        }
    }
}

#[test]
fn a_large_image_arrives_in_pieces() {
    let world = World::new();
    let (result, events) = sync_within(&world, &client(&world, in_pieces(2)), request(), None);
    assert_eq!(result.unwrap(), synced());
    assert_eq!(world.steps(), STEPS);
    assert_eq!(world.bytes_sent(), PNG.len());
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"no fault");
    let at = |stage, sent| Event::Progress(Progress { stage, sent, total: 1000 });
    let uploaded = [0, 256, 512, 768].map(|sent| at(Reached::Upload, sent));
    assert_eq!(events, [&uploaded[..], &[at(Reached::Insert, 1000), at(Reached::Done, 1000)]].concat());
}

#[test]
fn one_fault_at_any_piece_costs_at_most_that_piece() {
    let mut runs = 0;
    for (nth, step) in STEPS.into_iter().enumerate().take(4) {
        for trouble in troubles_at(step) {
            let world = in_world(&[(nth, trouble)]);
            let result = run(&world, 1);
            check_end(&world, &result);
            runs += 1;
        }
    }
    assert!(runs > 150, "{runs}");
}

#[test]
fn a_second_fault_while_the_first_is_mended_costs_no_more() {
    let mut firsts =
        named(&["cut before it arrives", "answer lost", "half an answer", "401", "423", "409 of an offset"]);
    firsts.extend(special());
    let mut runs = 0;
    for (nth, step) in STEPS.into_iter().enumerate().take(4) {
        for first in firsts.iter().filter(|first| can_happen(step, **first)) {
            for later in 1..=3 {
                // What is at that place shows in a run without the second fault.
                let rehearsal = in_world(&[(nth, *first)]);
                let _ = run(&rehearsal, 2);
                let Some(step) = rehearsal.steps().get(nth + later).copied().filter(|step| *step != BACK) else {
                    continue;
                };
                for second in troubles_at(step) {
                    let world = in_world(&[(nth, *first), (nth + later, second)]);
                    let result = run(&world, 2);
                    check_end(&world, &result);
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 6000, "{runs}");
}

fn can_happen(step: Step, trouble: Trouble) -> bool {
    match trouble {
        Trouble::Fault(fault) => faults_at(step).iter().any(|known| core::ptr::eq(*known, fault)),
        _ => true,
    }
}

#[test]
fn what_got_further_has_all_its_retries_again() {
    // Every second request is cut, and no step may be tried twice without getting further.
    let world = World::new();
    let cuts = (0..40).filter(|nth| nth % 3 == 1).map(|nth| (nth, Trouble::Stored(0.5)));
    world.troubles.replace(cuts.collect());
    run(&world, 1).unwrap();
    assert!(world.hits.borrow().len() > 2);

    let world = World::new();
    world.plan(Step::Piece, &[fault("cut before it arrives"); 2]);
    let error = run(&world, 1).unwrap_err();
    assert_eq!((error.stage, error.code), (Stage::Upload, Code::Network));
}

#[test]
fn a_token_that_expires_midway_is_refreshed_and_the_upload_goes_on() {
    // To mend a refused last piece takes three requests.
    for uses in 3..=6 {
        let world = World::new();
        world.token_uses.set(Some(uses));
        run_in_any_weather(&world, 0).unwrap();
        assert!(world.tokens_asked.get() as usize == world.sent.borrow().len(), "asked at each attempt");
        assert_eq!(world.uploads.borrow().len(), 1, "one upload");
        assert!(world.waits.borrow().is_empty(), "a fresh token is no reason to wait");
        // Each refused piece went out in vain.
        let refused = if uses > 5 { 0 } else { world.steps().len() - 5 };
        assert!(world.bytes_sent() <= PNG.len() + CHUNK * refused);
    }
}

#[test]
fn a_token_that_stays_refused_midway_is_unauthorized_after_few_requests() {
    // From the nth use on every token is refused: at a piece, while it is asked how far it got, at the object.
    for uses in 1..5 {
        for lost in [false, true] {
            let world = World::new();
            world.token_uses.set(Some(uses));
            world.is_signed_out.set(true);
            if lost {
                world.troubles.replace([(uses as usize, Trouble::Stored(1.0))].into());
            }
            let error = run_in_any_weather(&world, 2).unwrap_err();
            let told = (error.stage, error.code, error.retryable, error.server_code.is_some());
            let wanted_stage = if uses == 4 { Stage::Insert } else { Stage::Upload };
            assert_eq!(told, (wanted_stage, Code::Unauthorized, false, true), "{uses} {lost}: {:?}", world.steps());
            let vain = world.sent.borrow().len() - uses as usize;
            assert!(vain <= 4 + usize::from(lost), "{vain} requests in vain: {:?}", world.steps());
            assert!(world.bytes_sent() <= PNG.len() + CHUNK, "what the server has is not sent again");
        }
    }
}

#[test]
fn a_bucket_that_seems_missing_while_the_token_is_refused_costs_one_refresh() {
    // The last answer is lost, and the token has ended by then: what is there is found, and nothing is sent again.
    let world = World::new();
    give_tokens(&world, &["old", "old", "old", "old", "old", "token-new"]);
    world.troubles.replace([(3, Trouble::Stored(1.0)), (4, Trouble::Fault(fault("no bucket")))].into());
    run(&world, 2).unwrap();
    assert_eq!(world.steps()[3..], [Step::Piece, Step::Info, Step::Info, IN]);
    assert_eq!(bearers(&world)[4..6], ["old", "token-new"]);
    assert_eq!(world.bytes_sent(), PNG.len());
}

#[test]
fn a_head_that_is_refused_without_a_word_is_no_dead_upload() {
    // An answer to HEAD has no body: a refused token is a bare 400.
    let world = World::new();
    give_tokens(&world, &["token-old", "token-old", "token-old", "token-new"]);
    let token = Trouble::Fault(fault("storage 403 of a token"));
    world.troubles.replace([(1, Trouble::Stored(0.5)), (2, token), (3, token)].into());
    run(&world, 1).unwrap();
    assert_eq!(world.uploads.borrow().len(), 1);
    assert_eq!(world.bytes_sent(), PNG.len() + CHUNK / 2);

    let world = World::new();
    world.troubles.replace([(1, Trouble::Stored(0.5)), (2, Trouble::Fault(fault("lock acquired")))].into());
    run(&world, 1).unwrap();
    assert_eq!(world.uploads.borrow().len(), 1);
}

#[test]
fn a_last_answer_that_is_lost_or_replayed_sends_nothing_again() {
    for trouble in [Trouble::Stored(1.0), Trouble::Replayed, Trouble::Fault(fault("504 after it arrived"))] {
        let world = in_world(&[(3, trouble)]);
        run(&world, 1).unwrap();
        assert_eq!(world.bytes_sent(), PNG.len(), "{trouble:?}");
        assert_eq!(world.steps()[4..], [Step::Info, IN]);
    }
    // Also when an earlier fault had the object looked up already.
    let world = in_world(&[(3, Trouble::Stored(0.5)), (6, Trouble::Replayed)]);
    run(&world, 1).unwrap();
    assert_eq!(world.bytes_sent(), PNG.len() + 116, "{:?}", world.steps());
    assert_eq!(world.completed.borrow()[PATH], 1);
}

#[test]
fn an_older_object_of_the_same_path_and_size_is_not_taken_for_the_new_one() {
    let world = World::new();
    let other = [&PNG[..999], &[0]].concat();
    sync(&world, &client(&world, in_pieces(2)), SyncRequest { image: image(&other), ..request() }).unwrap();
    let sent = world.sent.borrow().len();
    world.troubles.replace([(sent + 3, Trouble::Stored(0.0))].into());
    sync(&world, &client(&world, in_pieces(2)), request()).unwrap();
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"an older image");
}

/// An answer with another offset.
fn with_offset(response: Response, offset: usize) -> Response {
    Response { headers: vec![("upload-offset", offset.to_string())], ..response }
}

#[test]
fn contradictory_servers_end_in_an_error_after_a_few_requests() {
    type Lie = fn(Step, Response) -> Response;
    let lies: [(&str, Lie); 13] = [
        ("no piece gets further", |step, response| match step {
            Step::Piece => with_offset(answer_of(204, ""), 256),
            _ => response,
        }),
        ("every piece starts again", |step, response| match step {
            Step::Piece => with_offset(answer_of(204, ""), 0),
            _ => response,
        }),
        ("every other offset is lower", |step, response| match (step, response.header("upload-offset")) {
            (Step::Piece, Some("512")) => with_offset(answer_of(204, ""), 100),
            _ => response,
        }),
        ("every piece conflicts", |step, response| match step {
            Step::Piece => answer_of(409, "conflict"),
            _ => response,
        }),
        ("every piece has ended it", |step, response| match step {
            Step::Piece => answer_of(409, "already exists"),
            _ => response,
        }),
        ("every upload is lost at its first piece", |step, response| match step {
            Step::Piece | Step::Offset => answer_of(404, ""),
            _ => response,
        }),
        ("every upload is lost at its third piece", |step, response| match (step, response.header("upload-offset")) {
            (Step::Piece, Some("512")) => response,
            (Step::Piece | Step::Offset, _) => answer_of(404, ""),
            _ => response,
        }),
        ("no HEAD is answered", |step, response| match step {
            Step::Piece => answer_of(409, "conflict"),
            Step::Offset => answer_of(400, "Bad request"),
            _ => response,
        }),
        ("everything was there before it was sent", |step, response| match step {
            Step::Create => Response {
                headers: [with_offset(answer_of(201, ""), 1000).headers, response.headers].concat(),
                ..answer_of(201, "")
            },
            _ => response,
        }),
        ("a piece is more than was sent", |step, response| match step {
            Step::Piece => with_offset(answer_of(204, ""), 1000),
            _ => response,
        }),
        ("HEAD knows all bytes but there is no object", |step, response| match step {
            Step::Piece => answer_of(409, "conflict"),
            Step::Offset => with_offset(answer_of(200, ""), 1000),
            _ => response,
        }),
        ("HEAD says another thing than the piece", |step, response| match step {
            Step::Piece => answer_of(409, "conflict"),
            Step::Offset => with_offset(answer_of(200, ""), 300),
            _ => response,
        }),
        ("a Location that is none", |step, response| match step {
            Step::Create => Response { headers: vec![("location", "/upload/..".to_owned())], ..answer_of(201, "") },
            _ => response,
        }),
    ];
    for (name, lie) in lies {
        for retries in [0, 2] {
            let world = World::new();
            world.lie.replace(Some(Rc::new(lie)));
            let (result, _) = sync_within(&world, &client(&world, in_pieces(retries)), request(), Some(10_000_000));
            let sent = world.sent.borrow().len();
            assert!(sent <= 12 * (retries as usize + 1), "{name}: {sent} requests: {:?}", world.steps());
            match result {
                Ok(_) => assert_delivered(&world, IMAGE_ID, PATH, PNG, &name),
                Err(error) => assert_eq!((error.stage, error.code), (Stage::Upload, Code::BadResponse), "{name}"),
            }
        }
    }
}

#[test]
fn a_server_that_always_loses_what_it_has_is_not_asked_for_ever() {
    // Nothing gets further than before, so nothing refills the retries.
    for part in [0.0, 0.5] {
        let world = World::new();
        let lost = Trouble::Forgotten(404);
        let troubles = (0..1000).map(|nth| (nth, if nth % 2 == 0 { lost } else { Trouble::Stored(part) }));
        world.troubles.replace(troubles.collect());
        let (result, _) = sync_within(&world, &client(&world, in_pieces(2)), request(), None);
        assert!(result.is_err());
        assert!(world.sent.borrow().len() < 60, "{} requests", world.sent.borrow().len());
    }
}

#[test]
fn final_refusals_of_each_kind_end_the_upload() {
    for (step, name, code) in [
        (Step::Create, "404 of a bucket", Code::BucketMissing),
        (Step::Create, "403 of a policy", Code::Forbidden),
        (Step::Create, "415", Code::TypeNotAllowed),
        (Step::Create, "413", Code::TooLarge),
        (Step::Create, "400 of a key", Code::Rejected),
        (Step::Piece, "403 of a policy", Code::Forbidden),
        (Step::Piece, "413", Code::TooLarge),
    ] {
        let world = World::new();
        world.plan(step, &[fault(name)]);
        let error = run(&world, 2).unwrap_err();
        assert_eq!((error.stage, error.code, error.retryable), (Stage::Upload, code, false), "{name}");
        assert!(world.waits.borrow().is_empty() && world.sent.borrow().len() <= 2, "{name}");
    }
}

#[test]
fn row_level_security_lets_a_user_upload_in_pieces_to_the_own_folder_only() {
    for (folder, is_let) in
        [("aaaaaaaa-0000-4000-8000-00000000000a", true), ("bbbbbbbb-0000-4000-8000-00000000000b", false)]
    {
        let world = World::new();
        world.row_level_security.set(true);
        give_tokens(&world, &["aaaaaaaa-0000-4000-8000-00000000000a.token"]);
        let text = |text: &str| Some(text.to_owned());
        let options = Options {
            owner_user_id: text("aaaaaaaa-0000-4000-8000-00000000000a"),
            path_prefix: text(folder),
            ..in_pieces(2)
        };
        let result = sync(&world, &client(&world, options), request());
        assert_eq!(result.map_err(|error| error.code).err(), (!is_let).then_some(Code::Forbidden));
    }
}

fn a_trouble() -> impl Strategy<Value = Trouble> {
    let any = weather();
    prop_oneof![
        (0..any.len()).prop_map(move |index| Trouble::Fault(any[index])),
        (0.0..1.0).prop_map(Trouble::Stored),
        (0.0..1.0).prop_map(Trouble::Evicted),
        Just(Trouble::Forgotten(404)),
        Just(Trouble::Forgotten(410)),
        Just(Trouble::Replayed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_faults_never_acknowledge_another_object_and_never_send_much_twice(
        troubles in proptest::collection::vec(proptest::option::weighted(0.5, a_trouble()), 0..60),
        max_retries in 0..6i32,
        token_uses in proptest::option::weighted(0.3, 3..9u32),
    ) {
        let world = World::new();
        give_tokens(&world, &["token-of-the-user"]);
        world.token_uses.set(token_uses);
        let placed = troubles.iter().enumerate().filter_map(|(nth, trouble)| Some((nth, (*trouble)?)));
        world.troubles.replace(placed.collect());
        let result = run_in_any_weather(&world, max_retries);
        let hits = world.hits.borrow().len();
        prop_assert!(world.sent.borrow().len() <= 8 + 6 * (hits + 1), "{} after {hits}", world.sent.borrow().len());
        if result.is_err() {
            world.heal();
            run_in_any_weather(&world, 2).unwrap();
        }
    }
}

/// As [`run`], but tokens expire too, which makes faults that are in no list.
fn run_in_any_weather(world: &World, max_retries: i32) -> Result<Synced, Error> {
    let (result, events) = sync_within(world, &client(world, in_pieces(max_retries)), request(), None);
    let mut sent = 0;
    for event in &events {
        if let Event::Progress(progress) = event {
            assert!(progress.sent >= sent && progress.sent <= progress.total);
            sent = progress.sent;
        }
    }
    if result.is_ok() {
        assert_delivered(world, IMAGE_ID, PATH, PNG, &world.hits.borrow());
    }
    assert!(world.rows.borrow().len() <= 1);
    result
}
