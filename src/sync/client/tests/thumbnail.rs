//! The small picture beside an image: there where it can be, and never in the way.

use super::fault::faults_at;
use super::relay::{self, landed, large, place, relay_with};
use super::world::Trouble;
use super::*;
use crate::image::thumbnail::Thumbnail;
use crate::limits;

const SMALL: &[u8] = b"a small picture";
const ITS_PATH: &str = "2026-05-11/lighthouse-42.png.thumb";

fn sink(world: &World) -> Client<World> {
    *world.drawn.borrow_mut() = Some(SMALL.to_vec().into());
    client(world, Options { thumbnail: Some(Thumbnail::default()), ..options() })
}

#[test]
fn a_small_picture_goes_beside_the_image_as_the_same_user() {
    let world = World::new();
    world.tokens.borrow_mut().push_back(Ok("token".to_owned()));
    assert_eq!(sync(&world, &sink(&world), request()).unwrap().storage_path, PATH);
    assert_delivered(&world, IMAGE_ID, PATH, PNG, &"a sync");
    let objects = world.objects.borrow();
    assert_eq!((objects[ITS_PATH].mime_type.as_str(), objects[ITS_PATH].bytes.as_slice()), ("image/webp", SMALL));
    assert!(world.sent.borrow().iter().all(|sent| sent.bearer == "token"));
    assert_eq!(world.steps(), [Step::Upload, Step::Upload, Step::Insert]);
}

#[test]
fn whatever_becomes_of_it_the_image_arrives_and_waits_two_seconds_at_most() {
    for fault in faults_at(Step::Upload) {
        let world = World::new();
        let sink = sink(&world);
        // It is drawn, and sent, before the image's own request.
        world.troubles.borrow_mut().insert(0, Trouble::Fault(fault));
        let began = world.now_ms();
        let (result, events) = sync_within(&world, &sink, request(), None);
        assert_eq!(result.unwrap().storage_path, PATH, "{fault:?}");
        assert_delivered(&world, IMAGE_ID, PATH, PNG, &fault);
        assert!(world.now_ms() - began <= 2000, "{fault:?}: {} ms", world.now_ms() - began);
        assert!(!events.iter().any(|event| matches!(event, Event::Retry(_))), "nobody is told of it: {events:?}");
    }
}

#[test]
fn where_none_is_drawn_nothing_more_is_sent() {
    let world = World::new();
    let sink = sink(&world);
    world.drawn.take();
    assert!(sync(&world, &sink, request()).is_ok());
    assert_eq!(world.steps(), [Step::Upload, Step::Insert]);
}

#[test]
fn an_image_that_fails_takes_its_small_picture_along() {
    let world = World::new();
    let sink = sink(&world);
    world.latency_ms.set(100);
    world.drawn.replace(Some(SMALL.to_vec().into()));
    let (result, _) = sync_within(&world, &sink, request(), Some(50));
    assert_eq!(result.unwrap_err().code, Code::DeadlineExceeded);
    assert!(world.flying.borrow().values().all(|under_way| *under_way == 0), "nothing goes on behind the call");
}

/// A small picture that is one.
const TINY: &[u8] = PNG.split_at(100).0;

fn relay_drawing(options: Options, drawn: &[u8]) -> (World, Client<World>) {
    let world = relay::world();
    *world.drawn.borrow_mut() = Some(drawn.to_vec().into());
    let client = relay_with(&world, Options { thumbnail: Some(Thumbnail::default()), ..options });
    (world, client)
}

fn its_bytes(world: &World) -> Option<Vec<u8>> {
    world.objects.borrow().get(&format!("{}.thumb", place())).map(|object| object.bytes.to_vec())
}

#[test]
fn a_small_picture_goes_to_the_worker_with_its_image_and_by_ticket_with_the_commit() {
    let (world, client) = relay_drawing(options(), TINY);
    assert_eq!(sync(&world, &client, request()).unwrap(), landed());
    assert_eq!((its_bytes(&world).as_deref(), world.steps()), (Some(TINY), vec![Step::Hand]));

    let (world, client) = relay_drawing(large(), TINY);
    let (result, events) = sync_within(&world, &client, request(), None);
    assert_eq!((result.unwrap(), its_bytes(&world).as_deref()), (landed(), Some(TINY)));
    let stages = events.iter().filter_map(|event| match event {
        Event::Progress(progress) => Some(progress.stage),
        Event::Retry(_) => None,
    });
    let of_bytes = stages.take_while(|stage| *stage == Reached::Upload).count();
    assert_eq!(events.len() - of_bytes, 2, "after the commit has begun no bytes are told of: {events:?}");
    assert_delivered(&world, IMAGE_ID, &place(), PNG, &"by ticket");
}

#[test]
fn an_image_goes_without_what_the_worker_would_refuse_it_for() {
    let longer = [PNG, &[0; limits::THUMBNAIL]].concat();
    for drawn in [SMALL, &longer, b"unreadable"] {
        for options in [options(), large()] {
            let (world, client) = relay_drawing(options, drawn);
            assert_eq!(sync(&world, &client, request()).unwrap(), landed());
            assert_eq!(its_bytes(&world), None);
        }
    }
}
