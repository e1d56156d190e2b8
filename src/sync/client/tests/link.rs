//! The link in the call that brings the image.

use serde_json::Value;

use super::fault::faults_at;
use super::relay::{landed, relay, relay_with};
use super::world::answer_of;
use super::*;
use crate::wire::http::Response;

fn linked(deadline_ms: Option<u32>) -> Call {
    call_with(call::Options { deadline_ms, link: Some(Link::for_seconds(60)), ..call::Options::default() }).0
}

fn url_of(synced: &Synced) -> Option<&str> {
    synced.signed_url.as_ref().unwrap().as_deref()
}

#[test]
fn the_link_is_signed_while_the_row_is_inserted() {
    let world = World::new();
    world.latency_ms.set(40);
    let started = world.now_ms();
    let synced = world.run(client(&world, options()).sync(request(), &linked(None))).unwrap();
    assert_eq!(world.now_ms() - started, 80, "two round trips after each other");
    let mut steps = world.steps();
    steps.sort();
    assert_eq!(steps, [UP, IN, Step::Sign]);
    assert!(url_of(&synced).unwrap().starts_with(URL), "{synced:?}");
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"with its link");
    let saved = Link { download: Some("a b.png".to_owned()), ..Link::for_seconds(60) };
    let call = call_with(call::Options { link: Some(saved), ..call::Options::default() }).0;
    let synced = world.run(client(&world, options()).sync(request(), &call)).unwrap();
    assert!(url_of(&synced).unwrap().ends_with("&download=a%20b.png"), "{synced:?}");
}

#[test]
fn whatever_becomes_of_the_link_the_image_arrives() {
    for fault in faults_at(Step::Sign) {
        for times in [1, 2, 9] {
            let world = World::new();
            world.plan(Step::Sign, &vec![fault; times]);
            let started = world.now_ms();
            let synced = world.run(client(&world, options()).sync(request(), &linked(None))).unwrap();
            assert_eq!(Synced { signed_url: None, ..synced }, super::synced(), "{fault:?}");
            assert_delivered(&world, IMAGE_ID, PATH, PNG, &fault);
            assert!(world.now_ms() - started <= 5000, "{fault:?} holds up the image");
        }
    }
}

#[test]
fn a_fault_of_the_row_is_told_as_without_a_link() {
    for fault in faults_at(IN) {
        let [with, without] = [true, false].map(|is_linked| {
            let world = World::new();
            world.plan(IN, &[fault; 9]);
            world.plan(BACK, &[super::fault::fault("502"); 9]);
            let call = if is_linked { linked(None) } else { call(None).0 };
            let result = world.run(client(&world, options()).sync(request(), &call));
            let result =
                result.map(|synced| synced.image_id).map_err(|error| (error.code, error.stage, error.attempts));
            (result, world.rows_of(IMAGE_ID).len())
        });
        assert_eq!(with, without, "{fault:?}");
    }
}

#[test]
fn a_deadline_that_passes_while_only_the_link_is_waited_for_fails_nothing() {
    let world = World::new();
    world.plan(Step::Sign, &[super::fault::fault("silence"); 9]);
    let synced = world.run(client(&world, options()).sync(request(), &linked(Some(3000)))).unwrap();
    assert_eq!((url_of(&synced), synced.image_id.as_str()), (None, IMAGE_ID));
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"a deadline");
}

#[test]
fn links_of_many_are_waited_for_no_longer_than_the_call_may_take() {
    let world = World::new();
    world.plan(Step::SignMany, &[super::fault::fault("silence"); 9]);
    let started = world.now_ms();
    let outcomes = world.run(client(&world, options()).sync_many(vec![Ok(request())], 3, &linked(Some(3000))));
    let synced = outcomes.into_iter().next().unwrap().unwrap();
    assert_eq!((url_of(&synced), synced.image_id.as_str()), (None, IMAGE_ID));
    assert_eq!(world.now_ms() - started, 3000);
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"a deadline");
}

#[test]
fn links_of_many_are_signed_together() {
    let world = World::new();
    let number = |seed: i64| {
        let image_id = Some(format!("00000000-0000-4000-8000-{seed:012}"));
        SyncRequest { meta: ImageMeta { seed, image_id, ..request().meta }, ..request() }
    };
    let client = client(&world, options());
    let call = linked(None);
    let mut requests: Vec<_> = (1..=5).map(|seed| Ok(number(seed))).collect();
    requests.insert(2, Err(Error::field("seed", "is missing")));
    let outcomes = world.run(client.sync_many(requests, 3, &call));
    assert_eq!(world.steps().iter().filter(|step| **step == Step::SignMany).count(), 1);
    for (index, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Err(_) => assert_eq!(index, 2),
            Ok(synced) => assert!(url_of(synced).unwrap().contains(&synced.storage_path), "{synced:?}"),
        }
    }
}

#[test]
fn the_workers_answer_brings_the_link_and_an_older_worker_is_asked_for_it() {
    let world = super::relay::world();
    let synced = world.run(relay(&world).sync(request(), &linked(None))).unwrap();
    assert_eq!(world.steps(), [Step::Hand, Step::Link]);
    assert!(url_of(&synced).is_some() && world.sent.borrow()[0].url.ends_with("/api/sync?ttl=60"));
    let world = giving_links();
    let synced = world.run(relay(&world).sync(request(), &linked(None))).unwrap();
    assert_eq!(world.steps(), [Step::Hand]);
    assert_eq!((url_of(&synced), synced.queued), (Some("https://x.co/signed?token=t"), false));
    world.lie.take();
    world.worker.is_cut_off.set(true);
    let queued = world.run(relay(&world).sync(request(), &linked(None))).unwrap();
    assert_eq!(queued, Synced { queued: true, signed_url: Some(None), ..landed() });
}

/// A Worker that gives a link with an image, as today's do.
fn giving_links() -> World {
    let world = super::relay::world();
    let add = |step: Step, response: Response| {
        if ![Step::Hand, Step::Commit].contains(&step) || response.status != 201 {
            return response;
        }
        let mut body: Value = serde_json::from_str(&response.body).unwrap();
        body["signedUrl"] = "https://x.co/signed?token=t".into();
        answer_of(response.status, &body.to_string())
    };
    world.lie.replace(Some(Rc::new(add)));
    world
}

#[test]
fn the_answer_to_a_commit_brings_the_link_too() {
    let world = giving_links();
    let client = relay_with(&world, Options { resumable_from: Some(300), ..options() });
    let synced = world.run(client.sync(request(), &linked(None))).unwrap();
    assert_eq!(url_of(&synced), Some("https://x.co/signed?token=t"));
    let urls: Vec<_> = world.sent.borrow().iter().map(|sent| sent.url.clone()).collect();
    assert!(urls.last().unwrap().ends_with("/commit?ttl=60"), "{urls:?}");
}

#[test]
fn the_workers_answers_bring_the_links_of_many_and_only_what_lacks_one_is_asked_for() {
    let number = |seed: i64| SyncRequest { meta: ImageMeta { seed, image_id: None, ..request().meta }, ..request() };
    for is_older in [false, true] {
        let world = giving_links();
        if is_older {
            world.lie.take();
        }
        let requests = vec![Ok(number(1)), Err(Error::field("seed", "is missing")), Ok(number(2))];
        let saved = Link { download: Some(String::new()), ..Link::for_seconds(60) };
        let call = call_with(call::Options { link: Some(saved), ..call::Options::default() }).0;
        let outcomes = world.run(relay(&world).sync_many(requests, 2, &call));
        let mut steps = world.steps();
        steps.sort();
        let asked: &[Step] = if is_older { &[Step::Link, Step::Link] } else { &[] };
        assert_eq!(steps, [&[Step::Hand; 2], asked].concat());
        for synced in outcomes.iter().flatten() {
            assert_eq!(url_of(synced).unwrap().matches("&download=").count(), 1, "{synced:?}");
        }
        assert!(outcomes[1].is_err());
    }
}
