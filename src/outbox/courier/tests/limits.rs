//! What an outbox takes, in which order, and how much at once.

use super::*;

#[test]
fn what_the_worker_or_storage_would_refuse_is_not_kept() {
    let (world, shelf) = world();
    let outbox = open(&world, &shelf);
    let long = |bytes: usize| "x".repeat(bytes);
    for (field, bad) in [
        (
            "slug",
            SyncRequest {
                meta: ImageMeta { slug: Some("Café 夜 100%".to_owned()), ..request(0, 10).meta },
                ..request(0, 10)
            },
        ),
        ("model", SyncRequest { meta: ImageMeta { model: long(256), ..request(0, 10).meta }, ..request(0, 10) }),
        ("prompt", SyncRequest { meta: ImageMeta { prompt: long(65_537), ..request(0, 10).meta }, ..request(0, 10) }),
        (
            "sidecar",
            SyncRequest {
                meta: ImageMeta { sidecar: Some(format!("{{\"a\":\"{}\"}}", long(131_072))), ..request(0, 10).meta },
                ..request(0, 10)
            },
        ),
        (
            "request",
            SyncRequest { meta: ImageMeta { prompt: "\u{1}".repeat(65_536), ..request(0, 10).meta }, ..request(0, 10) },
        ),
    ] {
        let error = world.run(outbox.enqueue(bad)).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some(field)));
    }
    assert!(shelf.jobs.borrow().is_empty());
}

#[test]
fn the_oldest_goes_first_and_only_so_many_at_once() {
    for concurrency in 1..=4 {
        let (world, shelf) = world();
        world.latency_ms.set(10);
        let setup = Setup { limits: Limits { concurrency, ..LIMITS }, ..SETUP };
        let (outbox, _) = setup.open(&world, &shelf);
        enqueue(&world, &outbox, &[50; 8]);
        drain(&world, &outbox).unwrap();
        assert_all_arrived(&world, &shelf, &[50; 8], &concurrency);
        let sent = world.sent.borrow();
        let uploads: Vec<&str> =
            sent.iter().filter(|sent| sent.step == Step::Upload).map(|sent| sent.url.as_str()).collect();
        let wanted: Vec<String> = (0..8).map(|number| format!("/{}", path_of(USER, number))).collect();
        assert!(uploads.iter().zip(&wanted).all(|(url, path)| url.ends_with(path)) && uploads.len() == 8);
        let mut at_once: BTreeMap<i64, u32> = BTreeMap::new();
        for sent in sent.iter() {
            *at_once.entry(sent.at_ms).or_default() += 1;
        }
        assert_eq!(at_once.values().copied().max(), Some(concurrency), "{at_once:?}");
        assert!(world.most_flying.get() <= 1, "one job at a time");
    }
}

#[test]
fn what_the_outbox_cant_take_is_refused_and_said_why() {
    let (world, shelf) = world();
    let limits = Limits { max_jobs: 2, max_bytes: 100, ..LIMITS };
    let (outbox, diary) = Setup { limits, ..SETUP }.open(&world, &shelf);
    enqueue(&world, &outbox, &[60]);
    let same_id = SyncRequest { meta: ImageMeta { seed: 9, ..request(0, 10).meta }, ..request(0, 10) };
    let same_path =
        SyncRequest { meta: ImageMeta { image_id: Some(id_of(9)), ..request(0, 10).meta }, ..request(0, 10) };
    for (request, code, retryable) in
        [(same_id, Code::IdTaken, false), (same_path, Code::PathTaken, false), (request(1, 41), Code::OutboxFull, true)]
    {
        let (wanted_id, wanted_seed) = (request.image_id.clone(), request.seed);
        let error = world.run(outbox.enqueue(request)).unwrap_err();
        assert_eq!((error.stage, error.code, error.retryable), (Stage::Outbox, code, retryable));
        assert_eq!(error.image_id, wanted_id);
        assert_eq!(error.storage_path, Some(path_of(USER, wanted_seed as usize)));
    }
    world.run(outbox.enqueue(request(1, 40))).unwrap();
    assert_eq!(world.run(outbox.enqueue(request(2, 1))).unwrap_err().code, Code::OutboxFull, "two jobs are the most");
    let told = diary.changes.borrow().len();
    assert_eq!(world.run(outbox.enqueue(request(0, 60))).unwrap().image_id, id_of(0), "known: the same success");
    assert_eq!(diary.changes.borrow().len(), told, "and no news");
    assert_eq!(world.run(outbox.enqueue(request(3, 0))).unwrap_err().code, Code::InvalidImage);
    drain_to_the_end(&world, &outbox);
    assert_all_arrived(&world, &shelf, &[60, 40], &"limits");
}
