//! A store that fails, or is full.

use super::*;

#[test]
fn a_store_that_fails_at_any_call_rejects_the_drain_and_loses_nothing() {
    for concurrency in [1, 3] {
        for after_commit in [false, true] {
            for nth in 0.. {
                let (world, shelf) = world();
                let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
                let (outbox, _) = setup.open(&world, &shelf);
                enqueue(&world, &outbox, &[50, 350, 60]);
                shelf.calls.set(0);
                shelf.fails_at.set(Some((nth, after_commit)));
                let drained = drain(&world, &outbox);
                if shelf.calls.get() <= nth {
                    assert!(nth > 12, "{nth} calls");
                    assert_eq!(drained.unwrap().done, 3);
                    break;
                }
                assert_eq!(drained.unwrap_err().code, Code::StorageUnavailable, "{nth}");
                shelf.fails_at.set(None);
                drain_to_the_end(&world, &outbox);
                assert_all_arrived(&world, &shelf, &[50, 350, 60], &(concurrency, after_commit, nth));
            }
        }
    }
}

#[test]
fn a_store_that_is_full_keeps_no_image_from_arriving() {
    let sizes = [50, 350, 60];
    for concurrency in [1, 3] {
        let (world, shelf) = world();
        let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
        let (outbox, _) = setup.open(&world, &shelf);
        // One was tried before, and that is known.
        world.run(outbox.enqueue(request(0, sizes[0]))).unwrap();
        world.plan(Step::Upload, &[fault("502")]);
        world.set_clock(drain(&world, &outbox).unwrap().next_due_ms.unwrap());
        for (number, size) in sizes.iter().enumerate().skip(1) {
            world.run(outbox.enqueue(request(number, *size))).unwrap();
        }
        shelf.is_full.set(true);
        world.plan(Step::Upload, &[fault("502")]);
        // That a job waits has to be known, or it would be tried without end.
        assert_eq!(drain(&world, &outbox).unwrap_err().code, Code::QuotaExceeded);
        let sent = world.bytes_sent();
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &sizes, &concurrency);
        assert!(world.bytes_sent() - sent <= 460, "{} bytes, once each", world.bytes_sent() - sent);
    }
}

#[test]
fn in_a_store_that_is_full_a_job_that_has_to_wait_keeps_no_other_from_arriving() {
    for concurrency in [1, 3] {
        let (world, shelf) = world();
        let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
        let (outbox, _) = setup.open(&world, &shelf);
        enqueue(&world, &outbox, &[50, 350, 60]);
        shelf.is_full.set(true);
        world.plan(Step::Upload, &[fault("502")]);
        assert_eq!(drain(&world, &outbox).unwrap_err().code, Code::QuotaExceeded);
        assert_eq!(shelf.jobs.borrow().len(), 1, "the others have arrived");
        assert_eq!(world.bytes_sent(), 50 + 350 + 60, "each was sent once");
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &[50, 350, 60], &concurrency);
    }
}

#[test]
fn a_store_that_fails_at_enqueue_is_a_clear_error() {
    for after_commit in [false, true] {
        let (world, shelf) = world();
        let outbox = open(&world, &shelf);
        shelf.fails_at.set(Some((0, after_commit)));
        let error = world.run(outbox.enqueue(request(0, 50))).unwrap_err();
        assert_eq!((error.stage, error.code), (Stage::Outbox, Code::StorageUnavailable));
        enqueue(&world, &outbox, &[50]);
        drain_to_the_end(&world, &outbox);
        assert_all_arrived(&world, &shelf, &[50], &after_commit);
    }
}
