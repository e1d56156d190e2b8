//! Resumable uploads: any answers in any order.

use core::ops::Range;

use imagen_cloud::error::Stage;
use imagen_cloud::image::path::is_plain_name;
use imagen_cloud::wire::http::{Method, Payload};
use imagen_cloud::wire::tus::{Outcome, Upload};
use imagen_cloud::wire::worker::{Beside, Ticket};

/// However the server answers, every request goes to its upload, and carries a piece that is there; what is said to be
/// complete is.
pub fn holds(input: &[u8]) {
    let mut steps = input.split(|byte| *byte == super::STEP);
    let [total, chunk, id, by_ticket] = super::fields(steps.next().unwrap_or_default());
    let side = |text: &str, otherwise: u32| u64::from(text.parse::<u32>().unwrap_or(otherwise).max(1));
    let (total, chunk) = (side(&total, 10), side(&chunk, 4));
    let config = super::config();
    let shipment = super::shipment("u/a b.png");
    // What is stored is checked where it is read (`job`).
    let ticket = (!by_ticket.is_empty()).then(ticket);
    let mut upload = Upload::new(total, chunk, Some(id).filter(|id| is_plain_name(id)), ticket.is_some());
    for step in steps.take(100) {
        let request = upload.next(&config, ticket.as_ref(), &shipment, Beside::default(), |piece| piece);
        let route = match request.method {
            Method::Post if !matches!(request.payload, Payload::Image(_)) => "/api/tickets/ticket-1/commit",
            Method::Get => "/storage/v1/object/info/imagen-generated/u/a%20b.png",
            Method::Post => "/storage/v1/upload/resumable",
            _ => "/storage/v1/upload/resumable/",
        };
        super::check_request(&request, &config, route);
        let below = request.url.rsplit_once(route).map(|(_, below)| below).unwrap();
        assert!(
            !below.contains(['/', '?', '#'])
                && (request.method == Method::Patch || !below.is_empty() || request.method != Method::Head)
        );
        if let Payload::Image(Range { start: from, end: to }) = request.payload {
            assert_eq!(from, if request.method == Method::Post { 0 } else { upload.offset() });
            assert!(from < to && to <= total && to - from <= chunk, "{from} to {to} of {total}");
        }
        let stage = if route.ends_with("commit") { Stage::Insert } else { Stage::Upload };
        if step == b"cut" {
            upload.interrupted();
            continue;
        }
        let response = super::response(step);
        match upload.read(&response) {
            Ok(Outcome::Complete) => {
                assert_eq!(upload.offset(), total);
                return;
            }
            Ok(_) => {}
            Err(refusal) => super::answer::check_refusal(stage, &response, &refusal),
        }
        assert!((0..total).contains(&upload.offset()) || upload.awaits_commit(), "{} of {total}", upload.offset());
    }
}

/// A ticket for the same route as without one.
fn ticket() -> Ticket {
    Ticket {
        ticket: "ticket-1".to_owned(),
        storage_path: "u/a b.png".to_owned(),
        bucket: "imagen-generated".to_owned(),
        path: ".incoming/1".to_owned(),
        token: "t.u.v".to_owned(),
        resumable_url: format!("{}/storage/v1/upload/resumable", super::URL),
    }
}
