//! Answers of Storage and PostgREST, and how long they ask to wait.

use imagen_cloud::error::{Code, Stage};
use imagen_cloud::wire::classify::{self, Refusal, Remedy};
use imagen_cloud::wire::http::Response;
use imagen_cloud::wire::object;
use imagen_cloud::wire::retry::{Attempts, Decision, Policy, retry_after_ms};
use imagen_cloud::wire::rows;

use super::{ID, SIGNATURE, host};

/// An answer is a success only if it is 2xx and says what it should; else it is an error that fits it.
pub fn holds(input: &[u8]) {
    let response = super::response(input);
    for stage in [Stage::Upload, Stage::Insert, Stage::Sign] {
        check_refusal(stage, &response, &classify::of_response(stage, &response));
    }
    let shipment = super::shipment("u/a.png");
    let read: [(Stage, Result<(), Refusal>); 4] = [
        (Stage::Upload, object::read_upload(&response).map(drop)),
        (Stage::Insert, rows::read_insert(&response).map(drop)),
        (Stage::Insert, rows::read_ids(&response).map(drop)),
        (Stage::Insert, rows::read_seen(&[&shipment, &shipment], &response).map(drop)),
    ];
    for (stage, outcome) in read {
        match outcome {
            Ok(_) => assert!(response.is_success() && response.json.is_some()),
            Err(refusal) => check_read(stage, &response, &refusal),
        }
    }
    match rows::read_holder(&shipment, &response) {
        Ok(id) => assert_eq!(id, ID),
        Err(refusal) if response.is_success() && refusal.error.code == Code::IdTaken => {}
        Err(refusal) => check_read(Stage::Insert, &response, &refusal),
    }
    check_wait(&response);
}

/// What the reader of a 2xx says of one that is garbled; or what every reader says of another status.
pub fn check_read(stage: Stage, response: &Response, refusal: &Refusal) {
    if response.is_success() {
        assert_eq!(refusal.error.code, Code::BadResponse, "{response:?}");
    }
    check_refusal(stage, response, refusal);
}

/// An error is short, says what it is of, and holds no secret.
pub fn check_refusal(stage: Stage, response: &Response, refusal: &Refusal) {
    let error = &refusal.error;
    assert_eq!(error.stage, stage);
    assert_eq!(error.status, Some(response.status));
    // A gateway's own word is not tried again within a call.
    assert!(!error.turned_away || (error.retryable && refusal.remedy == Remedy::None), "{response:?}");
    assert_eq!(error.retryable, error.turned_away || refusal.remedy == Remedy::Wait, "{response:?}");
    assert!(error.message.starts_with(stage.label()) || stage == Stage::Sign, "{}", error.message);
    assert!(error.message.len() <= 800, "{} bytes", error.message.len());
    let server_code = error.server_code.as_deref().unwrap_or_default();
    assert!(server_code.len() <= 503);
    for text in [&error.message, server_code] {
        assert!(!text.contains(SIGNATURE), "a token in {text:?}");
    }
}

/// A wait that is asked for is never cut short, and never longer than what is allowed.
fn check_wait(response: &Response) {
    const NOW: i64 = 1_800_000_000_000;
    const POLICY: Policy = Policy { max_retries: 1, initial_backoff_ms: 1000, max_backoff_ms: 30_000 };
    let asked = response.header("retry-after");
    let asked_ms = asked.and_then(|value| retry_after_ms(value, response.header("date"), NOW, host::parse_date));
    let plain_seconds = asked.and_then(|value| value.trim().parse::<u32>().ok());
    if let Some(seconds) = plain_seconds {
        assert_eq!(asked_ms, Some(seconds.saturating_mul(1000)));
    }
    let mut attempts = Attempts::default();
    match POLICY.decide(&mut attempts, Remedy::Wait, asked_ms, false, 0.5) {
        Decision::Wait(ms) => assert!(ms <= POLICY.max_backoff_ms && asked_ms.is_none_or(|asked| asked == ms)),
        Decision::GiveUp(told) => assert!(told == asked_ms && told.is_some_and(|ms| ms > POLICY.max_backoff_ms)),
        Decision::RefreshToken => panic!("there is none"),
    }
}
