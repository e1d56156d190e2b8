//! The outbox's jobs as they are read back: damaged, foreign, or of another version.

use imagen_cloud::error::{Code, Error, Stage};
use imagen_cloud::outbox::job::{Job, State};
use imagen_cloud::wire::retry::Policy;
use imagen_cloud::wire::rows;
use imagen_cloud::wire::{object, tus};

use super::host;

const NOW: i64 = 1_800_000_000_000;
const POLICY: Policy = Policy { max_retries: 2, initial_backoff_ms: 1000, max_backoff_ms: 4000 };

/// A job that is read can be sent or is refused, and is written as it is.
pub fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some(read) = host::parse_json(&text).and_then(|json| Job::parse(1, &json)) else { return };
    let job = rewritten(&read);
    assert_eq!(rewritten(&job), job, "what is written is read as it was");
    assert_eq!((&job.id, &job.storage_path, &job.request), (&read.id, &read.storage_path, &read.request));
    assert_eq!((job.state, job.uploaded, &job.upload_id), (read.state, read.uploaded, &read.upload_id));

    let config = super::config();
    if let Ok(settled) = job.settled() {
        let shipment = settled.shipment(&config, ());
        super::path::check(&shipment.storage_path, "");
        super::check_request(&object::upload(&config, &shipment), &config, "/storage/v1/object/imagen-generated/");
        let asked = rows::read_back::<()>(&config, &shipment.image_id);
        super::check_request(&asked, &config, "/rest/v1/images?id=eq.");
        assert_eq!(asked.url.matches(['&', '#', '?']).count(), 2, "{}", asked.url);
    }

    for id in [&job.upload_id, &job.ticket_upload_id].into_iter().flatten() {
        super::check_request(&tus::abandon::<()>(&config, id), &config, "/storage/v1/upload/resumable/");
        assert!(!id.contains(['/', '?', '#']), "{id:?} leads elsewhere");
    }

    let mut error = Error::new(Stage::Upload, Code::Network, text.as_ref());
    for retryable in [true, false] {
        error.retryable = retryable;
        let mut job = job.clone();
        job.begin();
        job.fail(&error, NOW, &POLICY, 0.5);
        assert_eq!(job.state == State::Failed, !retryable);
        assert_eq!(job.is_waiting(), retryable);
        assert!(!retryable || (NOW + 500..=NOW + 4000).contains(&job.not_before_ms), "{}", job.not_before_ms);
        assert_eq!(rewritten(&job), job);
        job.retry();
        assert!(job.is_due(NOW, false) && rewritten(&job) == job);
        job.arrived_in_bucket(NOW);
        assert!(job.uploaded && job.upload_id.is_none() && rewritten(&job) == job);
    }
}

fn rewritten(job: &Job) -> Job {
    let text = job.to_text();
    let json = host::parse_json(&text).unwrap_or_else(|| panic!("no JSON: {text}"));
    Job::parse(1, &json).unwrap_or_else(|| panic!("no job: {text}"))
}
