//! A copy of the database that lags behind: what was just inserted is not seen at once.

use super::*;

const USER: &str = "aaaaaaaa-0000-4000-8000-00000000000a";

fn users(world: &World, max_retries: i32) -> Client<World> {
    world.row_level_security.set(true);
    world.tokens.replace([Ok(format!("{USER}.token"))].into());
    let user = Some(USER.to_owned());
    let max_retries = Some(max_retries);
    client(world, Options { owner_user_id: user.clone(), path_prefix: user, max_retries, ..options() })
}

#[test]
fn an_own_row_that_is_not_seen_yet_is_no_others() {
    for is_users in [false, true] {
        let world = World::new();
        let client = if is_users { users(&world, 2) } else { client(&world, options()) };
        world.plan(IN, &[fault("answer lost")]);
        world.replica.replace(vec![vec![]; 2].into());
        assert_eq!(sync(&world, &client, request()).unwrap().image_id, IMAGE_ID);
        assert_eq!(world.steps(), [UP, IN, IN, BACK, BACK, BACK]);
    }
}

#[test]
fn own_rows_of_many_that_are_not_seen_yet_are_no_others() {
    let world = World::new();
    let client = users(&world, 2);
    world.plan(Step::InsertMany, &[fault("answer lost")]);
    world.replica.replace(vec![vec![]; 2].into());
    let outcomes = world.run(client.sync_many(vec![Ok(request())], 2, &call(None).0));
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(world.rows_of(IMAGE_ID).len(), 1);
}

#[test]
fn a_row_that_stays_unseen_is_anothers_unless_an_attempt_had_no_answer() {
    for (faults, retryable) in [(&["answer lost"][..], true), (&[][..], false)] {
        let world = World::new();
        let client = users(&world, 2);
        sync(&world, &client, request()).unwrap();
        world.plan(IN, &faults.iter().map(|name| fault(name)).collect::<Vec<_>>());
        world.replica.replace(vec![vec![]; 10].into());
        let error = sync(&world, &client, request()).unwrap_err();
        assert_eq!((error.code, error.retryable), (Code::IdTaken, retryable), "{faults:?}");
        world.replica.take();
        assert_eq!(sync(&world, &client, request()).unwrap().image_id, IMAGE_ID, "and it never was another's");
    }
}
