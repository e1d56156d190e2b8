//! Whose token is asked, and whose images go by it.

use super::*;

#[test]
fn without_the_users_own_token_nothing_is_sent_and_no_job_is_to_blame() {
    for (tokens, code, most) in [
        (vec![Err("failed".to_owned())], Code::TokenUnavailable, 0),
        (vec![Ok(token_of(OTHER))], Code::WrongUser, 0),
        (vec![Ok("refused.token".to_owned())], Code::Forbidden, 1),
    ] {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 450]);
        world.tokens.replace(tokens.into());
        let drained = drain(&world, &outbox).unwrap();
        assert!(world.sent.borrow().len() <= 2 * most, "{code:?}");
        assert!(world.objects.borrow().is_empty());
        if code != Code::Forbidden {
            let told = (drained.stopped, drained.waiting, drained.failed, drained.done);
            assert_eq!(told, (Some(Stop::Token(code)), 2, 0, 0));
            let first = shelf.job(&id_of(0)).unwrap();
            assert_eq!((first.state, first.attempts, first.not_before_ms), (State::Queued, 0, 0));
            assert_eq!(drained.next_due_ms, Some(now(&world)));
            sign_in(&world, USER);
            assert_eq!(drain(&world, &outbox).unwrap().done, 2);
        }
    }
    // A token that the server refuses, again after it was refreshed.
    for (step, name) in
        [(Step::Upload, "storage 403 of a token"), (Step::InsertMany, "PGRST303"), (Step::Upload, "401")]
    {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 60]);
        world.plan(step, &[fault(name); 2]);
        let drained = drain(&world, &outbox).unwrap();
        assert_eq!((drained.stopped, drained.waiting), (Some(Stop::Token(Code::Unauthorized)), 2), "{name}");
        assert_eq!(drain(&world, &outbox).unwrap().done, 2);
        assert_all_arrived(&world, &shelf, &[50, 60], &name);
    }
}

#[test]
fn a_token_refused_midway_stops_the_drain_and_blames_no_job() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    enqueue(&world, &outbox, &[450, 50]);
    world.plan(Step::Piece, &[fault("storage 403 of a token")]);
    world.plan(Step::Offset, &[fault("storage 403 of a token")]);
    world.plan(Step::Info, &[fault("no bucket")]);
    let drained = drain(&world, &outbox).unwrap();
    assert_eq!((drained.stopped, drained.waiting), (Some(Stop::Token(Code::Unauthorized)), 2));
    let job = shelf.job(&id_of(0)).unwrap();
    assert_eq!((job.state, job.attempts, job.upload_id.is_some()), (State::Queued, 0, true));
    assert_eq!(world.steps(), [Step::Create, Step::Piece, Step::Offset, Step::Info]);
    assert_eq!(drain(&world, &outbox).unwrap().done, 2);
    assert_all_arrived(&world, &shelf, &[450, 50], &"signed in again");
    assert_eq!(world.uploads.borrow().len(), 1, "the upload went on");
}

#[test]
fn two_users_images_never_mix() {
    let (world, mine) = world();
    let theirs = Shelf::new(&world);
    let other = Setup { user: OTHER, ..SETUP };
    enqueue(&world, &open(&world, &mine), &[50, 450]);
    world.run(other.open(&world, &theirs).0.enqueue(request(7, 60))).unwrap();
    // The other user's session: my images wait, whoever asks.
    sign_in(&world, OTHER);
    assert_eq!(drain(&world, &open(&world, &mine)).unwrap().stopped, Some(Stop::Token(Code::WrongUser)));
    assert_eq!(drain(&world, &other.open(&world, &theirs).0).unwrap().done, 1);
    let owners: Vec<String> = world.rows.borrow().iter().map(|row| row["owner_user_id"].to_string()).collect();
    assert_eq!(owners, [format!("\"{OTHER}\"")]);
    // The token changes hands in the middle of a drain: the rest waits.
    world.tokens.replace([Ok(token_of(USER)), Ok(token_of(USER)), Ok(token_of(USER)), Ok(token_of(OTHER))].into());
    let drained = drain(&world, &open(&world, &mine)).unwrap();
    assert_eq!((drained.waiting, drained.stopped), (2, Some(Stop::Token(Code::WrongUser))));
    assert!(mine.job(&id_of(0)).unwrap().uploaded);
    sign_in(&world, USER);
    drain_to_the_end(&world, &open(&world, &mine));
    assert!(mine.is_empty() && theirs.is_empty());
    for row in world.rows.borrow().iter() {
        let owner = row["owner_user_id"].as_str().unwrap();
        assert!(row["storage_path"].as_str().unwrap().starts_with(&format!("{owner}/")));
    }
}
