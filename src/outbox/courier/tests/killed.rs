//! A kill at every moment, and after every fault.

use super::*;

/// Drains until a kill at that moment, if the drain lasts so long.
fn drain_until_killed(world: &World, shelf: &Shelf, moment: u32) {
    world.moments.set(0);
    world.kill_at.set(Some(moment));
    let outbox = open(world, shelf);
    world.run_until_dead(outbox.drain(false, Box::pin(pending())));
    world.kill_at.set(None);
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_repeats_nothing() {
    let sizes = [50, 450, 80];
    let mut runs = 0;
    for concurrency in [1, 2, 3] {
        for moment in 0.. {
            let (world, shelf) = world();
            world.latency_ms.set(10);
            let limits = Limits { concurrency, ..LIMITS };
            let setup = Setup { limits, ..SETUP };
            enqueue(&world, &setup.open(&world, &shelf).0, &sizes);
            world.moments.set(0);
            world.kill_at.set(Some(moment));
            let (first_life, _) = setup.open(&world, &shelf);
            if world.run_until_dead(first_life.drain(false, Box::pin(pending()))).is_some() {
                assert!(moment > 40, "{moment} moments");
                break;
            }
            let done_before: Vec<Job> = (0..3).filter_map(|number| shelf.job(&id_of(number))).collect();
            let before = world.sent.borrow().len();
            drain_to_the_end(&world, &setup.open(&world, &shelf).0);
            let context = (concurrency, moment);
            assert_all_arrived(&world, &shelf, &sizes, &context);
            for job in done_before.iter().filter(|job| job.uploaded) {
                let again =
                    world.sent.borrow()[before..].iter().filter(|sent| sent.url.contains(&job.storage_path)).count();
                assert_eq!(again, 0, "{} uploaded again after {context:?}", job.id);
            }
            assert!(world.most_flying.get() <= 1, "one job twice at a time after {context:?}");
            let most = sizes.iter().sum::<usize>() + concurrency as usize * CHUNK;
            assert!(world.bytes_sent() <= most, "{} bytes after {context:?}", world.bytes_sent());
            assert!(world.completed.borrow()[&path_of(USER, 1)] == 1, "{context:?}");
            runs += 1;
        }
    }
    assert!(runs > 120, "{runs}");
}

#[test]
fn two_kills_at_any_two_moments_lose_nothing_either() {
    let sizes = [50, 350];
    for first in 0..60 {
        for second in (0..60).step_by(3) {
            let (world, shelf) = world();
            enqueue(&world, &open(&world, &shelf), &sizes);
            for moment in [first, second] {
                drain_until_killed(&world, &shelf, moment);
            }
            drain_to_the_end(&world, &open(&world, &shelf));
            assert_all_arrived(&world, &shelf, &sizes, &(first, second));
            let most = sizes.iter().sum::<usize>() + 2 * CHUNK;
            assert!(world.bytes_sent() <= most, "{} bytes after {first} and {second}", world.bytes_sent());
        }
    }
}

#[test]
fn a_kill_while_it_is_enqueued_keeps_the_whole_image_or_nothing() {
    for moment in 0..2 {
        let (world, shelf) = world();
        world.kill_at.set(Some(moment));
        assert!(world.run_until_dead(open(&world, &shelf).enqueue(request(0, 50))).is_none());
        assert_eq!(shelf.jobs.borrow().len(), moment as usize);
        // The page does not know which, and enqueues once more.
        enqueue(&world, &open(&world, &shelf), &[50]);
        drain_to_the_end(&world, &open(&world, &shelf));
        assert_all_arrived(&world, &shelf, &[50], &moment);
    }
}

#[test]
fn a_kill_after_any_fault_at_any_request_loses_nothing() {
    let troubles = ["cut before it arrives", "answer lost", "502", "504 after it arrived", "captive portal", "429"];
    let troubles = troubles.map(|name| WorldTrouble::Fault(fault(name)));
    for trouble in troubles.into_iter().chain([WorldTrouble::Stored(0.5), WorldTrouble::Replayed]) {
        for nth in 0..8 {
            for moment in (0..30).step_by(2) {
                let (world, shelf) = world();
                enqueue(&world, &open(&world, &shelf), &[350, 50]);
                world.troubles.replace([(nth, trouble)].into());
                drain_until_killed(&world, &shelf, moment);
                drain_to_the_end(&world, &open(&world, &shelf));
                assert_all_arrived(&world, &shelf, &[350, 50], &(trouble, nth, moment));
                assert!(world.bytes_sent() <= 400 + 2 * CHUNK, "{trouble:?} {nth} {moment}");
            }
        }
    }
}

#[test]
fn an_upload_in_pieces_goes_on_from_where_it_was_in_an_earlier_life() {
    let (world, shelf) = world();
    enqueue(&world, &open(&world, &shelf), &[950]);
    // Of ten pieces each life brings one or two: it ends at its third request.
    let mut lives = 0;
    while !shelf.is_empty() {
        world.plan(Step::Piece, &[fault("cut before it arrives")]);
        let sent = world.sent.borrow().len();
        world.troubles.replace([(sent + 3, WorldTrouble::Fault(fault("cut before it arrives")))].into());
        world.faults.borrow_mut().clear();
        let drained = drain(&world, &open(&world, &shelf)).unwrap();
        if let Some(due) = drained.next_due_ms {
            world.set_clock(due);
        }
        lives += 1;
        assert!(lives < 30);
    }
    assert!(lives > 3, "{lives} lives");
    assert_eq!(world.uploads.borrow().len(), 1, "one upload at the server");
    assert!(world.bytes_sent() <= 950 + lives * CHUNK);
    assert_all_arrived(&world, &shelf, &[950], &"many lives");
}

#[test]
fn an_upload_whose_id_the_server_cannot_read_begins_anew() {
    let (world, shelf) = world();
    enqueue(&world, &open(&world, &shelf), &[450]);
    world.troubles.replace((2..9).map(|nth| (nth, WorldTrouble::Fault(fault("cut before it arrives")))).collect());
    drain(&world, &open(&world, &shelf)).unwrap();
    assert!(shelf.job(&id_of(0)).unwrap().upload_id.is_some());
    world.heal();
    // As on a server that keeps its uploads in another way since: it refuses the id, by HEAD without a word.
    world.uploads.borrow_mut().clear();
    world.lie.replace(Some(Rc::new(|step, response| match step {
        Step::Offset => answer_of(400, ""),
        _ => response,
    })));
    let drain = || world.run(open(&world, &shelf).drain(true, Box::pin(pending()))).unwrap();
    assert_eq!((drain().waiting, shelf.job(&id_of(0)).unwrap().upload_id), (1, None));
    assert_eq!(drain().done, 1, "{:?}", world.steps());
    assert_all_arrived(&world, &shelf, &[450], &"begun anew");
}
