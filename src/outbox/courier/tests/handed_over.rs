//! Jobs that the Worker has taken while Supabase was away: it is asked what became of them, and given none of them twice.

use super::relay::{RELAY, assert_there, enqueue_all, png};
use super::*;
use crate::sync::client::tests::fault::faults_at;

const SIZE: usize = 50;

/// An outbox whose only image the Worker has taken, and the requests since.
fn handed_over(world: &World, shelf: &Shelf) -> (Outbox, Rc<Diary>) {
    let (outbox, diary) = RELAY.open(world, shelf);
    world.worker.is_cut_off.set(true);
    enqueue_all(world, &outbox, &[SIZE]);
    assert_eq!(drain(world, &outbox).unwrap().waiting, 1);
    assert_eq!(shelf.job(&id_of(0)).unwrap().state, State::HandedOver);
    world.worker.is_cut_off.set(false);
    world.sent.borrow_mut().clear();
    diary.changes.borrow_mut().clear();
    (outbox, diary)
}

fn force(world: &World, outbox: &Outbox) -> Drained {
    world.run(outbox.drain(true, Box::pin(pending()))).unwrap()
}

fn told(diary: &Diary) -> Vec<String> {
    diary.changes.borrow().iter().map(|(_, state)| state.clone()).collect()
}

#[test]
fn a_handed_over_image_is_asked_for_less_and_less_often_and_sent_no_second_time() {
    let (world, shelf) = world();
    let (outbox, diary) = RELAY.open(&world, &shelf);
    world.worker.is_cut_off.set(true);
    enqueue_all(&world, &outbox, &[SIZE]);
    // 15 s, 30 s, … of the Worker's 15 min at most, with jitter in the middle; by its policy of 1 s to 30 s.
    for wait_s in [15, 30, 60, 120, 240, 480, 900, 900] {
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!((drained.done, drained.failed, drained.waiting), (0, 0, 1));
        assert_eq!(shelf.job(&id_of(0)).unwrap().state, State::HandedOver);
        assert_eq!(shelf.images.borrow().len(), 1);
        let due = drained.next_due_ms.unwrap();
        assert_eq!(due, now(&world) + 750 * wait_s);
        let before = world.sent.borrow().len();
        drain(&world, &outbox).unwrap();
        assert_eq!(world.sent.borrow().len(), before, "not before it is due");
        world.set_clock(due);
    }
    world.deliver_staged(USER);
    assert_eq!(drain(&world, &outbox).unwrap(), Drained { done: 1, ..Drained::default() });
    assert_there(&world, &shelf, &[SIZE], &"an outage");
    assert_eq!(world.bytes_sent(), SIZE, "once");
    let mut told = told(&diary);
    told.dedup();
    assert_eq!(told, ["queued", "uploading", "handed-over", "done"]);
}

#[test]
fn an_image_that_the_worker_could_not_bring_fails_with_its_code_and_may_be_tried_again() {
    for (said, code) in [
        ("invalid_image", "invalid_image"),
        ("too_large", "too_large"),
        ("id_taken", "id_taken"),
        ("upstream_refused", "rejected"),
    ] {
        let (world, shelf) = world();
        let (outbox, _) = handed_over(&world, &shelf);
        world.worker.staged.take();
        world.worker.refused.borrow_mut().insert(id_of(0), said);
        assert_eq!(force(&world, &outbox).failed, 1, "{said}");
        assert_eq!(world.steps(), [Step::Standing]);
        let job = shelf.job(&id_of(0)).unwrap();
        let error = job.error.unwrap();
        assert!(error.contains(&format!(r#""code":"{code}""#)) && error.contains(said), "{error}");
        assert_eq!((job.state, shelf.images.borrow().len()), (State::Failed, 1), "its user may try again");
        world.run(outbox.retry(&id_of(0))).unwrap();
        assert_eq!(force(&world, &outbox).done, 1);
        assert_there(&world, &shelf, &[SIZE], &said);
    }
}

#[test]
fn an_image_that_was_removed_ends_its_job_and_is_not_sent_again() {
    let (world, shelf) = world();
    let (outbox, diary) = handed_over(&world, &shelf);
    world.worker.staged.take();
    world.worker.removed.borrow_mut().insert(id_of(0));
    assert_eq!(force(&world, &outbox), Drained::default());
    assert_eq!((world.steps(), told(&diary)), (vec![Step::Standing], vec!["discarded".to_owned()]));
    assert!(shelf.is_empty() && world.objects.borrow().is_empty());
    // One that was not handed over hears of it when it is sent.
    enqueue_all(&world, &outbox, &[SIZE]);
    assert_eq!(force(&world, &outbox), Drained::default());
    assert!(shelf.is_empty() && world.objects.borrow().is_empty() && world.rows.borrow().is_empty());
}

#[test]
fn only_an_image_that_the_worker_does_not_know_is_sent_again() {
    let (world, shelf) = world();
    let (outbox, diary) = handed_over(&world, &shelf);
    world.worker.staged.take();
    assert_eq!(force(&world, &outbox).done, 1);
    assert_eq!(world.steps(), [Step::Standing, Step::Hand]);
    assert_eq!(told(&diary), ["uploading", "done"]);
    assert_there(&world, &shelf, &[SIZE], &"a Worker that has lost it");
}

#[test]
fn another_image_under_its_id_does_not_count_as_its_arrival() {
    let (world, shelf) = world();
    let (outbox, _) = handed_over(&world, &shelf);
    let other = serde_json::json!({ "id": id_of(0), "owner_user_id": USER, "storage_path": path_of(USER, 7) });
    world.rows.borrow_mut().push(other);
    assert_eq!(force(&world, &outbox).failed, 1);
    assert!(shelf.job(&id_of(0)).unwrap().error.unwrap().contains("id_taken"));
    assert_eq!(shelf.images.borrow().len(), 1);
    // In the folder that the Worker has for the user it is the same one.
    let (world, shelf) = super::world();
    let (outbox, _) = handed_over(&world, &shelf);
    let path = format!("elsewhere/of/old/{}", path_of(USER, 0).split_once('/').unwrap().1);
    let mut job = shelf.job(&id_of(0)).unwrap();
    job.storage_path = path;
    shelf.put(&job);
    world.deliver_staged(USER);
    assert_eq!(force(&world, &outbox).done, 1);
    assert_there(&world, &shelf, &[SIZE], &"another folder");
}

#[test]
fn any_fault_of_the_question_loses_nothing_and_sends_nothing_twice() {
    for fault in faults_at(Step::Standing) {
        let (world, shelf) = world();
        let (outbox, _) = handed_over(&world, &shelf);
        world.plan(Step::Standing, &[fault]);
        let drained = force(&world, &outbox);
        assert_eq!((drained.done, drained.failed + drained.waiting), (0, 1), "{fault:?}");
        assert_eq!((shelf.images.borrow().len(), world.bytes_sent()), (1, 0), "{fault:?}");
        let is_final = drained.failed == 1;
        assert_eq!(shelf.job(&id_of(0)).unwrap().state, if is_final { State::Failed } else { State::HandedOver });
        world.deliver_staged(USER);
        if is_final {
            world.run(outbox.retry(&id_of(0))).unwrap();
        }
        drain_to_the_end(&world, &outbox);
        assert_there(&world, &shelf, &[SIZE], &fault);
        assert!(is_final || world.bytes_sent() == 0, "{fault:?}");
    }
}

/// What may have become of an image that was handed over.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Waits,
    Delivered,
    Lost,
}

#[test]
fn a_kill_after_any_fault_brings_each_image_that_was_handed_over_once() {
    let sizes = [SIZE, 60];
    let mut runs = 0;
    for fate in [Fate::Waits, Fate::Delivered, Fate::Lost] {
        for name in ["cut before it arrives", "answer lost", "504 after it arrived", "captive portal", "429", "413"] {
            for nth in 0..3 {
                for moment in (0..16).step_by(2) {
                    let (world, shelf) = world();
                    let (outbox, _) = RELAY.open(&world, &shelf);
                    world.worker.is_cut_off.set(true);
                    enqueue_all(&world, &outbox, &sizes);
                    drain(&world, &outbox).unwrap();
                    match fate {
                        Fate::Waits => {}
                        Fate::Delivered => world.deliver_staged(USER),
                        Fate::Lost => drop(world.worker.staged.take()),
                    }
                    world.worker.is_cut_off.set(false);
                    world.sent.borrow_mut().clear();
                    world.troubles.replace([(nth, WorldTrouble::Fault(fault(name)))].into());
                    world.moments.set(0);
                    world.kill_at.set(Some(moment));
                    world.run_until_dead(outbox.drain(true, Box::pin(pending())));
                    world.kill_at.set(None);
                    world.heal();
                    let context = (fate, name, nth, moment);
                    assert_eq!(shelf.jobs.borrow().len(), shelf.images.borrow().len(), "{context:?}");
                    world.deliver_staged(USER);
                    let failed =
                        (0..2).filter(|at| shelf.job(&id_of(*at)).is_some_and(|job| job.state == State::Failed));
                    for at in failed.collect::<Vec<_>>() {
                        world.run(outbox.retry(&id_of(at))).unwrap();
                    }
                    drain_to_the_end(&world, &RELAY.open(&world, &shelf).0);
                    assert_there(&world, &shelf, &sizes, &context);
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 400, "{runs}");
}

#[test]
fn a_job_that_was_put_right_is_done_where_the_worker_had_brought_it_before() {
    let (world, shelf) = world();
    let (outbox, _) = handed_over(&world, &shelf);
    world.plan(Step::Standing, &[fault("413")]);
    assert_eq!(force(&world, &outbox).failed, 1);
    world.deliver_staged(USER);
    let mut request = png(0, SIZE);
    request.meta.slug = Some("other".to_owned());
    world.run(outbox.mend(request)).unwrap();
    assert_eq!(force(&world, &outbox).done, 1);
    assert_there(&world, &shelf, &[SIZE], &"an arrival that nobody knew of");
    assert_eq!(world.bytes_sent(), 0);
}
