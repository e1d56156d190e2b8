//! The outbox through the Worker.

use super::*;

pub(super) const RELAY: Setup = Setup { target: Target::Worker, ..SETUP };

/// As [`super::request`], but of an image: the Worker takes nothing else.
pub(super) fn png(number: usize, size: usize) -> SyncRequest<Image> {
    SyncRequest { image: Rc::new(png_bytes(number, size)), ..request(number, size) }
}

fn png_bytes(number: usize, size: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06".to_vec();
    bytes.extend(bytes_of(number, size - bytes.len()));
    bytes
}

pub(super) fn enqueue_all(world: &World, outbox: &Outbox, sizes: &[usize]) {
    for (number, size) in sizes.iter().enumerate() {
        let synced = world.run(outbox.enqueue(png(number, *size))).unwrap();
        assert_eq!((synced.storage_path, synced.image_id), (path_of(USER, number), id_of(number)));
    }
}

pub(super) fn assert_there(world: &World, shelf: &Shelf, sizes: &[usize], context: &dyn core::fmt::Debug) {
    assert!(shelf.is_empty(), "a job is left after {context:?}");
    assert_eq!((world.rows.borrow().len(), world.objects.borrow().len()), (sizes.len(), sizes.len()), "{context:?}");
    for (number, size) in sizes.iter().enumerate() {
        assert_eq!(world.rows_of(&id_of(number)).len(), 1, "{number} after {context:?}");
        assert_eq!(*world.objects.borrow()[&path_of(USER, number)].bytes, png_bytes(number, *size), "{context:?}");
    }
    let written = shelf.written.borrow();
    for secret in ["eyJticket", "eyJtoken", &token_of(USER)] {
        assert!(!written.contains(secret), "{secret} is stored after {context:?}");
    }
}

#[test]
fn what_is_enqueued_arrives_small_and_large() {
    let (world, shelf) = world();
    let outbox = RELAY.open(&world, &shelf).0;
    enqueue_all(&world, &outbox, &[50, 450]);
    assert_eq!(drain(&world, &outbox).unwrap(), Drained { done: 2, ..Drained::default() });
    use Step::*;
    assert_eq!(world.steps(), [Hand, Ticket, Create, Piece, Piece, Piece, Piece, Commit]);
    assert_there(&world, &shelf, &[50, 450], &"no fault");
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_sends_little_twice() {
    let sizes = [50, 450];
    let mut runs = 0;
    for ended in [false, true] {
        for moment in 0.. {
            let (world, shelf) = world();
            let outbox = RELAY.open(&world, &shelf).0;
            enqueue_all(&world, &outbox, &sizes);
            world.moments.set(0);
            world.kill_at.set(Some(moment));
            if world.run_until_dead(outbox.drain(false, Box::pin(pending()))).is_some() {
                break;
            }
            if ended {
                // The page comes back when its ticket is long over.
                world.worker.end_ticket(true);
            }
            drain_to_the_end(&world, &RELAY.open(&world, &shelf).0);
            assert_there(&world, &shelf, &sizes, &(ended, moment));
            let most = sizes.iter().sum::<usize>() + CHUNK;
            assert!(world.bytes_sent() <= most, "{} bytes after {moment}: {:?}", world.bytes_sent(), world.steps());
            runs += 1;
        }
    }
    assert!(runs > 40, "{runs}");
}

#[test]
fn a_kill_after_any_fault_at_any_request_loses_nothing() {
    for name in ["cut before it arrives", "answer lost", "502", "504 after it arrived", "captive portal", "429"] {
        for nth in 0..9 {
            for moment in (0..34).step_by(3) {
                let (world, shelf) = world();
                enqueue_all(&world, &RELAY.open(&world, &shelf).0, &[350, 50]);
                world.troubles.replace([(nth, WorldTrouble::Fault(fault(name)))].into());
                world.moments.set(0);
                world.kill_at.set(Some(moment));
                let outbox = RELAY.open(&world, &shelf).0;
                world.run_until_dead(outbox.drain(false, Box::pin(pending())));
                world.kill_at.set(None);
                drain_to_the_end(&world, &RELAY.open(&world, &shelf).0);
                assert_there(&world, &shelf, &[350, 50], &(name, nth, moment));
            }
        }
    }
}

#[test]
fn a_job_goes_through_the_worker_or_not_as_its_page_wants_by_then() {
    let sizes = [50, 450];
    for (first, second) in [(&RELAY, &SETUP), (&SETUP, &RELAY)] {
        for moment in (0..40).step_by(2) {
            let (world, shelf) = world();
            enqueue_all(&world, &first.open(&world, &shelf).0, &sizes);
            world.moments.set(0);
            world.kill_at.set(Some(moment));
            let outbox = first.open(&world, &shelf).0;
            world.run_until_dead(outbox.drain(false, Box::pin(pending())));
            world.kill_at.set(None);
            drain_to_the_end(&world, &second.open(&world, &shelf).0);
            // What the other way had begun may lie where nobody reads.
            world.objects.borrow_mut().retain(|path, _| !path.contains("/.incoming/"));
            assert_there(&world, &shelf, &sizes, &(second.target, moment));
        }
    }
}

#[test]
fn another_users_token_touches_no_job() {
    let (world, shelf) = world();
    let outbox = RELAY.open(&world, &shelf).0;
    enqueue_all(&world, &outbox, &[50, 450]);
    sign_in(&world, OTHER);
    assert_eq!(drain(&world, &outbox).unwrap().stopped, Some(Stop::Token(Code::WrongUser)));
    assert!(world.sent.borrow().is_empty());
    sign_in(&world, USER);
    drain_to_the_end(&world, &outbox);
    assert_there(&world, &shelf, &[50, 450], &"another user");
}
