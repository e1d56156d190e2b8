//! Answers of the Worker.

use imagen_cloud::config::check_url;
use imagen_cloud::error::{Code, Stage};
use imagen_cloud::wire::Landed;
use imagen_cloud::wire::tus::Upload;
use imagen_cloud::wire::worker::{self, Beside};

use super::answer::{check_read, check_refusal};

/// An answer is what it should be, or an error that fits it; a ticket leads every request where it says, and can be sent.
pub fn holds(input: &[u8]) {
    let response = super::response(input);
    let config = super::config();
    let shipment = super::shipment("u/a.png");
    let landed = worker::read_sync(&response);
    assert_eq!(matches!(landed, Ok(Landed::Queued { .. })), landed.is_ok() && response.status == 202);
    let read = [
        (Stage::Upload, landed.map(|landed| format!("{landed:?}"))),
        (Stage::Insert, worker::read_commit(&response).map(|done| done.to_string())),
        (Stage::Sign, worker::read_sign(&response)),
    ];
    for (stage, outcome) in read {
        match outcome {
            // A commit of what is not there yet is refused, and that is no error.
            Ok(text) => assert!(response.is_success() || text == "false"),
            Err(refusal) => check_read(stage, &response, &refusal),
        }
    }
    if let Ok(url) = worker::read_sign(&response) {
        assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}");
    }
    let ticket = match worker::read_ticket(&response) {
        Ok(ticket) => ticket,
        Err(refusal) if response.is_success() => {
            assert_eq!((refusal.error.code, refusal.error.retryable), (Code::BadResponse, true));
            assert!(!refusal.error.message.contains(super::SIGNATURE));
            return;
        }
        Err(refusal) => return check_refusal(Stage::Upload, &response, &refusal),
    };
    assert!(response.is_success());
    assert_eq!(check_url(&ticket.resumable_url), Ok(()));
    let storage = super::Config { url: ticket.resumable_url.clone(), ..super::config() };
    let upload = Upload::new(10, 4, None, true);
    let created = upload.next(&config, Some(&ticket), &shipment, Beside::default(), |piece| piece);
    super::check_request(&created, &storage, "");
    let commit = worker::commit(&config, &ticket, &shipment, Beside::default(), 10);
    super::check_request(&commit, &config, "/api/tickets/");
}
