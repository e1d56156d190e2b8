//! Drains that end in the midst of a step, and words that come in the midst of one.

use super::gateway::block;
use super::*;

const SIZES: [usize; 3] = [50, 450, 80];

/// Whom nothing is kept of any more has been told so.
fn assert_told(diary: &Diary, shelf: &Shelf, drained: &Drained, context: &dyn core::fmt::Debug) {
    let changes = diary.changes.borrow();
    let told = |number: usize, wanted: &str| {
        changes.iter().filter(|(id, state)| *id == id_of(number) && state == wanted).count()
    };
    let gone: Vec<usize> = (0..SIZES.len()).filter(|number| shelf.job(&id_of(*number)).is_none()).collect();
    assert_eq!(drained.done as usize, gone.len(), "{context:?}");
    for number in gone {
        assert_eq!(told(number, "done"), 1, "{number} after {context:?}");
    }
    for number in 0..SIZES.len() {
        let state = shelf.job(&id_of(number)).map(|job| job.state);
        assert!(state != Some(State::Uploaded) || told(number, "uploaded") > 0, "{number} after {context:?}");
        assert!(state != Some(State::Failed) || told(number, "failed") > 0, "{number} after {context:?}");
    }
}

#[test]
fn a_pause_while_a_step_is_stored_keeps_nobody_from_hearing_of_it() {
    for concurrency in [1, 3] {
        for is_refused in [false, true] {
            for after_ms in 0..240 {
                let (world, shelf) = world();
                world.latency_ms.set(10);
                let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
                let (outbox, diary) = setup.open(&world, &shelf);
                enqueue(&world, &outbox, &SIZES);
                if is_refused {
                    world.plan(Step::Upload, &[fault("413")]);
                }
                shelf.latency_ms.set(7);
                let drained = world.run(outbox.drain(false, Box::pin(world.pass(after_ms)))).unwrap();
                let context = (concurrency, is_refused, after_ms);
                assert_told(&diary, &shelf, &drained, &context);
                assert!(world.flying.borrow().values().all(|flying| *flying == 0), "what is on its way is aborted");
                shelf.latency_ms.set(0);
                world.heal();
                world.run(outbox.retry(&id_of(0))).ok();
                drain_to_the_end(&world, &outbox);
                assert_all_arrived(&world, &shelf, &SIZES, &context);
            }
        }
    }
}

#[test]
fn a_job_that_is_told_to_be_tried_again_goes_once_where_the_clock_was_put_back() {
    for concurrency in [1, 2] {
        let (world, shelf) = world();
        world.latency_ms.set(10);
        let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
        let (outbox, diary) = setup.open(&world, &shelf);
        enqueue(&world, &outbox, &[50]);
        world.plan(Step::Upload, &[fault("502")]);
        assert_eq!(drain(&world, &outbox).unwrap().waiting, 1);
        world.set_clock(now(&world) - 86_400_000);
        world.run(outbox.retry(&id_of(0))).unwrap();
        assert_eq!(drain(&world, &outbox).unwrap().done, 1);
        assert_eq!(steps_of(&world, 0), [Step::Upload; 2], "the one that failed, and one more");
        let told = diary.changes.borrow().iter().filter(|(_, state)| state == "done").count();
        assert_eq!((told, world.most_flying.get()), (1, 1));
        assert_all_arrived(&world, &shelf, &[50], &"a clock that was put back");
    }
}

#[test]
fn a_retry_while_a_job_is_judged_is_not_undone() {
    for after_ms in 0..100 {
        let (world, shelf) = world();
        let (outbox, other_tab) = (open(&world, &shelf), open(&world, &shelf));
        enqueue(&world, &outbox, &[50, 60]);
        // Turned away four times where others got through, and once more now.
        let job = Job { turned_away: 4, ..shelf.job(&id_of(0)).unwrap() };
        assert!(shelf.put(&job));
        block(&world, &[0]);
        world.latency_ms.set(10);
        shelf.latency_ms.set(7);
        let is_turned_away = || shelf.job(&id_of(0)).is_some_and(|job| job.is_suspect);
        let retry = async {
            poll_fn(|_| if is_turned_away() { Poll::Ready(()) } else { Poll::Pending }).await;
            world.pass(after_ms).await;
            other_tab.retry(&id_of(0)).await.unwrap();
        };
        let drained = async {
            drain_async(&outbox).await.unwrap();
        };
        world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(retry)]));
        let job = shelf.job(&id_of(0)).unwrap();
        assert_ne!(job.state, State::Failed, "{after_ms}");
    }
}
