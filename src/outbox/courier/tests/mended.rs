//! Jobs that their user has put right after a refusal.

use super::*;

const SIZE: usize = 50;
const NEW_PATH: &str = "7e5c2b9a-6d1f-4c3e-8b0a-9f2d4e6a8c10/2026-05-11/other-0.png";

fn mended() -> SyncRequest<Image> {
    let mut request = request(0, SIZE);
    request.meta.slug = Some("other".to_owned());
    request
}

/// An outbox whose only image is in the bucket, and whose row was refused.
fn refused(world: &World, shelf: &Shelf) -> Outbox {
    let outbox = open(world, shelf);
    enqueue(world, &outbox, &[SIZE]);
    world.plan(Step::InsertMany, &[fault("23503")]);
    assert_eq!(drain(world, &outbox).unwrap().failed, 1);
    outbox
}

fn objects(world: &World) -> Vec<String> {
    world.objects.borrow().keys().cloned().collect()
}

fn assert_moved(world: &World, shelf: &Shelf, context: &dyn core::fmt::Debug) {
    assert!(shelf.is_empty(), "{context:?}");
    let rows = world.rows.borrow();
    assert_eq!((rows.len(), rows[0]["storage_path"].as_str()), (1, Some(NEW_PATH)), "{context:?}");
    assert_eq!(objects(world), [NEW_PATH], "{context:?}");
}

#[test]
fn a_job_that_was_put_right_goes_to_its_new_path_and_takes_its_old_object_away() {
    let (world, shelf) = world();
    let outbox = refused(&world, &shelf);
    world.run(outbox.mend(mended())).unwrap();
    let job = shelf.job(&id_of(0)).unwrap();
    assert_eq!((job.state, job.uploaded, job.storage_path.as_str()), (State::Queued, false, NEW_PATH));
    assert_eq!(drain(&world, &outbox).unwrap().done, 1);
    assert_moved(&world, &shelf, &"no fault");
}

#[test]
fn a_kill_at_any_moment_of_a_repair_leaves_one_row_and_its_object() {
    for moment in 0.. {
        let (world, shelf) = world();
        let outbox = refused(&world, &shelf);
        world.moments.set(0);
        world.kill_at.set(Some(moment));
        let repair = async {
            outbox.mend(mended()).await.unwrap();
            outbox.drain(false, Box::pin(pending())).await.unwrap();
        };
        if world.run_until_dead(repair).is_some() {
            assert!(moment > 15, "{moment} moments");
            break;
        }
        let outbox = open(&world, &shelf);
        if shelf.job(&id_of(0)).is_some_and(|job| job.state == State::Failed) {
            world.run(outbox.mend(mended())).unwrap();
        }
        drain_to_the_end(&world, &outbox);
        assert_moved(&world, &shelf, &moment);
    }
}

#[test]
fn a_job_whose_row_is_there_after_all_is_done_as_it_was() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[SIZE]);
    world.plan(Step::InsertMany, &[fault("answer lost"), fault("23503")]);
    let due = drain(&world, &outbox).unwrap().next_due_ms.unwrap();
    world.set_clock(due);
    assert_eq!(drain(&world, &outbox).unwrap().failed, 1);
    world.run(outbox.mend(mended())).unwrap();
    assert_eq!(drain(&world, &outbox).unwrap().done, 1);
    assert_all_arrived(&world, &shelf, &[SIZE], &"an insert whose answer was lost");
}

#[test]
fn a_job_whose_row_is_there_and_whose_object_is_gone_brings_the_object_again() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[SIZE]);
    // The machine sleeps before the insert, and by then the object was swept.
    let sleeper = world.clone();
    world.lie.replace(Some(Rc::new(move |step, response| {
        if step == Step::InsertMany {
            sleeper.objects.borrow_mut().clear();
            sleeper.set_clock(sleeper.now_ms() + 200 * 3_600_000);
        }
        response
    })));
    world.plan(Step::Info, &[fault("413")]);
    assert_eq!(drain(&world, &outbox).unwrap().failed, 1);
    world.heal();
    world.run(outbox.mend(mended())).unwrap();
    assert_eq!(drain(&world, &outbox).unwrap().done, 1);
    assert_all_arrived(&world, &shelf, &[SIZE], &"an object that was swept");
}

#[test]
fn an_old_object_whose_removal_fails_is_removed_later() {
    for (name, is_last) in [("503", false), ("answer lost", false), ("storage 403 of a token", false), ("413", true)] {
        for step in [Step::Namers, Step::RemoveObjects] {
            let (world, shelf) = world();
            let outbox = refused(&world, &shelf);
            world.run(outbox.mend(mended())).unwrap();
            let name = if name.starts_with("storage") && step == Step::Namers { "PGRST303" } else { name };
            world.plan(step, &[fault(name); 2]);
            drain(&world, &outbox).unwrap();
            world.heal();
            drain_to_the_end(&world, &outbox);
            if is_last {
                assert_eq!((shelf.is_empty(), objects(&world).len()), (true, 2), "it arrived all the same");
            } else {
                assert_moved(&world, &shelf, &(name, step));
            }
        }
    }
}

#[test]
fn an_old_object_that_another_row_names_stays() {
    let (world, shelf) = world();
    let outbox = refused(&world, &shelf);
    let other = serde_json::json!({ "id": id_of(9), "owner_user_id": USER, "storage_path": path_of(USER, 0) });
    world.rows.borrow_mut().push(other);
    world.run(outbox.mend(mended())).unwrap();
    assert_eq!(drain(&world, &outbox).unwrap().done, 1);
    assert_eq!(objects(&world), [NEW_PATH.to_owned(), path_of(USER, 0)]);
}

#[test]
fn only_a_failed_job_is_put_right_and_to_no_path_of_another() {
    let (world, shelf) = world();
    let outbox = refused(&world, &shelf);
    let mut other = mended();
    other.meta.image_id = Some(id_of(1));
    let fails = |request| world.run(outbox.mend(request)).unwrap_err().code;
    assert_eq!(fails(other.clone()), Code::JobMissing);
    world.run(outbox.enqueue(other.clone())).unwrap();
    assert_eq!(fails(other), Code::InvalidState);
    assert_eq!(fails(mended()), Code::PathTaken);
    assert_eq!(shelf.job(&id_of(0)).unwrap().storage_path, path_of(USER, 0));
}
