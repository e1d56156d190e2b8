//! When a job is due: waits, clocks that jump, and looks in the midst of a drain.

use super::*;

#[test]
fn own_waits_may_be_cut_short_but_no_servers() {
    for (name, forced_sends) in
        [("502", true), ("cut before it arrives", true), ("503 for 2 s", false), ("429 for too long", false)]
    {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50]);
        world.plan(Step::Upload, &[fault(name)]);
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!((drained.waiting, drained.failed), (1, 0), "{name}");
        let due = drained.next_due_ms.unwrap();
        assert!(due > now(&world));
        assert_eq!(drain(&world, &outbox).unwrap().done, 0, "{name}: not before its time");
        let forced = world.run(outbox.drain(true, Box::pin(pending()))).unwrap();
        assert_eq!(forced.done == 1, forced_sends, "{name}");
        world.set_clock(due - 1);
        assert_eq!(drain(&world, &outbox).unwrap().done, 0);
        world.set_clock(due);
        drain(&world, &outbox).unwrap();
        assert_all_arrived(&world, &shelf, &[50], &name);
    }
}

#[test]
fn a_clock_that_jumps_holds_nothing_up_for_ever() {
    let day = 86_400_000;
    for jump in [-day, -1000, day, 40 * 365 * day, -40 * 365 * day] {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 60]);
        world.plan(Step::Upload, &[fault("502"); 2]);
        drain(&world, &outbox).unwrap();
        world.set_clock(now(&world) + jump);
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!(drained.done, 2, "{jump}");
        assert_all_arrived(&world, &shelf, &[50, 60], &jump);
    }
}

#[test]
fn a_wait_of_a_clock_put_back_is_no_time_to_come_back_at() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60]);
    world.plan(Step::Upload, &[fault("502"); 2]);
    drain(&world, &outbox).unwrap();
    world.set_clock(now(&world) - 86_400_000);
    // Stopped before either is tried: both are due.
    world.tokens.replace([Err("failed".to_owned())].into());
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!((drained.waiting, drained.next_due_ms), (2, Some(now(&world))));
}

#[test]
fn what_is_new_or_due_again_during_a_drain_waits_for_no_other() {
    let (world, shelf) = world();
    world.latency_ms.set(1000);
    let setup = Setup { limits: Limits { concurrency: 2, ..LIMITS }, ..SETUP };
    let (outbox, other_tab) = (setup.open(&world, &shelf).0, open(&world, &shelf));
    // Ten pieces of a second each.
    enqueue(&world, &outbox, &[950]);
    let began = now(&world);
    world.plan(Step::Upload, &[fault("502")]);
    let later = async {
        world.pass(2500).await;
        outbox.enqueue(request(1, 50)).await.unwrap();
        world.pass(10).await;
        other_tab.enqueue(request(2, 50)).await.unwrap();
        outbox.look_again();
        // By then the first one's wait is over.
        world.pass(3500).await;
        outbox.look_again();
    };
    let drained = Cell::new(None);
    let drain = async { drained.set(Some(drain_async(&outbox).await.unwrap())) };
    world.run(all_of(vec![Box::pin(drain) as Racer<'_, ()>, Box::pin(later)]));
    assert_eq!(drained.get().unwrap().done, 3);
    assert_all_arrived(&world, &shelf, &[950, 50, 50], &"one drain");
    let sent = world.sent.borrow();
    let starts = sent.iter().filter(|sent| sent.step == Step::Upload).map(|sent| sent.at_ms - began);
    assert_eq!(starts.collect::<Vec<i64>>(), [2500, 3500, 6010], "refused, the other tab's, and once more");
    assert!(world.most_flying.get() <= 1);
}

#[test]
fn looking_again_at_any_time_sends_nothing_twice_and_forgets_nothing() {
    for concurrency in [1, 3] {
        for after_ms in 0..60 {
            let (world, shelf) = world();
            world.latency_ms.set(10);
            let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
            let (outbox, _) = setup.open(&world, &shelf);
            enqueue(&world, &outbox, &[50, 250, 60]);
            let mut refused = request(3, 50);
            refused.prompt = "refused-row".to_owned();
            world.run(outbox.enqueue(refused)).unwrap();
            shelf.latency_ms.set(3);
            let look = async {
                for ms in [after_ms, 1, 1, 2, 7] {
                    world.pass(ms).await;
                    outbox.look_again();
                }
            };
            let drained = Cell::new(None);
            let drain = async { drained.set(Some(drain_async(&outbox).await.unwrap())) };
            world.run(all_of(vec![Box::pin(drain) as Racer<'_, ()>, Box::pin(look)]));
            let Drained { done, failed, waiting, .. } = drained.get().unwrap();
            assert_eq!((done, failed, waiting), (3, 1, 0), "{concurrency} {after_ms}");
            assert!(world.most_flying.get() <= 1, "one job twice at a time: {concurrency} {after_ms}");
            let inserts = world.steps().iter().filter(|step| **step == Step::InsertMany).count();
            assert!(inserts <= 7, "{inserts} inserts: {concurrency} {after_ms}");
        }
    }
}

#[test]
fn a_job_that_is_on_its_way_and_told_to_be_tried_again_is_not_uploaded_again() {
    // Another tab's `retry` in the midst of a drain, at any moment of either.
    for after_ms in 0..40 {
        let (world, shelf) = world();
        world.latency_ms.set(10);
        let (outbox, other_tab) = (open(&world, &shelf), open(&world, &shelf));
        enqueue(&world, &outbox, &[50]);
        let retry = async {
            world.pass(after_ms).await;
            let _ = other_tab.retry(&id_of(0)).await;
        };
        let drained = async {
            drain_async(&outbox).await.unwrap();
        };
        world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(retry)]));
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &[50], &after_ms);
        assert_eq!(steps_of(&world, 0), [Step::Upload]);
    }
}
