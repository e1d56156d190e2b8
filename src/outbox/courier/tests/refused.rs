//! What one image is refused for is no trouble of the others.

use super::*;

#[test]
fn a_final_refusal_holds_nobody_up() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60, 70]);
    world.plan(Step::Upload, &[fault("storage 413")]);
    // Both rows at once, and then the first one alone.
    world.plan(Step::InsertMany, &[fault("23503"), fault("23503")]);
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!(drained, Drained { done: 1, failed: 2, ..Drained::default() });
    let (first, second) = (shelf.job(&id_of(0)).unwrap(), shelf.job(&id_of(1)).unwrap());
    assert_eq!((first.state, first.uploaded), (State::Failed, false));
    assert_eq!((second.state, second.uploaded), (State::Failed, true));
    assert!(first.error.unwrap().contains("too_large"));
    assert_eq!(drain(&world, &outbox).unwrap(), Drained::default(), "failed jobs are their user's affair");
    assert_eq!(world.run(outbox.drain(true, Box::pin(pending()))).unwrap(), Drained::default());
    for number in 0..2 {
        world.run(outbox.retry(&id_of(number))).unwrap();
    }
    assert_eq!(drain(&world, &outbox).unwrap().done, 2);
    assert_all_arrived(&world, &shelf, &[50, 60, 70], &"retried");
    assert_eq!(steps_of(&world, 1), [Step::Upload], "what is uploaded is not uploaded again");
    let error = world.run(outbox.retry(&id_of(0))).unwrap_err();
    assert_eq!((error.stage, error.code), (Stage::Outbox, Code::JobMissing));
}

#[test]
fn an_image_that_is_damaged_or_gone_fails_alone() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60, 70]);
    shelf.images.borrow_mut().remove(&id_of(0));
    shelf.images.borrow_mut().insert(id_of(1), Rc::new(vec![0; 59]));
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!((drained.done, drained.failed), (1, 2));
    assert!(shelf.job(&id_of(0)).unwrap().error.unwrap().contains("job_unreadable"));
    assert_eq!(world.objects.borrow().len(), 1, "nothing of the damaged ones is sent");
}

#[test]
fn a_record_that_cant_be_read_is_left_alone() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[50, 60]);
    for garbage in ["", "{}", "[]", "null", "{\"id\":1}"] {
        shelf.jobs.borrow_mut()[0].text = garbage.to_owned();
        drain(&world, &outbox).unwrap();
        assert_eq!(shelf.jobs.borrow().len(), 1, "{garbage}");
        assert_eq!(shelf.jobs.borrow()[0].text, garbage);
        assert_eq!(shelf.images.borrow().len(), 1, "its image is kept");
    }
}
