//! Objects that are gone before their rows come: somebody has swept them, as uploads that nobody had finished.

use super::*;

const HOUR_MS: i64 = 3_600_000;
const SIZES: [usize; 3] = [50, 450, 80];

/// An outbox whose images are in the bucket, and whose rows are not there yet.
fn uploaded(world: &World, shelf: &Shelf) {
    let outbox = open(world, shelf);
    enqueue(world, &outbox, &SIZES);
    world.plan(Step::InsertMany, &[fault("cut before it arrives")]);
    assert_eq!(drain(world, &outbox).unwrap().waiting, 3);
    assert!((0..3).all(|number| shelf.job(&id_of(number)).unwrap().state == State::Uploaded));
    assert!(world.rows.borrow().is_empty());
    world.sent.borrow_mut().clear();
}

fn sweep(world: &World, number: usize) {
    assert!(world.objects.borrow_mut().remove(&path_of(USER, number)).is_some());
}

#[test]
fn an_object_that_was_swept_is_uploaded_again_before_its_row_is_inserted() {
    let (world, shelf) = world();
    uploaded(&world, &shelf);
    sweep(&world, 0);
    sweep(&world, 1);
    world.set_clock(now(&world) + 72 * HOUR_MS);
    drain_to_the_end(&world, &open(&world, &shelf));
    assert_all_arrived(&world, &shelf, &SIZES, &"three days");
    assert_eq!(steps_of(&world, 0), [Step::Info, Step::Upload]);
    assert_eq!(steps_of(&world, 2), [Step::Info], "what is there is not sent again");
}

#[test]
fn a_kill_at_any_moment_after_a_sweep_leaves_no_row_without_its_object() {
    for moment in 0.. {
        let (world, shelf) = world();
        uploaded(&world, &shelf);
        sweep(&world, 0);
        sweep(&world, 1);
        world.set_clock(now(&world) + 72 * HOUR_MS);
        world.moments.set(0);
        world.kill_at.set(Some(moment));
        if world.run_until_dead(open(&world, &shelf).drain(false, Box::pin(pending()))).is_some() {
            assert!(moment > 20, "{moment} moments");
            break;
        }
        for row in world.rows.borrow().iter() {
            let path = row["storage_path"].as_str().unwrap();
            assert!(world.objects.borrow().contains_key(path), "{path} after {moment}");
        }
        drain_to_the_end(&world, &open(&world, &shelf));
        assert_all_arrived(&world, &shelf, &SIZES, &moment);
    }
}

#[test]
fn within_an_hour_of_its_upload_nobody_is_asked_for_an_object() {
    let (world, shelf) = world();
    uploaded(&world, &shelf);
    world.set_clock(now(&world) + HOUR_MS);
    drain_to_the_end(&world, &open(&world, &shelf));
    assert_all_arrived(&world, &shelf, &SIZES, &"an hour");
    assert_eq!(world.steps(), [Step::InsertMany]);
}

#[test]
fn a_question_without_an_answer_is_asked_again_later() {
    let (world, shelf) = world();
    uploaded(&world, &shelf);
    sweep(&world, 0);
    world.set_clock(now(&world) + 2 * HOUR_MS);
    world.plan(Step::Info, &[fault("cut before it arrives"), fault("empty answer")]);
    let outbox = open(&world, &shelf);
    assert_eq!(drain(&world, &outbox).unwrap().waiting, 2);
    drain_to_the_end(&world, &outbox);
    assert_all_arrived(&world, &shelf, &SIZES, &"two faults");
}

#[test]
fn an_object_that_is_swept_while_its_row_goes_in_is_uploaded_again() {
    // The machine sleeps in the midst of an insert, and of the wait for one.
    for (asleep_ms, is_asked) in [(HOUR_MS / 2, false), (200 * HOUR_MS, true)] {
        for step in [Step::Upload, Step::InsertMany] {
            let (world, shelf) = world();
            let outbox = open(&world, &shelf);
            enqueue(&world, &outbox, &SIZES);
            let sleeper = world.clone();
            world.lie.replace(Some(Rc::new(move |done, response| {
                if done == step && sleeper.objects.borrow().contains_key(&path_of(USER, 2)) {
                    if is_asked {
                        sleeper.objects.borrow_mut().remove(&path_of(USER, 0));
                    }
                    sleeper.set_clock(sleeper.now_ms() + asleep_ms);
                    sleeper.lie.take();
                }
                response
            })));
            assert_eq!(drain(&world, &outbox).unwrap(), Drained { done: 3, ..Drained::default() });
            assert_all_arrived(&world, &shelf, &SIZES, &(asleep_ms, step));
            assert_eq!(world.steps().contains(&Step::Info), is_asked);
        }
    }
}

#[test]
fn what_was_looked_at_before_its_insert_is_not_looked_at_after_it() {
    let (world, shelf) = world();
    uploaded(&world, &shelf);
    world.set_clock(now(&world) + 2 * HOUR_MS);
    drain_to_the_end(&world, &open(&world, &shelf));
    assert_all_arrived(&world, &shelf, &SIZES, &"two hours");
    assert_eq!(world.steps().iter().filter(|step| **step == Step::Info).count(), SIZES.len());
}
