//! Whatever the weather: never two rows for one id, never a row or an object acknowledged that is not there.

use proptest::prelude::*;

use super::fault::weather;
use super::*;
use crate::image::row::ImageMeta;

/// One call of a random run.
#[derive(Clone, Debug)]
struct Try {
    /// Which of a few images: its id, its path and its bytes.
    image: u8,
    /// Which of a few ids where the image's own is not used.
    stolen_id: Option<u8>,
    deadline_ms: Option<u32>,
}

fn id_of(image: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{image:02x}")
}

fn path_of(image: u8) -> String {
    format!("{OWNER}/2026-05-11/lighthouse-{image}.png")
}

fn bytes_of(image: u8) -> Vec<u8> {
    [PNG, &[image]].concat()
}

fn a_try() -> impl Strategy<Value = Try> {
    let deadline = prop_oneof![3 => Just(None), 1 => (1u32..20_000).prop_map(Some)];
    let stolen = prop_oneof![5 => Just(None), 1 => (0u8..3).prop_map(Some)];
    (0u8..3, stolen, deadline).prop_map(|(image, stolen_id, deadline_ms)| Try { image, stolen_id, deadline_ms })
}

/// For every request in turn: nothing, or one of the faults.
fn bad_weather() -> impl Strategy<Value = Vec<Option<usize>>> {
    proptest::collection::vec(proptest::option::weighted(0.6, 0..weather().len()), 0..30)
}

fn check(tries: &[Try], faults: &[Option<usize>], max_retries: i32, row_level_security: bool) {
    let world = World::new();
    world.latency_ms.set(20);
    world.row_level_security.set(row_level_security);
    let token = format!("{OWNER}.token");
    give_tokens(&world, &[&token]);
    let kinds = weather();
    world.weather.replace(faults.iter().map(|fault| fault.map(|index| kinds[index])).collect());
    let client =
        client(&world, Options { max_retries: Some(max_retries), path_prefix: Some(OWNER.to_owned()), ..options() });
    for Try { image: number, stolen_id, deadline_ms } in tries {
        let image_id = id_of(stolen_id.unwrap_or(*number));
        let request = SyncRequest {
            meta: ImageMeta { seed: (*number).into(), image_id: Some(image_id.clone()), ..request().meta },
            image: image(&bytes_of(*number)),
        };
        let sent = world.sent.borrow().len();
        match sync_within(&world, &client, request, *deadline_ms).0 {
            Ok(synced) => {
                assert_eq!(
                    synced,
                    Synced {
                        storage_path: path_of(*number),
                        image_id: image_id.clone(),
                        queued: false,
                        signed_url: None
                    }
                );
                assert_delivered(&world, &image_id, &path_of(*number), &bytes_of(*number), &tries);
            }
            Err(error) => {
                assert_no_secret(&error, &[KEY, &token]);
                assert_eq!(error.image_id.as_deref(), Some(image_id.as_str()));
                if error.code == Code::IdTaken {
                    let rows = world.rows_of(&image_id);
                    assert!(rows.len() == 1 && rows[0]["storage_path"] != path_of(*number), "{error:?}");
                }
            }
        }
        let sent = world.sent.borrow().len() - sent;
        assert!(sent <= 3 * (max_retries as usize + 2), "{sent} requests");
        for id in (0..3).map(id_of) {
            assert!(world.rows_of(&id).len() <= 1, "two rows of {id}");
        }
    }
    for row in world.rows.borrow().iter() {
        let path = row["storage_path"].as_str().unwrap();
        assert!(world.objects.borrow().contains_key(path), "a row without its object: {path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_faults_never_make_two_rows_and_never_acknowledge_a_missing_one(
        tries in proptest::collection::vec(a_try(), 1..8),
        faults in bad_weather(),
        max_retries in 0..5i32,
        row_level_security: bool,
    ) {
        check(&tries, &faults, max_retries, row_level_security);
    }
}
