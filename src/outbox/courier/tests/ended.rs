//! What is discarded, and drains that are paused.

use super::*;

#[test]
fn what_is_discarded_on_its_way_gets_no_row() {
    for latency in [0, 10] {
        for moment in 0..16 {
            let (world, shelf) = world();
            world.latency_ms.set(latency);
            let outbox = open(&world, &shelf);
            enqueue(&world, &outbox, &[350, 60]);
            world.moments.set(0);
            // Another tab discards it at that very moment.
            let discard = async {
                poll_fn(|_| if world.moments.get() >= moment { Poll::Ready(()) } else { Poll::Pending }).await;
                let had_row = !world.rows_of(&id_of(0)).is_empty();
                shelf.discard(&id_of(0));
                had_row
            };
            let had_row = Cell::new(None);
            let discarded = async { had_row.set(Some(discard.await)) };
            let drained = async {
                drain_async(&outbox).await.unwrap();
            };
            world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(discarded)]));
            assert!(shelf.is_empty());
            assert_arrived(&world, [(1, 60)], &moment);
            let insert_began = world.steps().contains(&Step::InsertMany);
            assert!(world.rows_of(&id_of(0)).is_empty() || had_row.get() == Some(true) || insert_began);
        }
    }
    // Surely before its insert: while a piece is on its way.
    let (world, shelf) = world();
    world.latency_ms.set(10);
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[350, 60]);
    let discard = async {
        world.pass(15).await;
        shelf.discard(&id_of(0));
    };
    let drained = async {
        assert_eq!(drain_async(&outbox).await.unwrap().done, 1);
    };
    world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(discard)]));
    assert!(world.rows_of(&id_of(0)).is_empty() && shelf.is_empty());
}

#[test]
fn a_discarded_upload_ends_at_once() {
    let (world, shelf) = world();
    world.latency_ms.set(1000);
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[950, 60]);
    let discard = async {
        world.pass(2500).await;
        outbox.discarded(&id_of(0));
        world.pass(10).await;
        shelf.discard(&id_of(0));
        outbox.discarded(&id_of(0));
    };
    let drain = async {
        assert_eq!(drain_async(&outbox).await.unwrap().done, 1);
    };
    world.run(all_of(vec![Box::pin(drain) as Racer<'_, ()>, Box::pin(discard)]));
    assert!(shelf.is_empty() && world.rows_of(&id_of(0)).is_empty());
    assert_arrived(&world, [(1, 60)], &"a discard");
    assert!(
        world.bytes_sent() <= 3 * CHUNK + 60,
        "{} bytes, and none for a word that was not true",
        world.bytes_sent()
    );
    assert!(world.flying.borrow().values().all(|flying| *flying == 0), "what was on its way is aborted");
}

#[test]
fn a_pause_at_any_time_leaves_every_job_to_be_gone_on_with() {
    for concurrency in [1, 2] {
        for after_ms in 0..90 {
            let (world, shelf) = world();
            world.latency_ms.set(10);
            let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
            let (outbox, _) = setup.open(&world, &shelf);
            enqueue(&world, &outbox, &[50, 450]);
            let drained = world.run(outbox.drain(false, Box::pin(world.pass(after_ms)))).unwrap();
            let is_paused = drained.stopped == Some(Stop::Paused);
            assert!(is_paused || drained.done == 2, "{after_ms}");
            assert_eq!(drained.done + drained.waiting, 2, "{after_ms}");
            assert!(world.flying.borrow().values().all(|flying| *flying == 0), "what is on its way is aborted");
            drain_to_the_end(&world, &outbox);
            assert_all_arrived(&world, &shelf, &[50, 450], &after_ms);
            assert!(world.bytes_sent() <= 500 + concurrency as usize * CHUNK);
        }
    }
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50]);
    let drained = world.run(outbox.drain(false, Box::pin(ready(())))).unwrap();
    assert_eq!((drained.stopped, drained.waiting), (Some(Stop::Paused), 1));
    assert!(world.sent.borrow().is_empty(), "paused before it began");
}
