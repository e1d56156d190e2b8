//! Many images in one call, and many signed URLs.

use proptest::prelude::*;

use super::fault::{Fault, Verdict, faults_at, weather};
use super::world::{Trouble, answer_of};
use super::*;

use crate::image::row::ImageMeta;

const MANY: Step = Step::InsertMany;
const BACK_MANY: Step = Step::ReadBackMany;

fn id_of(number: usize) -> String {
    format!("00000000-0000-4000-8000-0000000{number:05x}")
}

fn path_of(number: usize) -> String {
    format!("2026-05-11/picture-{number}.png")
}

fn bytes_of(number: usize) -> Vec<u8> {
    format!("the bytes of picture {number}").into_bytes()
}

fn numbered(number: usize) -> SyncRequest<Bytes> {
    SyncRequest {
        meta: ImageMeta {
            slug: Some("picture".to_owned()),
            seed: number as i64,
            image_id: Some(id_of(number)),
            ..request().meta
        },
        image: image(&bytes_of(number)),
    }
}

fn all(count: usize) -> Vec<Result<SyncRequest<Bytes>, Error>> {
    (0..count).map(numbered).map(Ok).collect()
}

type Outcomes = Vec<Result<Synced, Error>>;

fn sync_many_of(
    world: &World,
    client: &Client<World>,
    requests: Vec<Result<SyncRequest<Bytes>, Error>>,
    concurrency: u32,
) -> (Outcomes, Vec<Event>) {
    let (count, (call, events)) = (requests.len(), call(None));
    let outcomes = world.run(client.sync_many(requests, concurrency, &call));
    assert_eq!(outcomes.len(), count, "one outcome a request");
    let events = events.take();
    assert_monotonic(&events);
    (outcomes, events)
}

fn sync_many(world: &World, requests: Vec<Result<SyncRequest<Bytes>, Error>>) -> Outcomes {
    sync_many_of(world, &client(world, options()), requests, 6).0
}

fn assert_monotonic(events: &[Event]) {
    let mut before = 0;
    for event in events {
        if let Event::Progress(progress) = event {
            assert!(progress.sent >= before && progress.sent <= progress.total, "{events:?}");
            before = progress.sent;
        }
    }
}

/// What was acknowledged is there, once; what was not says which image it was.
fn assert_true(world: &World, outcomes: &Outcomes, context: &dyn core::fmt::Debug) {
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(synced) => {
                assert_eq!(
                    *synced,
                    Synced { storage_path: path_of(number), image_id: id_of(number), queued: false, signed_url: None },
                    "{context:?}"
                );
                assert_delivered(world, &id_of(number), &path_of(number), &bytes_of(number), context);
            }
            Err(error) if error.stage == Stage::Request => {}
            Err(error) => assert_located(error, number),
        }
        assert!(world.rows_of(&id_of(number)).len() <= 1, "two rows after {context:?}");
    }
}

fn assert_located(error: &Error, number: usize) {
    let (path, id) = (path_of(number), id_of(number));
    let named = (error.storage_path.as_deref(), error.image_id.as_deref());
    assert_eq!(named, (Some(path.as_str()), Some(id.as_str())), "{error:?}");
}

fn count(world: &World, step: Step) -> usize {
    world.steps().iter().filter(|known| **known == step).count()
}

#[test]
fn many_images_arrive_by_one_insert_and_the_outcomes_are_in_order() {
    for concurrency in [1, 2, 6, 200] {
        let world = World::new();
        world.latency_ms.set(10);
        let (outcomes, events) = sync_many_of(&world, &client(&world, options()), all(100), concurrency);
        assert!(outcomes.iter().all(Result::is_ok));
        assert_true(&world, &outcomes, &concurrency);
        assert_eq!((count(&world, UP), count(&world, MANY)), (100, 1));
        assert_eq!(world.rows.borrow().len(), 100);
        let took = world.now_ms() - world.sent.borrow()[0].at_ms;
        assert_eq!(took, i64::from(100u32.div_ceil(concurrency) + 1) * 10, "uploads overlap");
        let total: u64 = (0..100).map(|number| bytes_of(number).len() as u64).sum();
        let last = Event::Progress(Progress { stage: Reached::Done, sent: total, total });
        assert_eq!(events.last(), Some(&last));
    }
}

#[test]
fn five_poisoned_images_take_none_of_their_neighbours_down() {
    let world = World::new();
    let mut requests = all(100);
    requests[3] = Err(Error::field("seed", "is no number"));
    requests[20] =
        Ok(SyncRequest { meta: ImageMeta { slug: Some("../up".to_owned()), ..numbered(20).meta }, ..numbered(20) });
    requests[40] = Ok(SyncRequest { image: image(b"unreadable"), ..numbered(40) });
    for number in [60, 99] {
        requests[number] = Ok(SyncRequest {
            meta: ImageMeta { slug: Some("refused-upload".to_owned()), ..numbered(number).meta },
            ..numbered(number)
        });
    }
    let outcomes = sync_many(&world, requests);
    let bad: Vec<(usize, Code)> = outcomes
        .iter()
        .enumerate()
        .filter_map(|(number, outcome)| Some((number, outcome.as_ref().err()?.code)))
        .collect();
    let wanted = [
        (3, Code::InvalidRequest),
        (20, Code::InvalidRequest),
        (40, Code::InvalidImage),
        (60, Code::TypeNotAllowed),
        (99, Code::TypeNotAllowed),
    ];
    assert_eq!(bad, wanted);
    for number in [60, 99] {
        let error = outcomes[number].as_ref().unwrap_err();
        assert_eq!(error.storage_path, Some(format!("2026-05-11/refused-upload-{number}.png")));
        assert_eq!(error.image_id, Some(id_of(number)));
    }
    assert_eq!((world.rows.borrow().len(), world.objects.borrow().len()), (95, 95));
    assert!(count(&world, MANY) <= 2, "{} inserts", count(&world, MANY));
}

#[test]
fn rows_that_the_database_refuses_are_found_by_halving() {
    for bad in [vec![], vec![0], vec![99], vec![17, 18], vec![3, 20, 40, 60, 99], (0..100).collect()] {
        let world = World::new();
        let mut requests = all(100);
        for number in &bad {
            requests[*number] = Ok(SyncRequest {
                meta: ImageMeta { prompt: "refused-row".to_owned(), ..numbered(*number).meta },
                ..numbered(*number)
            });
        }
        let outcomes = sync_many(&world, requests);
        assert_true(&world, &outcomes, &bad);
        for (number, outcome) in outcomes.iter().enumerate() {
            let code = outcome.as_ref().map_err(|error| (error.stage, error.code)).err();
            assert_eq!(code, bad.contains(&number).then_some((Stage::Insert, Code::Rejected)), "{number}");
        }
        assert_eq!(world.rows.borrow().len(), 100 - bad.len());
        // Seven halvings for each, two inserts a halving.
        assert!(count(&world, MANY) <= 1 + 14 * bad.len(), "{} inserts", count(&world, MANY));
        assert_eq!(count(&world, UP), 100, "no image is uploaded again");
    }
}

#[test]
fn refused_rows_are_looked_for_side_by_side_and_singly_where_most_are_refused() {
    const LATENCY_MS: u32 = 20;
    // How many of 1000 are refused, how many inserts that takes at most, and how long with 6 images at once.
    for (share, most_inserts, most_ms) in [(1, 30, 3700), (10, 250, 4200), (500, 1300, 5900), (1000, 1300, 5900)] {
        let world = World::new();
        world.latency_ms.set(LATENCY_MS);
        let is_bad = |number: usize| number * 7919 % 1000 < share;
        let mut requests = all(1000);
        for number in (0..1000).filter(|number| is_bad(*number)) {
            requests[number] = Ok(SyncRequest {
                meta: ImageMeta { prompt: "refused-row".to_owned(), ..numbered(number).meta },
                ..numbered(number)
            });
        }
        let began = world.now_ms();
        let (outcomes, _) = sync_many_of(&world, &client(&world, options()), requests, 6);
        let (inserts, took) = (count(&world, MANY), world.now_ms() - began);
        for (number, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome.is_err(), is_bad(number), "{number} of {share}");
        }
        assert_eq!(world.rows.borrow().len(), 1000 - share);
        assert!(inserts <= most_inserts, "{share} refused: {inserts} inserts");
        assert!(took <= i64::from(most_ms), "{share} refused: {took} ms");
    }
}

#[test]
fn rows_go_in_while_other_images_are_uploaded_and_few_are_kept() {
    let world = World::new();
    world.latency_ms.set(10);
    let outcomes = sync_many(&world, all(1200));
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(count(&world, MANY), 3);
    let first_insert = world.steps().iter().position(|step| *step == MANY).unwrap();
    assert!(first_insert < 520, "at request {first_insert}");
}

#[test]
fn rows_that_were_there_before_are_told_from_anothers() {
    let world = World::new();
    sync(&world, &client(&world, options()), numbered(1)).unwrap();
    sync(
        &world,
        &client(&world, options()),
        SyncRequest { meta: ImageMeta { seed: 77, ..numbered(2).meta }, ..numbered(2) },
    )
    .unwrap();
    let other = Options { owner_user_id: Some("bbbbbbbb-0000-4000-8000-00000000000b".to_owned()), ..options() };
    sync(&world, &client(&world, other), numbered(3)).unwrap();
    let before = world.rows.borrow().clone();
    let outcomes = sync_many(&world, all(5));
    assert_true(&world, &outcomes, &"earlier rows");
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let code = outcome.map_err(|error| (error.code, error.status)).err();
        assert_eq!(code, [2, 3].contains(&number).then_some((Code::IdTaken, Some(409))), "{number}");
    }
    assert_eq!(world.rows.borrow()[..3], before, "earlier rows are as they were");
    assert_eq!((count(&world, MANY), count(&world, BACK_MANY)), (1, 1));
}

#[test]
fn what_has_arrived_is_told_though_nothing_is_known_of_the_rest() {
    let world = World::new();
    sync(&world, &client(&world, options()), numbered(1)).unwrap();
    world.plan(BACK_MANY, &[super::fault::fault("503"); 9]);
    let outcomes = sync_many(&world, all(3));
    assert_true(&world, &outcomes, &"a read-back that fails");
    let codes = outcomes.into_iter().map(|outcome| outcome.err().map(|error| (error.code, error.retryable)));
    assert_eq!(codes.collect::<Vec<_>>(), [None, Some((Code::Unavailable, true)), None]);
    assert_eq!(world.rows.borrow().len(), 3);
}

#[test]
fn long_rows_go_by_several_inserts_none_of_which_is_too_large() {
    let world = World::new();
    let largest = Rc::new(Cell::new(0));
    let seen = largest.clone();
    let sidecar = format!("{{\"workflow\":\"{}\"}}", "x".repeat(300_000));
    let long = |number| {
        let meta = ImageMeta { sidecar: Some(sidecar.clone()), ..numbered(number).meta };
        Ok(SyncRequest { meta, ..numbered(number) })
    };
    world.lie.replace(Some(Rc::new(move |step, response| {
        if step == MANY {
            seen.set(seen.get().max(response.body.len()));
        }
        response
    })));
    let outcomes = sync_many(&world, (0..20).map(long).collect());
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_true(&world, &outcomes, &"long rows");
    assert_eq!(count(&world, MANY), 5, "four rows make enough");
    assert!((1_000_000..1_500_000).contains(&largest.get()), "{} bytes at once", largest.get());
}

#[test]
fn the_same_call_again_is_the_same_success() {
    let world = World::new();
    for _ in 0..2 {
        let outcomes = sync_many(&world, all(250));
        assert!(outcomes.iter().all(Result::is_ok));
        assert_true(&world, &outcomes, &"again");
    }
    assert_eq!((count(&world, MANY), count(&world, BACK_MANY)), (2, 3), "ids are read back by the hundred");
}

#[test]
fn over_five_hundred_rows_go_by_two_inserts() {
    let world = World::new();
    let outcomes = sync_many(&world, all(501));
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!((count(&world, MANY), world.rows.borrow().len()), (2, 501));
}

#[test]
fn two_images_of_one_call_share_neither_path_nor_id() {
    for (name, second, code) in [
        (
            "the same path",
            SyncRequest { meta: ImageMeta { seed: 0, ..numbered(1).meta }, ..numbered(1) },
            Code::PathTaken,
        ),
        (
            "the same id",
            SyncRequest { meta: ImageMeta { image_id: Some(id_of(0)), ..numbered(1).meta }, ..numbered(1) },
            Code::IdTaken,
        ),
        (
            "the same id, written otherwise",
            SyncRequest {
                meta: ImageMeta { image_id: Some(id_of(0).to_uppercase().replace('-', "")), ..numbered(1).meta },
                ..numbered(1)
            },
            Code::IdTaken,
        ),
        ("both", numbered(0), Code::PathTaken),
    ] {
        for concurrency in [1, 3] {
            let world = World::new();
            let requests = vec![Ok(numbered(0)), Ok(second.clone()), Ok(numbered(2))];
            let (outcomes, _) = sync_many_of(&world, &client(&world, options()), requests, concurrency);
            let codes: Vec<Option<Code>> =
                outcomes.iter().map(|outcome| outcome.as_ref().err().map(|error| error.code)).collect();
            assert_eq!(codes, [None, Some(code), None], "{name}");
            let error = outcomes[1].as_ref().unwrap_err();
            assert!(error.storage_path.is_some() && error.image_id.is_some(), "{name}");
            assert_delivered(&world, &id_of(0), &path_of(0), &bytes_of(0), &name);
            assert_eq!((world.rows.borrow().len(), world.objects.borrow().len()), (2, 2), "{name}");
        }
    }
}

#[test]
fn rows_of_different_columns_go_together() {
    let world = World::new();
    let mut requests = all(3);
    requests[0] =
        Ok(SyncRequest { meta: ImageMeta { model: "m".to_owned(), latency_ms: 5, ..numbered(0).meta }, ..numbered(0) });
    requests[2] = Ok(SyncRequest {
        meta: ImageMeta { sidecar: Some(r#"{"a":"b,c"}"#.to_owned()), ..numbered(2).meta },
        ..numbered(2)
    });
    assert!(sync_many(&world, requests).iter().all(Result::is_ok));
    assert_eq!(world.rows_of(&id_of(0))[0]["model"], "m");
    assert_eq!(world.rows_of(&id_of(2))[0]["sidecar"]["a"], "b,c");
}

#[test]
fn large_and_small_ones_go_together() {
    let world = World::new();
    let options = Options { resumable_from: Some(500), chunk_size: Some(300), ..options() };
    let mut requests = all(4);
    for number in [1, 3] {
        requests[number] = Ok(SyncRequest { image: image(PNG), ..numbered(number) });
    }
    world.plan(Step::Piece, &[fault("answer lost"), fault("cut before it arrives")]);
    let (outcomes, _) = sync_many_of(&world, &client(&world, options), requests, 3);
    assert!(outcomes.iter().all(Result::is_ok));
    for number in [1, 3] {
        assert_delivered(&world, &id_of(number), &path_of(number), PNG, &"in pieces");
    }
    assert_eq!((count(&world, MANY), count(&world, Step::Create)), (1, 2));
}

#[test]
fn nothing_to_do_is_done_at_once() {
    let world = World::new();
    assert!(sync_many(&world, Vec::new()).is_empty());
    let outcomes = sync_many(&world, vec![Err(Error::field("seed", "is no number"))]);
    assert_eq!(outcomes[0].as_ref().unwrap_err().field.as_deref(), Some("seed"));
    assert!(world.sent.borrow().is_empty(), "no insert of no rows");
}

#[test]
fn a_stop_at_any_time_leaves_an_outcome_for_each() {
    for after_ms in 0..70 {
        let world = World::new();
        world.latency_ms.set(10);
        let client = client(&world, options());
        let (call, events) = aborted_after(&world, after_ms);
        let mut requests = all(9);
        requests[1] = Err(Error::field("seed", "is no number"));
        requests[4] = Ok(SyncRequest {
            meta: ImageMeta { slug: Some("refused-upload".to_owned()), ..numbered(4).meta },
            ..numbered(4)
        });
        let outcomes = world.run(client.sync_many(requests, 2, &call));
        assert_monotonic(&events.borrow());
        assert_eq!(outcomes.len(), 9);
        assert!(world.flying.borrow().values().all(|flying| *flying == 0), "what is on its way is aborted");
        for (number, outcome) in outcomes.iter().enumerate() {
            match (number, outcome) {
                (_, Ok(_)) => assert_delivered(&world, &id_of(number), &path_of(number), &bytes_of(number), &after_ms),
                (1, Err(error)) if after_ms > 0 => assert_eq!(error.field.as_deref(), Some("seed")),
                (4, Err(error)) => assert!(matches!(error.code, Code::Aborted | Code::TypeNotAllowed)),
                (_, Err(error)) => {
                    assert_eq!(error.code, Code::Aborted, "{number} after {after_ms}");
                    // An object that may be there is named.
                    let is_there = world.objects.borrow().contains_key(&path_of(number));
                    assert!(!is_there || error.storage_path.is_some(), "{number} after {after_ms}");
                }
            }
        }
        let all_done = outcomes.iter().filter(|outcome| outcome.is_ok()).count() == 7;
        assert_eq!(all_done, after_ms > 60 - 10, "{after_ms}: {outcomes:?}");
        world.latency_ms.set(0);
        let again = sync_many_of(&world, &client, all(9), 6).0;
        assert!(again.iter().all(Result::is_ok), "the same call on a better day");
        assert_true(&world, &again, &after_ms);
    }
}

/// What a single fault at a step of a call means: for its image at an upload, for all at an insert.
fn check_one(step: Step, fault: Fault, max_retries: u32) {
    let world = World::new();
    give_tokens(&world, &["token-of-the-user"]);
    let client = client_with_retries(&world, max_retries as i32);
    if step == BACK_MANY {
        sync(&world, &client, numbered(1)).unwrap();
    }
    world.plan(step, &[fault]);
    let (outcomes, _) = sync_many_of(&world, &client, all(4), 2);
    let context = (step, fault, max_retries);
    assert_true(&world, &outcomes, &context);
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let is_mended = match fault.verdict {
        Verdict::Again | Verdict::After(_) => max_retries > 0,
        Verdict::FreshToken => true,
        // Halves that are inserted on their own are another try.
        Verdict::Final | Verdict::Later => {
            step == MANY && !matches!(fault.code, Code::Unauthorized | Code::SchemaNotExposed | Code::TableMissing)
        }
        Verdict::TooLong(_) => false,
    };
    let garbled = fault.keeps_status() && step == MANY;
    if is_mended {
        assert_eq!(failed, 0, "{context:?}: {outcomes:?}");
    } else if step == UP {
        assert_eq!(failed, 1, "{context:?}");
    } else if step == MANY && !garbled {
        assert_eq!(failed, 4, "{context:?}: {outcomes:?}");
    }
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_no_secret(error, &[KEY, "token-of-the-user"]);
        assert_eq!(error.code, fault.code, "{context:?}");
    }
    world.heal();
    let again = sync_many_of(&world, &client, all(4), 2).0;
    assert!(again.iter().all(Result::is_ok), "on a good day after {context:?}");
    assert_true(&world, &again, &context);
}

#[test]
fn a_fault_at_any_step_of_many_hits_no_more_than_it_has_to() {
    for step in [UP, MANY, BACK_MANY] {
        for fault in faults_at(step) {
            for max_retries in 0..=2 {
                check_one(step, fault, max_retries);
            }
        }
    }
}

#[test]
fn a_database_that_answers_nobody_is_not_asked_for_each_row() {
    for name in ["PGRST205", "PGRST106", "unknown key", "401"] {
        let world = World::new();
        world.plan(MANY, &[fault(name); 300]);
        let outcomes = sync_many(&world, all(100));
        assert!(outcomes.iter().all(Result::is_err));
        assert_true(&world, &outcomes, &name);
        assert_eq!(count(&world, MANY), 1, "{name}");
    }
    let world = World::new();
    world.plan(MANY, &[fault("502"); 300]);
    assert!(sync_many(&world, all(100)).iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.retryable)));
    assert_eq!(count(&world, MANY), 3);
}

#[test]
fn a_row_that_a_firewall_dislikes_keeps_no_other_away_and_a_portal_is_not_asked_for_each_row() {
    let blocked = || world::answer_of(403, "<html>Blocked</html>");
    for bad in [0, 41, 99] {
        let world = World::new();
        let client = client(&world, options());
        world.rejects.replace(vec![format!(r#""storage_path":"{}""#, path_of(bad))]);
        let (outcomes, _) = sync_many_of(&world, &client, all(100), 2);
        let failed: Vec<_> = (0..100).filter(|at| outcomes[*at].is_err()).collect();
        assert_eq!(failed, [bad]);
        let error = outcomes[bad].as_ref().unwrap_err();
        assert_eq!((error.code, error.status, error.retryable), (Code::Unavailable, Some(403), true));
    }
    let world = World::new();
    world.lie.replace(Some(Rc::new(move |step, response| if step == MANY { blocked() } else { response })));
    assert!(sync_many(&world, all(100)).iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.retryable)));
    assert!(count(&world, MANY) <= 11, "{}", count(&world, MANY));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_faults_never_acknowledge_a_missing_one_of_many(
        faults in proptest::collection::vec(proptest::option::weighted(0.5, 0..weather().len()), 0..60),
        bad_rows in proptest::collection::vec(0usize..12, 0..4),
        concurrency in 1u32..8,
        max_retries in 0..4i32,
        latency_ms in 0u32..20,
    ) {
        let world = World::new();
        world.latency_ms.set(latency_ms);
        give_tokens(&world, &["token-of-the-user"]);
        let kinds = weather();
        let troubles = faults.iter().enumerate().filter_map(|(nth, fault)| Some((nth, Trouble::Fault(kinds[(*fault)?]))));
        world.troubles.replace(troubles.collect());
        let requests = || {
            let mut requests = all(12);
            for number in &bad_rows {
                requests[*number] = Ok(SyncRequest { meta: ImageMeta { prompt: "refused-row".to_owned(), ..numbered(*number).meta }, ..numbered(*number) });
            }
            requests
        };
        let client = client_with_retries(&world, max_retries);
        let (outcomes, _) = sync_many_of(&world, &client, requests(), concurrency);
        assert_true(&world, &outcomes, &faults);
        world.heal();
        let (outcomes, _) = sync_many_of(&world, &client, requests(), concurrency);
        assert_true(&world, &outcomes, &faults);
        for (number, outcome) in outcomes.iter().enumerate() {
            prop_assert_eq!(outcome.is_err(), bad_rows.contains(&number));
        }
    }
}

fn sign_many(world: &World, client: &Client<World>, paths: &[String]) -> Result<Vec<Option<String>>, Error> {
    let paths: Vec<StoragePath> = paths.iter().map(|path| StoragePath::parse(path)).collect::<Result<_, _>>()?;
    let urls: RefCell<Vec<Option<String>>> = RefCell::default();
    let each = |url| urls.borrow_mut().push(url);
    world.run(client.signed_urls(&mut paths.into_iter(), &Link::for_seconds(60), &call(None).0, &each))?;
    Ok(urls.take())
}

#[test]
fn many_urls_are_signed_in_the_paths_order_and_a_missing_object_has_none() {
    let world = World::new();
    let client = client(&world, options());
    assert!(sync_many(&world, all(6)).iter().all(Result::is_ok));
    let paths: Vec<String> = [5, 9, 0, 0, 8, 3].into_iter().map(path_of).collect();
    let urls = sign_many(&world, &client, &paths).unwrap();
    let wanted = |number| {
        (number < 6)
            .then(|| format!("{URL}/storage/v1/object/sign/imagen-generated/{}?token=eyJ.signed", path_of(number)))
    };
    assert_eq!(urls, [5, 9, 0, 0, 8, 3].map(wanted));
    assert_eq!(count(&world, Step::SignMany), 1);
    for none in [vec![path_of(9)], vec![path_of(9), path_of(8)]] {
        assert_eq!(sign_many(&world, &client, &none).unwrap(), vec![None; none.len()]);
    }
    assert_eq!(sign_many(&world, &client, &[]).unwrap(), []);
    assert_eq!(count(&world, Step::SignMany), 3, "nothing is asked for no paths");
}

#[test]
fn urls_are_signed_by_the_thousand() {
    let world = World::new();
    let client = client(&world, options());
    for number in [0, 999, 1000, 2000] {
        sync(&world, &client, numbered(number)).unwrap();
    }
    for (paths, requests) in [(1, 1), (1000, 1), (1001, 2), (2001, 3)] {
        world.sent.take();
        let asked: Vec<String> = (0..paths).map(path_of).collect();
        let urls = sign_many(&world, &client, &asked).unwrap();
        let signed: Vec<usize> = (0..paths).filter(|number| urls[*number].is_some()).collect();
        let wanted: Vec<usize> = [0, 999, 1000, 2000].into_iter().filter(|number| *number < paths).collect();
        assert_eq!((urls.len(), signed, world.sent.borrow().len()), (paths, wanted, requests));
        for number in [0, 999, 1000, 2000].into_iter().filter(|number| *number < paths) {
            assert!(urls[number].as_ref().unwrap().contains(&path_of(number)));
        }
    }
}

#[test]
fn one_bad_path_is_refused_before_anything_is_signed() {
    let world = World::new();
    let paths = [path_of(0), "a/../b".to_owned()];
    let error = sign_many(&world, &client(&world, options()), &paths).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("storagePath"));
    assert!(world.sent.borrow().is_empty());
}

#[test]
fn a_batch_of_a_wrong_shape_is_no_answer() {
    for body in [
        "{}",
        "null",
        "",
        "[]",
        "<html>",
        "[1,2]",
        "[{},{}]",
        "[null,null]",
        r#"["/a?token=t","/b?token=t"]"#,
        r#"[{"error":null,"path":"a","signedURL":"/a?token=t"}]"#,
        r#"[{"error":null,"path":"a","signedURL":"javascript:x"},{"error":"x","signedURL":null}]"#,
        r#"[{"error":null,"path":"a","signedURL":1},{"error":"x","signedURL":null}]"#,
        r#"[{"error":null,"path":"a","signedURL":null},{"error":"x","signedURL":null}]"#,
    ] {
        let world = World::new();
        let body = body.to_owned();
        world.lie.replace(Some(Rc::new(move |_, _| answer_of(200, &body))));
        let result = sign_many(&world, &client_with_retries(&world, 0), &[path_of(0), path_of(1)]);
        let error = result.map_err(|error| (error.stage, error.code, error.retryable)).unwrap_err();
        assert_eq!(error, (Stage::Sign, Code::BadResponse, true));
    }
}

#[test]
fn a_fault_at_a_batch_is_mended_or_told() {
    let second = ["answer lost", "503 for 2 s", "401", "echo", "429 for too long"].map(fault);
    for (nth, count, faults) in [(0, 2, faults_at(Step::SignMany)), (1, 1001, second.into())] {
        for fault in faults {
            let world = World::new();
            let client = client_with_retries(&world, 1);
            give_tokens(&world, &["token-of-the-user"]);
            for number in [0, count - 1] {
                sync(&world, &client, numbered(number)).unwrap();
            }
            let before = world.sent.borrow().len();
            world.troubles.replace([(before + nth, Trouble::Fault(fault))].into());
            let paths: Vec<String> = (0..count).map(path_of).collect();
            match sign_many(&world, &client, &paths) {
                Ok(urls) => {
                    let signed: Vec<usize> = (0..count).filter(|number| urls[*number].is_some()).collect();
                    assert_eq!(signed, [0, count - 1], "{fault:?}");
                }
                Err(error) => {
                    assert_eq!((error.stage, error.code), (Stage::Sign, fault.code));
                    assert!(
                        matches!(fault.verdict, Verdict::Final | Verdict::Later | Verdict::TooLong(_)),
                        "{fault:?}"
                    );
                    assert_no_secret(&error, &[KEY, "token-of-the-user", "eyJ"]);
                }
            }
        }
    }
}
