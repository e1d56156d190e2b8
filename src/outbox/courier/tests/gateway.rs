//! Who is turned away by something before the server.

use super::*;

/// A firewall that dislikes these images, in their uploads' addresses.
pub(super) fn block(world: &World, numbers: &[usize]) {
    world.rejects.replace(numbers.iter().map(|number| format!("/{}", path_of(USER, *number))).collect());
}

#[test]
fn a_firewall_that_dislikes_one_image_keeps_no_other_away() {
    let row = format!(r#""storage_path":"{}""#, path_of(USER, 0));
    for (text, is_row) in [(format!("/{}", path_of(USER, 0)), false), (row, true)] {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 60, 70]);
        world.rejects.replace(vec![text.clone()]);
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!((drained.done, drained.failed, drained.waiting, drained.stopped), (2, 0, 1, None), "{text}");
        let job = shelf.job(&id_of(0)).unwrap();
        assert_eq!((job.turned_away, job.is_suspect, job.uploaded), (1, false, is_row));
        assert!(drained.next_due_ms.unwrap() > now(&world) && job.error.unwrap().contains("unavailable"));
        world.rejects.take();
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &[50, 60, 70], &text);
    }
}

#[test]
fn a_job_fails_after_five_refusals_each_followed_by_anothers_success() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50]);
    block(&world, &[0]);
    for nth in 1..=5 {
        // Alone it may be refused again and again, in whichever life.
        for _ in 0..4 {
            let drained = world.run(open(&world, &shelf).drain(true, Box::pin(pending()))).unwrap();
            assert_eq!((drained.failed, drained.waiting, drained.stopped), (0, 1, None), "{nth}");
        }
        world.run(outbox.enqueue(request(nth, 50))).unwrap();
        let drained = drain(&world, &open(&world, &shelf)).unwrap();
        let is_last = nth == 5;
        assert_eq!((drained.done, drained.failed), (1, u32::from(is_last)), "{nth}");
        let job = shelf.job(&id_of(0)).unwrap();
        assert_eq!((job.turned_away, job.state == State::Failed), (nth as u32, is_last));
    }
    assert_eq!(drain(&world, &outbox).unwrap(), Drained::default());
    world.rejects.take();
    world.run(outbox.retry(&id_of(0))).unwrap();
    assert_eq!(drain(&world, &outbox).unwrap().done, 1);
}

#[test]
fn a_captive_portal_stops_the_drain_after_three_jobs_and_fails_none() {
    for concurrency in [1, 3] {
        let (world, shelf) = world();
        let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
        let outbox = setup.open(&world, &shelf).0;
        let sizes = [50; 9];
        enqueue(&world, &outbox, &sizes);
        world.lie.replace(Some(Rc::new(|_, _| answer_of(403, "<html>Log in</html>"))));
        for _ in 0..30 {
            world.sent.take();
            world.set_clock(now(&world) + 30_000);
            let drained = drain(&world, &setup.open(&world, &shelf).0).unwrap();
            assert_eq!((drained.stopped, drained.waiting, drained.failed), (Some(Stop::TurnedAway), 9, 0));
            assert!(world.sent.borrow().len() <= 2 + concurrency as usize, "{:?}", world.steps());
        }
        let turned_away: Vec<u32> = (0..9).map(|number| shelf.job(&id_of(number)).unwrap().turned_away).collect();
        assert_eq!(turned_away, [0; 9], "nobody is to blame");
        world.heal();
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &sizes, &"logged in");
    }
}

#[test]
fn jobs_that_are_always_turned_away_keep_none_from_being_tried() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    let sizes = [50; 8];
    enqueue(&world, &outbox, &sizes);
    // The oldest, more of them than stop a drain.
    block(&world, &[0, 1, 2, 3]);
    for _ in 0..40 {
        world.set_clock(now(&world) + 30_000);
        drain(&world, &outbox).unwrap();
    }
    assert_eq!(world.rows.borrow().len(), 4, "the others arrive");
    assert_arrived(&world, (4..8).map(|number| (number, 50)), &"behind four");
    // What comes later has them held against them, one round each.
    for number in 8..14 {
        world.run(outbox.enqueue(request(number, 50))).unwrap();
        world.set_clock(now(&world) + 30_000);
        assert_eq!(drain(&world, &outbox).unwrap().done, 1);
    }
    assert!((0..4).any(|number| shelf.job(&id_of(number)).unwrap().state == State::Failed));
}
