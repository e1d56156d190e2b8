//! Jobs that are discarded and enqueued anew under the same id and path, with another image and another prompt.

use super::relay::{RELAY, png};
use super::*;

const SMALL: usize = 50;
const IN_PIECES: usize = 350;

fn image(setup: &Setup, number: usize, size: usize) -> SyncRequest<Image> {
    if setup.target == Target::Worker { png(number, size) } else { request(number, size) }
}

/// As its user would have it instead.
fn other(setup: &Setup, size: usize) -> SyncRequest<Image> {
    let mut other = image(setup, 0, size);
    other.meta.prompt = "another picture".to_owned();
    let mut bytes = other.image.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    other.image = Rc::new(bytes);
    other
}

#[test]
fn what_is_enqueued_anew_while_its_first_job_is_on_its_way_arrives() {
    let mut runs = 0;
    for setup in [&SETUP, &RELAY] {
        for (first, second) in [(SMALL, SMALL), (SMALL, 60), (SMALL, IN_PIECES), (IN_PIECES, IN_PIECES)] {
            // With one lane it waits in the queue at first, as it was when that was read.
            for concurrency in [1, 2] {
                for moment in 0..60 {
                    let (world, shelf) = world();
                    world.latency_ms.set(10);
                    shelf.latency_ms.set(3);
                    let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..*setup };
                    let (outbox, other_tab) = (setup.open(&world, &shelf).0, setup.open(&world, &shelf).0);
                    world.run(outbox.enqueue(image(&setup, 1, 60))).unwrap();
                    world.run(outbox.enqueue(image(&setup, 0, first))).unwrap();
                    world.moments.set(0);
                    let (has_ended, may_be_there) = (Cell::new(false), Cell::new(false));
                    let anew = async {
                        let is_time = || world.moments.get() >= moment || has_ended.get();
                        poll_fn(|_| if is_time() { Poll::Ready(()) } else { Poll::Pending }).await;
                        shelf.discard(&id_of(0));
                        // What the Worker has, or is given just now, it takes no second time.
                        let is_sent = world.flying.borrow().values().any(|flying| *flying > 0);
                        may_be_there.set(setup.target == Target::Worker && (is_sent || world.rows.borrow().len() == 2));
                        other_tab.enqueue(other(&setup, second)).await.unwrap();
                        // As the tab that drains hears of both.
                        outbox.discarded(&id_of(0));
                        outbox.look_again();
                    };
                    let drained = async {
                        drain_async(&outbox).await.unwrap();
                        has_ended.set(true);
                    };
                    world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(anew)]));
                    drain_to_the_end(&world, &outbox);
                    let context = (setup.target, first, second, concurrency, moment);
                    assert!(shelf.is_empty(), "a job is left: {context:?}");
                    assert_eq!(world.rows_of(&id_of(0)).len(), 1, "{context:?}");
                    assert_eq!(world.rows_of(&id_of(1)).len(), 1, "{context:?}");
                    runs += 1;
                    if may_be_there.get() {
                        continue;
                    }
                    let object = world.objects.borrow()[&path_of(USER, 0)].bytes.clone();
                    assert_eq!(object, other(&setup, second).image, "the image that was enqueued last: {context:?}");
                }
            }
        }
    }
    assert!(runs > 900, "{runs}");
}

#[test]
fn what_is_enqueued_anew_while_its_removal_is_on_its_way_arrives_and_stays() {
    let mut runs = 0;
    for after_ms in (0..120).step_by(3) {
        let (world, shelf) = world();
        let setup = Setup { limits: Limits { concurrency: 3, ..LIMITS }, max_retries: 2, ..SETUP };
        let (outbox, other_tab) = (setup.open(&world, &shelf).0, setup.open(&world, &shelf).0);
        world.run(outbox.enqueue(request(0, SMALL))).unwrap();
        drain_to_the_end(&world, &outbox);
        world.run(outbox.remove(&id_of(0))).unwrap();
        world.latency_ms.set(10);
        shelf.latency_ms.set(3);
        world.plan(Step::RemoveObjects, &[fault("503"); 2]);
        let removal_id = Job::removal_id(&id_of(0));
        let is_there = Cell::new(false);
        let anew = async {
            world.pass(after_ms).await;
            is_there.set(shelf.job(&removal_id).is_some());
            if is_there.get() {
                shelf.discard(&removal_id);
                other_tab.enqueue(other(&setup, 60)).await.unwrap();
                // As the tab that drains hears of both.
                outbox.discarded(&removal_id);
                outbox.look_again();
            }
        };
        let drained = async {
            drain_async(&outbox).await.unwrap();
        };
        world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(anew)]));
        drain_to_the_end(&world, &outbox);
        assert!(shelf.is_empty());
        if is_there.get() {
            assert_eq!(world.rows_of(&id_of(0)).len(), 1, "{after_ms}");
            assert_eq!(world.objects.borrow()[&path_of(USER, 0)].bytes.len(), 60, "{after_ms}");
            runs += 1;
        }
    }
    assert!(runs > 30, "{runs}");
}

#[test]
fn a_wish_about_a_job_that_was_discarded_is_none_about_the_one_in_its_place() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    world.run(outbox.enqueue(request(0, SMALL))).unwrap();
    let before = shelf.job(&id_of(0)).unwrap();
    shelf.discard(&id_of(0));
    world.run(outbox.enqueue(other(&SETUP, 60))).unwrap();
    assert_eq!(world.run(shelf.amend(&before, 0)).unwrap(), Amended::Outdated);
    assert_eq!(world.run(shelf.known(&[before.which()])).unwrap(), [false]);
    assert_eq!(world.run(shelf.image(&before.which())).unwrap(), None);
    assert_eq!(world.run(shelf.commit(&[&before], &[before.which()])).unwrap(), [false, false]);
    drain_to_the_end(&world, &outbox);
    assert_eq!(world.rows_of(&id_of(0))[0]["prompt"], "another picture");
    assert_eq!(world.objects.borrow()[&path_of(USER, 0)].bytes.len(), 60);
}
