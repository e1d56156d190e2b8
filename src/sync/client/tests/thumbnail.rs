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

/// Whose name no other image has had.
fn unnamed() -> SyncRequest<Bytes> {
    SyncRequest { meta: ImageMeta { slug: None, ..request().meta }, ..request() }
}

#[test]
fn where_none_is_drawn_nothing_more_is_sent() {
    let world = World::new();
    let sink = sink(&world);
    world.drawn.take();
    assert!(sync(&world, &sink, unnamed()).is_ok());
    assert_eq!(world.steps(), [Step::Upload, Step::Insert]);
}

#[test]
fn an_earlier_images_small_picture_is_not_left_beside_a_new_image() {
    for fault in [None, Some("storage 413"), Some("silence")] {
        let world = World::new();
        let sink = sink(&world);
        world.put(ITS_PATH);
        match fault.map(super::fault::fault) {
            None => drop(world.drawn.take()),
            Some(fault) => drop(world.troubles.borrow_mut().insert(0, Trouble::Fault(fault))),
        }
        assert!(sync(&world, &sink, request()).is_ok());
        assert!(!world.objects.borrow().contains_key(ITS_PATH), "{fault:?}");
        assert_delivered(&world, IMAGE_ID, PATH, PNG, &fault);
    }
}

#[test]
fn a_small_picture_is_not_left_beside_an_earlier_image_where_its_own_is_refused() {
    let world = World::new();
    let sink = sink(&world);
    world.put(PATH);
    world.troubles.borrow_mut().insert(1, Trouble::Fault(super::fault::fault("storage 413")));
    assert_eq!(sync(&world, &sink, request()).unwrap_err().code, Code::TooLarge);
    assert_eq!(world.steps(), [Step::Upload, Step::Upload, Step::RemoveObjects]);
    assert_eq!(world.objects.borrow().keys().collect::<Vec<_>>(), [PATH]);
}

#[test]
fn a_name_that_leaves_no_room_for_its_ending_has_no_small_picture_and_its_image_goes() {
    let slug = |length: usize| Some("x".repeat(length - "-42.png".len()));
    for (length, steps) in [
        (255 - ".thumb".len(), vec![Step::Upload, Step::Upload, Step::Insert]),
        (255 - ".thumb".len() + 1, vec![Step::Upload, Step::Insert]),
        (255, vec![Step::Upload, Step::Insert]),
    ] {
        let world = World::new();
        let named = SyncRequest { meta: ImageMeta { slug: slug(length), ..request().meta }, ..request() };
        let path = StoragePath::parse(&sync(&world, &sink(&world), named).unwrap().storage_path).unwrap();
        assert_eq!(world.steps(), steps, "{length}");
        let small = path.small();
        assert!(world.objects.borrow().contains_key(small.as_str()), "a list links to what is there: {length}");
    }
    let world = World::new();
    let named = SyncRequest { meta: ImageMeta { slug: slug(256), ..request().meta }, ..request() };
    let error = sync(&world, &sink(&world), named).unwrap_err();
    assert_eq!((error.field.as_deref(), world.steps()), (Some("slug"), vec![]));
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
