//! Many jobs: rows in bulk, and what one of them costs beside all the others.

use super::*;

const MANY: Setup = Setup {
    limits: Limits { concurrency: 3, max_jobs: 10_000, max_bytes: 10_000_000, ..LIMITS },
    max_retries: 0,
    ..SETUP
};

fn with(number: usize, change: impl FnOnce(&mut ImageMeta)) -> SyncRequest<Image> {
    let mut request = request(number, 10);
    change(&mut request.meta);
    request
}

/// Jobs that wait, without the world that they came from.
fn enqueue_many(world: &World, outbox: &Outbox, count: usize) {
    for number in 0..count {
        let image_id = Some(format!("00000000-0000-4000-8000-{number:012x}"));
        world.run(outbox.enqueue(with(number, |meta| meta.image_id = image_id))).unwrap();
    }
}

fn inserts(world: &World) -> usize {
    world.steps().iter().filter(|step| **step == Step::InsertMany).count()
}

#[test]
fn rows_go_in_by_fifty_and_their_jobs_leave_in_one_transaction() {
    let (world, shelf) = world();
    world.latency_ms.set(10);
    let outbox = MANY.open(&world, &shelf).0;
    enqueue_many(&world, &outbox, 200);
    shelf.latency_ms.set(10);
    shelf.calls.set(0);
    assert_eq!(drain(&world, &outbox).unwrap(), Drained { done: 200, ..Drained::default() });
    assert_eq!((world.rows.borrow().len(), world.objects.borrow().len()), (200, 200));
    assert!(inserts(&world) <= 1 + 200 / 50, "{} inserts", inserts(&world));
    // An image each, one for three that are uploaded side by side, two for an insert, four pages.
    assert!(shelf.calls.get() <= 200 + 130 + 12 + 12, "{} transactions", shelf.calls.get());
    assert!(!shelf.written.borrow().contains("\"uploading\""), "it is told, not written");
}

#[test]
fn a_lone_job_waits_for_no_other() {
    let (world, shelf) = world();
    let outbox = MANY.open(&world, &shelf).0;
    enqueue(&world, &outbox, &[50]);
    let began = now(&world);
    assert_eq!(drain(&world, &outbox).unwrap().done, 1);
    assert_eq!(now(&world), began);
    assert_all_arrived(&world, &shelf, &[50], &"alone");
}

#[test]
fn a_row_waits_a_second_for_others_and_no_longer() {
    let (world, shelf) = world();
    world.latency_ms.set(1000);
    let outbox = MANY.open(&world, &shelf).0;
    let began = now(&world);
    // Ten pieces of a second each, and beside it one that is there after the first.
    enqueue(&world, &outbox, &[950, 50]);
    drain(&world, &outbox).unwrap();
    let inserted = world.sent.borrow().iter().find(|sent| sent.step == Step::InsertMany).unwrap().at_ms;
    assert_eq!(inserted - began, 2000);
    assert_all_arrived(&world, &shelf, &[950, 50], &"beside a long one");
}

#[test]
fn a_row_that_has_waited_long_enough_waits_without_a_timer_for_an_insert_that_takes_long() {
    let (world, shelf) = world();
    world.latency_ms.set(2000);
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60, 70]);
    world.plan(Step::InsertMany, &[fault("silence")]);
    let began = now(&world);
    assert_eq!(drain(&world, &outbox).unwrap().done, 2);
    assert!(now(&world) - began > 30_000, "one insert had no answer for long");
    let timers = world.waits.borrow().len();
    assert!(timers < 10, "{timers} timers");
    drain_to_the_end(&world, &outbox);
    assert_all_arrived(&world, &shelf, &[50, 60, 70], &"a slow insert");
}

#[test]
fn what_an_insert_leaves_waits_a_second_of_its_own() {
    let (world, shelf) = world();
    // Three rows in 58 ms: fifty in less than a second, and of the 51 that are there by then one is left.
    world.latency_ms.set(48);
    let outbox = MANY.open(&world, &shelf).0;
    enqueue_many(&world, &outbox, 500);
    shelf.latency_ms.set(10);
    assert_eq!(drain(&world, &outbox).unwrap(), Drained { done: 500, ..Drained::default() });
    assert_eq!((world.rows.borrow().len(), inserts(&world)), (500, 500 / 50));
}

#[test]
fn a_row_that_is_refused_keeps_no_other_of_its_insert_away() {
    for refused in [0, 17, 59] {
        let (world, shelf) = world();
        let outbox = MANY.open(&world, &shelf).0;
        enqueue_many(&world, &outbox, refused);
        world.run(outbox.enqueue(with(200, |meta| meta.prompt = "refused-row".to_owned()))).unwrap();
        for number in refused..59 {
            let image_id = Some(format!("00000000-0000-4000-8000-{number:012x}"));
            world.run(outbox.enqueue(with(number, |meta| meta.image_id = image_id))).unwrap();
        }
        assert_eq!(drain(&world, &outbox).unwrap(), Drained { done: 59, failed: 1, ..Drained::default() });
        let left = shelf.job(&id_of(200)).unwrap();
        assert_eq!((left.state, left.uploaded, shelf.jobs.borrow().len()), (State::Failed, true, 1));
        assert!(inserts(&world) <= 2 + 2 * 6, "{} inserts", inserts(&world));
    }
}

#[test]
fn a_job_in_ten_thousand_costs_what_one_of_ten_does() {
    let touched = |count: usize| {
        let (world, shelf) = world();
        let outbox = MANY.open(&world, &shelf).0;
        let add = |number: usize| {
            let id = Some(format!("00000000-0000-4000-8000-{number:012x}"));
            world.run(outbox.enqueue(with(number, |meta| meta.image_id = id))).unwrap();
        };
        // Made once, and then put there again and again.
        add(0);
        let (first, image) = (shelf.jobs.borrow()[0].clone(), shelf.images.borrow()[&id_of(0)].clone());
        for number in 1..count {
            let id = format!("00000000-0000-4000-8000-{number:012x}");
            let text = first.text.replace(&id_of(0), &id).replace("picture-0", &format!("picture-{number}"));
            let path = path_of(USER, number);
            let position = 1 + number as u64;
            shelf.jobs.borrow_mut().push(Record { id: id.clone(), paths: vec![path], position, text, ..first.clone() });
            shelf.images.borrow_mut().insert(id, image.clone());
        }
        shelf.touched.set(0);
        world.run(outbox.retry("00000000-0000-4000-8000-000000000007")).unwrap();
        let for_a_retry = shelf.touched.replace(0);
        // The first request is answered only when the test has seen what was read for it.
        world.latency_ms.set(1000);
        world.run(outbox.drain(false, Box::pin(world.pass(100)))).unwrap();
        (for_a_retry, shelf.touched.get())
    };
    let (few, many) = (touched(10), touched(10_000));
    assert_eq!(many.0, few.0, "a retry");
    assert!(many.1 <= 50, "{} jobs are read for the first request", many.1);
}

#[test]
fn a_drain_reads_fifty_at_once_however_many_it_has_in_hand() {
    let (world, shelf) = world();
    world.latency_ms.set(10);
    let outbox = MANY.open(&world, &shelf).0;
    enqueue_many(&world, &outbox, 300);
    assert_eq!(drain(&world, &outbox).unwrap().done, 300);
    assert_eq!(shelf.most_read.get(), 50);
}

#[test]
fn large_images_leave_a_lane_to_the_others() {
    let (world, shelf) = world();
    world.latency_ms.set(1000);
    let outbox = MANY.open(&world, &shelf).0;
    enqueue(&world, &outbox, &[950, 950, 950, 950, 50]);
    let began = now(&world);
    drain(&world, &outbox).unwrap();
    let small = world.sent.borrow().iter().find(|sent| sent.step == Step::Upload).unwrap().at_ms;
    assert_eq!(small, began, "it does not wait for the four before it");
    assert_all_arrived(&world, &shelf, &[950, 950, 950, 950, 50], &"lanes");
}

#[test]
fn many_small_images_go_at_once_and_few_of_those_that_fill_the_line() {
    // Of uploads that all take as long, so many begin together.
    let begin_together = |sizes: &[usize]| {
        let (world, shelf) = world();
        world.latency_ms.set(1000);
        let limits = Limits { concurrency: 6, line_bytes: Some(400), ..MANY.limits };
        let outbox = Setup { limits, ..MANY }.open(&world, &shelf).0;
        enqueue(&world, &outbox, sizes);
        let began = now(&world);
        drain(&world, &outbox).unwrap();
        assert_all_arrived(&world, &shelf, sizes, &sizes);
        let sent = world.sent.borrow();
        let first = sent.iter().filter(|sent| sent.step == Step::Upload && sent.at_ms == began);
        first.map(|sent| sent.bytes).collect::<Vec<usize>>()
    };
    assert_eq!(begin_together(&[50; 10]), [50; 6], "as many as there are lanes");
    assert_eq!(begin_together(&[90; 10]), [90; 4], "as many as the line takes");
    assert_eq!(begin_together(&[240; 10]), [240; 3], "some in any case");
    assert_eq!(begin_together(&[240, 240, 240, 90, 240, 10]), [240; 3], "what comes later is not sent before");
    // Large ones, which go in pieces, leave all lanes but two to the others, however many they are.
    assert_eq!(begin_together(&[950, 950, 950, 950, 50, 60, 70, 80, 90]), [50, 60, 70, 80]);
}

#[test]
fn rows_that_are_there_are_found_where_the_database_gives_few_at_once() {
    let (world, shelf) = world();
    let outbox = MANY.open(&world, &shelf).0;
    enqueue_many(&world, &outbox, 50);
    // Another one has one of the ids.
    let theirs = format!("00000000-0000-4000-8000-{:012x}", 7);
    world
        .rows
        .borrow_mut()
        .push(serde_json::json!({ "id": theirs, "owner_user_id": OTHER, "storage_path": "x/y.png" }));
    world.max_rows.set(Some(10));
    world.plan(Step::InsertMany, &[fault("answer lost")]);
    assert_eq!(drain(&world, &outbox).unwrap().waiting, 50);
    drain_to_the_end(&world, &outbox);
    let left: Vec<String> = shelf.jobs.borrow().iter().map(|job| job.id.clone()).collect();
    assert_eq!(left, [theirs], "the only one whose row is not its own");
    let asked = world.steps().iter().filter(|step| **step == Step::ReadBackMany).count();
    assert_eq!(asked, 5 + 1, "ten at once, and once more for the one that nobody shows");
}
