//! A host that slept between an upload and its row: the object was swept meanwhile, as an upload that nobody had finished.

use super::*;
use crate::image::meta::Prepared;

const HOUR_MS: i64 = 3_600_000;

/// A world that sleeps while the rows are inserted, and whose bucket is swept meanwhile.
fn asleep_for(ms: i64) -> World {
    let world = World::new();
    let sleeper = world.clone();
    world.lie.replace(Some(Rc::new(move |step, response| {
        if matches!(step, Step::Insert | Step::InsertMany) {
            sleeper.objects.borrow_mut().clear();
            sleeper.set_clock(sleeper.now_ms() + ms);
        }
        response
    })));
    world
}

#[test]
fn an_object_that_was_swept_during_its_insert_is_uploaded_again() {
    let world = asleep_for(2 * HOUR_MS);
    let (result, events) = sync_within(&world, &client(&world, options()), request(), None);
    assert_eq!(result.unwrap(), synced());
    assert_eq!(world.steps(), [Step::Upload, Step::Insert, Step::Info, Step::Upload]);
    assert_eq!(*world.objects.borrow()[PATH].bytes, PNG);
    assert!(matches!(events.last(), Some(Event::Progress(Progress { sent, total, .. })) if sent == total));
}

#[test]
fn of_many_images_those_that_were_swept_are_uploaded_again() {
    let world = asleep_for(2 * HOUR_MS);
    let outcomes = world.run(client(&world, options()).sync_many(vec![Ok(request())], 3, &call(None).0));
    assert_eq!(outcomes.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), [synced()]);
    assert_eq!(*world.objects.borrow()[PATH].bytes, PNG);
}

#[test]
fn after_a_short_wait_nobody_is_asked_for_an_object() {
    let world = asleep_for(HOUR_MS / 2);
    sync_within(&world, &client(&world, options()), request(), None).0.unwrap();
    assert_eq!(world.steps(), [Step::Upload, Step::Insert]);
}

#[test]
fn an_insert_long_after_its_image_was_prepared_asks_for_the_object_first() {
    let world = World::new();
    let client = client(&world, options());
    let SyncRequest { meta, image } = request();
    let prepared = world.run(client.prepare(SyncRequest { meta, image: Some(image) })).unwrap();
    let insert = || world.run(client.insert_prepared(prepared.clone(), &call(None).0));
    let put = || world.run(client.sync(request(), &call(None).0)).unwrap();
    put();
    world.rows.borrow_mut().clear();
    world.sent.borrow_mut().clear();

    world.set_clock(world.now_ms() + HOUR_MS);
    assert_eq!(insert().unwrap(), synced());
    assert_eq!(world.steps(), [Step::Insert], "within an hour nobody is asked");

    world.rows.borrow_mut().clear();
    let swept = world.objects.take();
    world.sent.borrow_mut().clear();
    world.set_clock(world.now_ms() + 72 * HOUR_MS);
    let error = insert().unwrap_err();
    assert_eq!((error.stage, error.code, error.retryable), (Stage::Insert, Code::ObjectMissing, false));
    assert_eq!(error.storage_path.as_deref(), Some(PATH));
    assert!(world.rows.borrow().is_empty(), "no row without its object");

    world.objects.replace(swept);
    assert_eq!(insert().unwrap(), synced());
    assert_eq!(world.steps(), [Step::Info, Step::Info, Step::Insert]);

    // What somebody kept who did not keep the time: as it was, it is not asked for.
    let timeless = Prepared { prepared_at: None, ..prepared.clone() };
    world.objects.borrow_mut().clear();
    world.sent.borrow_mut().clear();
    world.run(client.insert_prepared(timeless, &call(None).0)).unwrap();
    assert!(!world.steps().contains(&Step::Info));
}
