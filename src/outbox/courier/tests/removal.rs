//! Images that are removed by the outbox: before, while and after they arrive, and killed at every moment.

use super::relay::{RELAY, png};
use super::*;

/// What of the image was done when its user removed it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Had {
    Nothing,
    /// A part of an upload in pieces.
    Pieces,
    Object,
    Row,
    /// The Worker has it, and Supabase not.
    Staged,
}

/// Of each kind one: lost and kept, by the line, a gateway or the service, for now and for good.
const FAULTS: [&str; 7] = [
    "cut before it arrives",
    "answer lost",
    "504 after it arrived",
    "captive portal",
    "429",
    "403 of a firewall",
    "413",
];

const DIRECT: [Had; 4] = [Had::Nothing, Had::Pieces, Had::Object, Had::Row];
const RELAYED: [Had; 4] = [Had::Nothing, Had::Pieces, Had::Staged, Had::Row];
const WAYS: [(&Setup, [Had; 4]); 2] = [(&SETUP, DIRECT), (&RELAY, RELAYED)];

fn image(setup: &Setup, number: usize, size: usize) -> SyncRequest<Image> {
    if setup.target == Target::Worker { png(number, size) } else { request(number, size) }
}

/// An outbox whose image 0 has come so far, and whose image 1 waits.
fn begun(setup: &Setup, had: Had) -> (World, Shelf) {
    let (world, shelf) = world();
    let outbox = setup.open(&world, &shelf).0;
    let size = if had == Had::Pieces { 450 } else { 50 };
    world.run(outbox.enqueue(image(setup, 0, size))).unwrap();
    match had {
        Had::Nothing => {}
        Had::Pieces => {
            let nth = if setup.target == Target::Worker { 3 } else { 2 };
            world.troubles.replace([(nth, WorldTrouble::Fault(fault("cut before it arrives")))].into());
            assert_eq!(drain(&world, &outbox).unwrap().waiting, 1);
        }
        Had::Object => {
            world.plan(Step::InsertMany, &[fault("502")]);
            assert_eq!(drain(&world, &outbox).unwrap().waiting, 1);
        }
        Had::Row => assert_eq!(drain(&world, &outbox).unwrap().done, 1),
        Had::Staged => {
            world.worker.is_cut_off.set(true);
            assert_eq!(drain(&world, &outbox).unwrap().waiting, 1);
            world.worker.is_cut_off.set(false);
        }
    }
    world.heal();
    world.run(outbox.enqueue(image(setup, 1, 60))).unwrap();
    (world, shelf)
}

fn assert_removed(world: &World, shelf: &Shelf, context: &dyn core::fmt::Debug) {
    assert!(shelf.is_empty(), "a job is left after {context:?}");
    assert!(world.rows_of(&id_of(0)).is_empty(), "its row is there after {context:?}");
    assert_eq!(world.objects.borrow().keys().collect::<Vec<_>>(), [&path_of(USER, 1)], "after {context:?}");
    assert_eq!(world.rows_of(&id_of(1)).len(), 1, "the other one's row after {context:?}");
    assert!(world.worker.staged.borrow().is_empty(), "after {context:?}");
}

#[test]
fn an_image_is_removed_wherever_it_is_and_nothing_of_it_stays_here_till_then() {
    for (setup, states) in WAYS {
        for had in states {
            let (world, shelf) = begun(setup, had);
            world.sent.borrow_mut().clear();
            let (outbox, diary) = setup.open(&world, &shelf);
            world.run(outbox.remove(&id_of(0).to_uppercase())).unwrap();
            assert!(world.sent.borrow().is_empty(), "nothing is sent before a drain");
            assert!(shelf.job(&id_of(0)).is_none() && !shelf.images.borrow().contains_key(&id_of(0)), "{had:?}");
            let removal = shelf.job(&Job::removal_id(&id_of(0))).unwrap();
            assert_eq!((removal.state, removal.removes, removal.size), (State::Queued, Some(id_of(0)), 0));
            drain_to_the_end(&world, &setup.open(&world, &shelf).0);
            assert_removed(&world, &shelf, &had);
            assert!(!world.steps().iter().any(|step| matches!(step, Step::Piece | Step::Insert)), "{had:?}");
            let told = diary.changes.borrow().iter().map(|(id, state)| format!("{id} {state}")).collect::<Vec<_>>();
            let id = id_of(0);
            let discarded = (had != Had::Row).then(|| format!("{id} discarded"));
            assert_eq!(told, discarded.into_iter().chain([format!("remove-{id} queued")]).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_removal_that_a_full_store_has_no_room_for_forgets_the_image_and_may_be_asked_for_again() {
    for (setup, states) in WAYS {
        let (world, shelf) = begun(setup, states[2]);
        let (outbox, diary) = setup.open(&world, &shelf);
        shelf.is_full.set(true);
        assert_eq!(world.run(outbox.remove(&id_of(0))).unwrap_err().code, Code::QuotaExceeded);
        assert!(shelf.job(&id_of(0)).is_none() && !shelf.images.borrow().contains_key(&id_of(0)));
        assert_eq!(*diary.changes.borrow(), [(id_of(0), "discarded".to_owned())]);
        shelf.is_full.set(false);
        world.run(outbox.remove(&id_of(0))).unwrap();
        assert!(shelf.job(&Job::removal_id(&id_of(0))).is_some());
    }
}

#[test]
fn a_kill_at_any_moment_of_a_removal_leaves_nothing_of_the_image() {
    let mut runs = 0;
    for (setup, states) in WAYS {
        for had in states {
            for moment in 0.. {
                let (world, shelf) = begun(setup, had);
                world.moments.set(0);
                world.kill_at.set(Some(moment));
                let outbox = setup.open(&world, &shelf).0;
                let work = async {
                    outbox.remove(&id_of(0)).await.unwrap();
                    drain_async(&outbox).await.unwrap();
                };
                if world.run_until_dead(work).is_some() {
                    break;
                }
                let outbox = setup.open(&world, &shelf).0;
                // Whether it was taken is not known where that was not answered.
                if moment < 4 {
                    world.run(outbox.remove(&id_of(0))).unwrap();
                }
                drain_to_the_end(&world, &outbox);
                assert_removed(&world, &shelf, &(setup.target, had, moment));
                runs += 1;
            }
        }
    }
    assert!(runs > 150, "{runs}");
}

#[test]
fn any_fault_at_any_request_of_a_removal_is_outlived() {
    let mut runs = 0;
    for (setup, states) in WAYS {
        for had in states {
            for name in FAULTS {
                for nth in 0..10 {
                    let (world, shelf) = begun(setup, had);
                    world.sent.borrow_mut().clear();
                    let outbox = setup.open(&world, &shelf).0;
                    world.run(outbox.remove(&id_of(0))).unwrap();
                    world.troubles.replace([(nth, WorldTrouble::Fault(fault(name)))].into());
                    drain(&world, &outbox).unwrap();
                    world.heal();
                    let failed: Vec<String> = shelf.jobs.borrow().iter().map(|job| job.id.clone()).collect();
                    for id in failed.iter().filter(|id| shelf.job(id).unwrap().state == State::Failed) {
                        world.run(outbox.retry(id)).unwrap();
                    }
                    drain_to_the_end(&world, &outbox);
                    assert_removed(&world, &shelf, &(setup.target, had, name, nth));
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 500, "{runs}");
}

#[test]
fn an_image_that_is_removed_while_it_is_on_its_way_is_gone_when_that_has_ended() {
    for (setup, size) in [(&SETUP, 50), (&SETUP, 350), (&RELAY, 50), (&RELAY, 350)] {
        for latency in [0, 10] {
            for moment in 0..40 {
                let (world, shelf) = world();
                world.latency_ms.set(latency);
                let limits = Limits { concurrency: 2, ..LIMITS };
                let setup = Setup { limits, ..*setup };
                let (outbox, other_tab) = (setup.open(&world, &shelf).0, setup.open(&world, &shelf).0);
                world.run(outbox.enqueue(image(&setup, 0, size))).unwrap();
                world.run(outbox.enqueue(image(&setup, 1, 60))).unwrap();
                world.moments.set(0);
                let has_ended = Cell::new(false);
                let remove = async {
                    let is_time = || world.moments.get() >= moment || has_ended.get();
                    poll_fn(|_| if is_time() { Poll::Ready(()) } else { Poll::Pending }).await;
                    other_tab.remove(&id_of(0)).await.unwrap();
                    // As the tab that drains hears it.
                    outbox.discarded(&id_of(0));
                    outbox.look_again();
                };
                let drained = async {
                    drain_async(&outbox).await.unwrap();
                    has_ended.set(true);
                };
                world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(remove)]));
                drain_to_the_end(&world, &outbox);
                assert_removed(&world, &shelf, &(setup.target, size, latency, moment));
                assert!(world.most_flying.get() <= 1, "{latency} {moment}");
            }
        }
    }
}

#[test]
fn an_image_that_is_removed_while_the_server_is_still_storing_it_is_gone_too() {
    for (setup, size) in [(&SETUP, 50), (&SETUP, 350), (&RELAY, 50)] {
        for after_ms in (0..700).step_by(7) {
            let (world, shelf) = world();
            world.latency_ms.set(10);
            let (outbox, other_tab) = (setup.open(&world, &shelf).0, setup.open(&world, &shelf).0);
            world.run(outbox.enqueue(image(setup, 1, 60))).unwrap();
            drain_to_the_end(&world, &outbox);
            world.slow_ms.set(500);
            world.run(outbox.enqueue(image(setup, 0, size))).unwrap();
            let remove = async {
                world.pass(after_ms).await;
                world.slow_ms.set(0);
                other_tab.remove(&id_of(0)).await.unwrap();
                outbox.discarded(&id_of(0));
                outbox.look_again();
            };
            let drained = async {
                drain_async(&outbox).await.unwrap();
            };
            world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(remove)]));
            drain_to_the_end(&world, &outbox);
            world.run(world.pass(1000));
            assert_removed(&world, &shelf, &(setup.target, size, after_ms));
        }
    }
}

#[test]
fn no_image_goes_to_the_path_of_a_removal_before_that_is_done() {
    let (world, shelf) = begun(&SETUP, Had::Object);
    let outbox = open(&world, &shelf);
    world.run(outbox.remove(&id_of(0))).unwrap();
    let mut other = request(0, 70);
    other.meta.image_id = Some(id_of(9));
    assert_eq!(world.run(outbox.enqueue(other.clone())).unwrap_err().code, Code::PathTaken);
    let again = world.run(outbox.enqueue(request(0, 50))).unwrap_err();
    assert_eq!(again.code, Code::IdTaken, "it would be removed as soon as it came");
    drain_to_the_end(&world, &outbox);
    assert_removed(&world, &shelf, &"a path that was held");
    world.run(outbox.enqueue(other)).unwrap();
    drain_to_the_end(&world, &outbox);
    assert_eq!(world.rows_of(&id_of(9)).len(), 1);
}

#[test]
fn a_removal_waits_for_another_image_that_is_on_its_way_to_the_same_path() {
    for (setup, concurrency) in [(&SETUP, 1), (&SETUP, 3), (&RELAY, 1), (&RELAY, 3)] {
        for latency in [0, 10] {
            let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..*setup };
            let (world, shelf) = begun(&setup, Had::Row);
            world.latency_ms.set(latency);
            let outbox = setup.open(&world, &shelf).0;
            // Nobody here knows where the image is that has arrived.
            world.run(outbox.remove(&id_of(0))).unwrap();
            let mut other = image(&setup, 0, 70);
            other.meta.image_id = Some(id_of(9));
            world.run(outbox.enqueue(other)).unwrap();
            drain_to_the_end(&world, &outbox);
            assert!(shelf.is_empty());
            assert!(world.rows_of(&id_of(0)).is_empty());
            assert_eq!(world.rows_of(&id_of(9))[0]["storage_path"], path_of(USER, 0));
            assert_eq!(world.objects.borrow()[&path_of(USER, 0)].bytes.len(), 70, "what is there stays");
        }
    }
}

#[test]
fn a_removal_that_is_refused_is_kept_and_tried_again_on_wish() {
    let (world, shelf) = begun(&SETUP, Had::Row);
    let outbox = open(&world, &shelf);
    world.run(outbox.remove(&id_of(0))).unwrap();
    world.plan(Step::RemoveRows, &[fault("42501")]);
    assert_eq!(drain(&world, &outbox).unwrap(), Drained { done: 1, failed: 1, ..Drained::default() });
    let removal = shelf.job(&Job::removal_id(&id_of(0))).unwrap();
    assert_eq!((removal.state, removal.storage_path), (State::Failed, path_of(USER, 0)));
    assert!(removal.error.unwrap().contains("forbidden"));
    world.run(outbox.remove(&id_of(0))).unwrap();
    assert_eq!(shelf.jobs.borrow().len(), 1, "the same one");
    drain_to_the_end(&world, &outbox);
    assert_removed(&world, &shelf, &"a refusal");
    let error = world.run(outbox.remove("x")).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some("imageId")));
}

#[test]
fn a_removal_that_is_discarded_before_it_has_begun_removes_nothing() {
    for (setup, had) in [(&SETUP, Had::Row), (&SETUP, Had::Object), (&RELAY, Had::Row)] {
        // While another image is on its way before it, and while it is asked where its own is.
        for after_ms in [5, 15] {
            let (world, shelf) = begun(setup, had);
            let (outbox, other_tab) = (setup.open(&world, &shelf).0, setup.open(&world, &shelf).0);
            world.run(outbox.remove(&id_of(0))).unwrap();
            let objects = world.objects.borrow().len();
            world.latency_ms.set(10);
            let removal_id = Job::removal_id(&id_of(0));
            let discard = async {
                world.pass(after_ms).await;
                shelf.discard(&removal_id);
                outbox.discarded(&removal_id);
                other_tab.look_again();
            };
            let drained = async {
                assert_eq!(drain_async(&outbox).await.unwrap().done, 1, "the other one, and no removal");
            };
            world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(discard)]));
            assert!(shelf.is_empty());
            let context = (setup.target, had, after_ms);
            assert_eq!(world.rows_of(&id_of(0)).len(), usize::from(had == Had::Row), "{context:?}");
            assert!(world.objects.borrow().contains_key(&path_of(USER, 0)), "{context:?}");
            assert_eq!(world.objects.borrow().len(), objects + 1, "{context:?}");
        }
    }
}

#[test]
fn a_removal_that_is_asked_for_again_while_it_ends_is_no_error() {
    for after_ms in 0..120 {
        let (world, shelf) = begun(&SETUP, Had::Row);
        let (outbox, other_tab) = (open(&world, &shelf), open(&world, &shelf));
        world.run(outbox.remove(&id_of(0))).unwrap();
        world.latency_ms.set(10);
        shelf.latency_ms.set(7);
        let again = async {
            world.pass(after_ms).await;
            other_tab.remove(&id_of(0)).await.unwrap();
        };
        let drained = async {
            drain_async(&outbox).await.unwrap();
        };
        world.run(all_of(vec![Box::pin(drained) as Racer<'_, ()>, Box::pin(again)]));
        drain_to_the_end(&world, &outbox);
        assert_removed(&world, &shelf, &after_ms);
    }
}

#[test]
fn what_was_put_right_is_removed_from_each_place_where_it_may_be() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    let mut refused = request(0, 50);
    refused.meta.prompt = "refused-row".to_owned();
    world.run(outbox.enqueue(refused.clone())).unwrap();
    world.run(outbox.enqueue(request(1, 60))).unwrap();
    assert_eq!(drain(&world, &outbox).unwrap(), Drained { done: 1, failed: 1, ..Drained::default() });
    refused.meta.slug = Some("other".to_owned());
    world.run(outbox.mend(refused)).unwrap();
    // Nor does another image go to where it was to go before, whose object is removed in the end.
    let mut other = request(0, 70);
    other.meta.image_id = Some(id_of(9));
    assert_eq!(world.run(outbox.enqueue(other)).unwrap_err().code, Code::PathTaken);
    assert_eq!(drain(&world, &outbox).unwrap().failed, 1);
    assert_eq!(world.objects.borrow().len(), 3);
    world.run(outbox.remove(&id_of(0))).unwrap();
    drain_to_the_end(&world, &outbox);
    assert_removed(&world, &shelf, &"a repair");
}
