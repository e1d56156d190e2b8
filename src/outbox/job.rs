//! A job of the outbox: its states and transitions. Pure; `courier` carries the jobs out, the platform's store keeps them.
//!
//! ```text
//! queued -> uploading -> uploaded -> (row confirmed) gone
//!      \________\____________\-> failed -> (retry) queued or uploaded
//! ```
//!
//! Through the Worker a job is never `uploaded`: it is gone, or `handed-over` until the Worker says what became of it.

use serde::{Deserialize, Serialize};

use super::kept;
use crate::error::{Code, Error};
use crate::image::meta::Settled;
use crate::image::path::StoragePath;
use crate::image::row::ImageMeta;
use crate::json::{self, Json, lenient, to_text};
use crate::text::is_header_safe;
use crate::wire::retry::Policy;

/// How much an outbox takes and does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Jobs worked on at once, at most.
    pub concurrency: u32,
    /// Bytes of images on their way at once, past which no more than a few jobs are worked on; none where the caller has said
    /// how many.
    pub line_bytes: Option<u64>,
    /// Jobs of one owner.
    pub max_jobs: u32,
    /// Bytes of all their images.
    pub max_bytes: u64,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// Its bytes are on their way.
    Uploading,
    /// Its bytes are in the bucket, its row is not yet there.
    Uploaded,
    /// The Worker has it and will bring it there.
    HandedOver,
    /// It won't be tried again by itself.
    Failed,
}

/// One job and no other: under its id alone there may be another by now, whose user has discarded it and enqueued anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// The row's id.
    pub id: String,
    /// Its place among all, which no other gets.
    pub position: u64,
}

/// How much longer a job waits that was handed over: the Worker itself looks first after 15 s, at last every 15 min.
const HANDED_OVER_FIRST: u32 = 15;
const HANDED_OVER_LONGEST: u32 = 30;

/// One image on its way, without its bytes. Holds no key, no token and no signed URL. A field that jobs of an earlier version may
/// lack, or that a job can be sent without, has a default.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its place among all, which the store gives: the later, the larger. 0 for one that is not stored yet.
    #[serde(skip_deserializing)]
    pub position: u64,
    /// The row's id.
    pub id: String,
    /// Fixed when the job was made.
    pub storage_path: String,
    /// Of a removal the image's id; its own is another one. A removal has no bytes and no request.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub removes: Option<String>,
    /// Where it was to go before it was put right: there may be an object, and even its row.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Vec::is_empty")]
    pub earlier_paths: Vec<String>,
    /// Bytes of the image.
    pub size: u64,
    /// What the row and the Worker's request are made of.
    #[serde(skip_deserializing, serialize_with = "json::as_texts")]
    pub request: ImageMeta,
    /// As the image has it; 0 where it is not known.
    #[serde(default, deserialize_with = "lenient")]
    pub width: u32,
    /// Likewise.
    #[serde(default, deserialize_with = "lenient")]
    pub height: u32,
    /// Where it is.
    pub state: State,
    /// Whether the bytes are in the bucket already; outlives `failed`.
    #[serde(default, deserialize_with = "lenient")]
    pub uploaded: bool,
    /// When they came there, in milliseconds since 1970; 0 where that is not known.
    #[serde(rename = "uploadedAt", default, deserialize_with = "lenient")]
    pub uploaded_ms: i64,
    /// When somebody saw last that they are there. Not kept: another drain looks again.
    #[serde(skip)]
    pub seen_ms: i64,
    /// The name of an unfinished upload in pieces at the server.
    #[serde(default, deserialize_with = "kept::plain_name", skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// The same of one by ticket, which goes to another path. The ticket itself is a secret, and never kept.
    #[serde(default, deserialize_with = "kept::plain_name", skip_serializing_if = "Option::is_none")]
    pub ticket_upload_id: Option<String>,
    /// Milliseconds since 1970.
    #[serde(rename = "createdAt")]
    pub created_ms: i64,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Milliseconds since 1970 before which it is not tried on its own.
    #[serde(rename = "notBefore")]
    pub not_before_ms: i64,
    /// When that wait began.
    #[serde(rename = "waitSetAt")]
    pub wait_set_ms: i64,
    /// The server asked for that wait.
    #[serde(default, deserialize_with = "lenient")]
    pub wait_asked: bool,
    /// How often a gateway turned it away and then let another job through.
    #[serde(default, deserialize_with = "lenient")]
    pub turned_away: u32,
    /// A gateway turned it away last, and has let no other through since.
    #[serde(default, deserialize_with = "lenient")]
    pub is_suspect: bool,
    /// Why it failed last, as a JSON object's text.
    #[serde(
        default,
        deserialize_with = "kept::error",
        serialize_with = "json::raw",
        skip_serializing_if = "Option::is_none"
    )]
    pub error: Option<String>,
}

/// How often a gateway may turn a job away, while it lets others through, before the job itself is to blame.
const TURNED_AWAY_AT_MOST: u32 = 5;

/// What a failure means for the job and for those behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again later.
    Later,
    /// It is kept for its user to decide; the others go on.
    Failed,
    /// The user's token is gone or another user's: no job can be sent now, and none is to blame.
    Stop(Code),
}

impl Job {
    /// A job that has just been accepted.
    pub fn new(settled: Settled, size: u64, now_ms: i64) -> Self {
        let (width, height) = settled.measured;
        Self {
            position: 0,
            id: settled.image_id,
            storage_path: settled.storage_path.as_str().to_owned(),
            removes: None,
            earlier_paths: Vec::new(),
            size,
            request: settled.meta,
            width,
            height,
            state: State::Queued,
            uploaded: false,
            uploaded_ms: 0,
            seen_ms: 0,
            upload_id: None,
            ticket_upload_id: None,
            created_ms: now_ms,
            attempts: 0,
            not_before_ms: 0,
            wait_set_ms: 0,
            wait_asked: false,
            turned_away: 0,
            is_suspect: false,
            error: None,
        }
    }

    /// The id of an image's removal.
    pub fn removal_id(image_id: &str) -> String {
        format!("remove-{image_id}")
    }

    /// The removal of an image, wherever it is by then, and of what its job may have left, if it had one here.
    pub fn removal(image_id: &str, of: Option<&Self>, now_ms: i64) -> Self {
        let mut paths = of.iter().flat_map(|job| job.paths());
        let settled = Settled {
            meta: ImageMeta::default(),
            storage_path: StoragePath::default(),
            image_id: Self::removal_id(image_id),
            measured: (0, 0),
        };
        Self {
            removes: Some(image_id.to_owned()),
            storage_path: paths.next().unwrap_or_default().to_owned(),
            earlier_paths: paths.map(str::to_owned).collect(),
            upload_id: of.and_then(|job| job.upload_id.clone()),
            ..Self::new(settled, 0, now_ms)
        }
    }

    /// This job and no other.
    pub fn which(&self) -> Which {
        Which { id: self.id.clone(), position: self.position }
    }

    /// Where something of it is or may be, the latest first. No other job may go there.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let known = core::iter::once(&self.storage_path).chain(&self.earlier_paths);
        known.map(String::as_str).filter(|path| !path.is_empty())
    }

    /// The same job, where its image, or its row, was found at a path.
    pub fn found_at(&self, path: &str) -> Self {
        let earlier_paths = self.paths().filter(|known| *known != path).map(str::to_owned).collect();
        Self { storage_path: path.to_owned(), earlier_paths, ..self.clone() }
    }

    /// What is to be sent, if it is what was stored: a damaged job must not lead its requests elsewhere, or be one that no
    /// host can send, and so be tried for ever.
    pub fn settled(&self) -> Result<Settled, Error> {
        if !self.id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Err(Error::field("imageId", "is no UUID"));
        }
        if !is_header_safe(&self.request.mime_type) {
            return Err(Error::field("mimeType", "is no MIME type"));
        }
        Ok(Settled {
            meta: ImageMeta { image_id: Some(self.id.clone()), ..self.request.clone() },
            storage_path: StoragePath::parse(&self.storage_path)?,
            image_id: self.id.clone(),
            measured: (self.width, self.height),
        })
    }

    /// Whether it may be tried at `now_ms`. `forced` disregards its own waits, but none that a server asked for. A wait
    /// that begins in the future was set by a clock that has been put back since, and counts for nothing.
    pub fn is_due(&self, now_ms: i64, forced: bool) -> bool {
        let waits = (self.wait_set_ms..self.not_before_ms).contains(&now_ms);
        self.state != State::Failed && (!waits || (forced && !self.wait_asked))
    }

    /// Whether it will be tried again on its own.
    pub fn is_waiting(&self) -> bool {
        self.state != State::Failed
    }

    /// Its bytes are sent now, to the Worker once more where that knows nothing of it.
    pub fn begin(&mut self) {
        self.state = if self.uploaded { State::Uploaded } else { State::Uploading };
    }

    /// The Worker has the image and will bring it to Supabase. It is asked again later.
    pub fn hand_over(&mut self, now_ms: i64, policy: &Policy, jitter: f64) {
        if self.state != State::HandedOver {
            (self.state, self.attempts, self.error) = (State::HandedOver, 0, None);
        }
        let policy = Policy {
            initial_backoff_ms: policy.initial_backoff_ms.saturating_mul(HANDED_OVER_FIRST),
            max_backoff_ms: policy.max_backoff_ms.saturating_mul(HANDED_OVER_LONGEST),
            ..*policy
        };
        self.wait(now_ms, policy.backoff_ms(self.attempts, jitter), false);
    }

    /// The bytes are in the bucket.
    pub fn arrived_in_bucket(&mut self, now_ms: i64) {
        self.uploaded = true;
        self.uploaded_ms = now_ms;
        self.upload_id = None;
        self.state = State::Uploaded;
    }

    /// The bytes are not in the bucket any more.
    pub fn lost_in_bucket(&mut self) {
        self.uploaded = false;
        self.state = State::Queued;
    }

    /// A stage failed.
    pub fn fail(&mut self, error: &Error, now_ms: i64, policy: &Policy, jitter: f64) -> Verdict {
        let verdict = match error.code {
            Code::TokenUnavailable | Code::Unauthorized | Code::WrongUser => Verdict::Stop(error.code),
            // The application gave a secret key for a token: none that may be sent.
            Code::SecretKeyInBrowser => Verdict::Stop(Code::TokenUnavailable),
            _ if error.retryable => Verdict::Later,
            _ => Verdict::Failed,
        };
        self.state = self.waiting_state();
        self.error = Some(to_text(&**error));
        self.is_suspect |= error.turned_away;
        match verdict {
            Verdict::Stop(_) => {}
            Verdict::Failed => self.state = State::Failed,
            Verdict::Later => {
                let own = policy.backoff_ms(self.attempts, jitter);
                let asked = error.retry_after_ms;
                self.wait(now_ms, asked.unwrap_or(own), asked.is_some());
            }
        }
        verdict
    }

    /// Another job got through where this one was turned away. Whether that was once too often: then it is kept for its user
    /// to decide.
    pub fn blame(&mut self) -> bool {
        if core::mem::take(&mut self.is_suspect) {
            self.turned_away = self.turned_away.saturating_add(1);
        }
        let is_too_often = self.turned_away >= TURNED_AWAY_AT_MOST;
        if is_too_often {
            self.state = State::Failed;
        }
        is_too_often
    }

    fn wait(&mut self, now_ms: i64, wait_ms: u32, asked: bool) {
        self.wait_asked = asked;
        self.wait_set_ms = now_ms;
        self.not_before_ms = now_ms + i64::from(wait_ms);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Its user wants it to be tried again.
    pub fn retry(&mut self) {
        self.state = self.waiting_state();
        self.not_before_ms = 0;
        self.wait_asked = false;
        (self.turned_away, self.is_suspect) = (0, false);
    }

    /// The job as its user has put it right: it begins at the upload again.
    pub fn mended(&self, settled: Settled) -> Self {
        let mut earlier_paths = self.earlier_paths.clone();
        if settled.storage_path.as_str() != self.storage_path {
            earlier_paths.push(self.storage_path.clone());
        }
        earlier_paths.retain(|path| path != settled.storage_path.as_str());
        Self { position: self.position, earlier_paths, ..Self::new(settled, self.size, self.created_ms) }
    }

    /// What would have been sent to where it was to go before, of each such place.
    pub fn earlier(&self) -> Result<Vec<Settled>, Error> {
        let settled = self.settled()?;
        let at = |path: &String| Ok(Settled { storage_path: StoragePath::parse(path)?, ..settled.clone() });
        self.earlier_paths.iter().map(at).collect()
    }

    /// Whether an image at this path is this job's: where it goes or was to go, or in the folder that the Worker has for its
    /// user, whatever folder the job was made for.
    pub fn goes_to(&self, path: &str) -> bool {
        let date = format!("/{}", self.request.date.as_deref().unwrap_or_default());
        // By single characters: to search for a text from its end is 3 kB of code.
        let in_folder = |path: &str| {
            path.rsplit_once(['/']).filter(|(folder, _)| folder.ends_with(&date)).map(|(_, name)| name.to_owned())
        };
        self.paths().any(|known| known == path)
            || in_folder(path).is_some_and(|name| in_folder(&self.storage_path) == Some(name))
    }

    fn waiting_state(&self) -> State {
        if self.state == State::HandedOver {
            return State::HandedOver;
        }
        if self.uploaded { State::Uploaded } else { State::Queued }
    }

    /// The job as JSON text.
    pub fn to_text(&self) -> String {
        to_text(self)
    }

    /// Reads what [`Job::to_text`] wrote; `None` for anything else. The position is the store's to say.
    pub fn parse(position: u64, json: &Json) -> Option<Self> {
        let request = kept::request(json.get("request")?)?;
        Some(Self { position, request, ..Self::deserialize(json).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Stage;
    use crate::json::tests::parse;
    use proptest::prelude::*;

    const POLICY: Policy = Policy { max_retries: 2, initial_backoff_ms: 1000, max_backoff_ms: 4000 };
    const ID: &str = "11111111-2222-4333-8444-555555555555";
    const NOW: i64 = 1_800_000_000_000;

    fn job() -> Job {
        let meta = ImageMeta {
            date: Some("2026-05-11".to_owned()),
            slug: Some("a b".to_owned()),
            seed: i64::MAX,
            ext: "png".to_owned(),
            mime_type: "image/png".to_owned(),
            prompt: "\"x\"".to_owned(),
            steps: 4,
            cost_usd_estimate: Some("0.10".to_owned()),
            sidecar: Some(r#"{"big":9007199254740993}"#.to_owned()),
            image_id: Some(ID.to_owned()),
            ..ImageMeta::default()
        };
        let storage_path = StoragePath::parse("u/2026-05-11/a b-1.png").unwrap();
        let settled = Settled { meta, storage_path, image_id: ID.to_owned(), measured: (3, 4) };
        Job { position: 7, ..Job::new(settled, 18, NOW) }
    }

    fn reread(job: &Job) -> Option<Job> {
        Job::parse(7, &parse(&job.to_text()).unwrap())
    }

    fn error(code: Code, retryable: bool) -> Error {
        let mut error = Error::new(Stage::Upload, code, "storage upload: 503: \"x\"");
        error.retryable = retryable;
        error.status = Some(503);
        error
    }

    #[test]
    fn a_job_goes_from_stage_to_stage_and_none_is_done_twice() {
        let mut job = job();
        job.begin();
        assert_eq!(job.state, State::Uploading);
        job.arrived_in_bucket(NOW);
        assert_eq!(job.fail(&error(Code::Unavailable, true), NOW, &POLICY, 0.0), Verdict::Later);
        assert_eq!(job.state, State::Uploaded, "the upload is not done again");
        job.begin();
        assert_eq!(job.state, State::Uploaded);
    }

    #[test]
    fn what_is_final_waits_for_its_user() {
        let mut job = job();
        job.arrived_in_bucket(NOW);
        assert_eq!(job.fail(&error(Code::Forbidden, false), NOW, &POLICY, 0.0), Verdict::Failed);
        assert!(!job.is_due(NOW + 1_000_000_000, true));
        job.retry();
        assert_eq!(job.state, State::Uploaded);
        assert!(job.is_due(NOW, false));
    }

    #[test]
    fn a_missing_token_is_not_the_jobs_fault() {
        for code in [Code::TokenUnavailable, Code::Unauthorized, Code::WrongUser] {
            let mut job = job();
            job.begin();
            assert_eq!(job.fail(&error(code, false), NOW, &POLICY, 0.0), Verdict::Stop(code));
            assert_eq!((job.state, job.attempts), (State::Queued, 0));
            assert!(job.is_due(NOW, false));
        }
    }

    #[test]
    fn own_waits_grow_and_may_be_cut_short_but_a_servers_may_not() {
        let mut job = job();
        for wait_ms in [1000, 2000, 4000, 4000] {
            job.fail(&error(Code::Network, true), NOW, &POLICY, 0.0);
            assert_eq!(job.not_before_ms, NOW + wait_ms);
            assert!(!job.is_due(NOW + wait_ms - 1, false));
            assert!(job.is_due(NOW + wait_ms, false));
            assert!(job.is_due(NOW, true), "forced");
        }
        let mut asked = error(Code::RateLimited, true);
        asked.retry_after_ms = Some(3000);
        job.fail(&asked, NOW, &POLICY, 0.0);
        assert!(!job.is_due(NOW + 2999, true));
        assert!(job.is_due(NOW + 3000, false));
        assert!(job.is_due(NOW - 1, false), "the clock was put back");
    }

    #[test]
    fn a_job_is_to_blame_when_others_got_through_five_times_where_it_was_turned_away() {
        let mut job = job();
        let mut away = error(Code::Unavailable, true);
        away.turned_away = true;
        for nth in 1..=5 {
            // A gateway that lets nobody through says nothing of the job, however often.
            for _ in 0..7 {
                assert_eq!(job.fail(&away, NOW, &POLICY, 0.0), Verdict::Later);
            }
            job = reread(&job).unwrap();
            assert_eq!(job.blame(), nth == 5, "{nth}");
            assert_eq!(job.blame(), nth == 5, "another success says no more");
        }
        assert_eq!(job.state, State::Failed);
        job.retry();
        assert_eq!((job.state, job.turned_away, job.blame()), (State::Queued, 0, false));
    }

    #[test]
    fn a_job_of_an_earlier_version_was_never_turned_away() {
        let text = job().to_text().replace(r#","isSuspect":false"#, "").replace(r#","turnedAway":0"#, "");
        assert!(!text.contains("uspect") && !text.contains("turned"));
        assert_eq!(Job::parse(7, &parse(&text).unwrap()), Some(job()));
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let mut job = job();
        assert_eq!(reread(&job), Some(job.clone()));
        job.upload_id = Some("dGVuYW50".to_owned());
        let mut error = error(Code::Unavailable, true).with_field("x");
        (error.server_code, error.retry_after_ms) = (Some("57014".to_owned()), Some(3000));
        (error.storage_path, error.image_id) = (Some("a/b".to_owned()), Some("1".to_owned()));
        job.fail(&error, NOW, &POLICY, 0.3);
        let read = reread(&job).unwrap();
        let told = |job: &Job| parse(job.error.as_deref().unwrap()).unwrap();
        let members = |json| match json {
            Json::Object(mut members) => {
                members.sort_by(|(one, _), (other, _)| one.cmp(other));
                members
            }
            _ => Vec::new(),
        };
        assert_eq!(members(told(&read)), members(told(&job)));
        job.error.clone_from(&read.error);
        assert_eq!(read, job);
    }

    #[test]
    fn a_damaged_job_is_not_sent() {
        for damage in [
            |job: &mut Job| job.id = "x&select=*".to_owned(),
            |job: &mut Job| job.request.mime_type = "image/png\n".to_owned(),
            |job: &mut Job| job.storage_path = "../x".to_owned(),
        ] {
            let mut job = job();
            damage(&mut job);
            let error = job.settled().unwrap_err();
            assert_eq!((error.code, error.retryable), (Code::InvalidRequest, false));
        }
        let mut job = job();
        job.request.image_id = Some("another".to_owned());
        assert_eq!(job.settled().unwrap().meta.image_id.as_deref(), Some(ID), "the Worker hears of no other image");
        for id in ["../../object/x", "..", "", "a?b", "a#b", "a%2fb", "ä"] {
            (job.upload_id, job.ticket_upload_id) = (Some(id.to_owned()), Some(id.to_owned()));
            let read = reread(&job).unwrap();
            assert_eq!((read.upload_id, read.ticket_upload_id), (None, None), "{id:?} would lead elsewhere");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_job_is_none_and_no_panic(text in ".*", cut in 0usize..400) {
            prop_assert_eq!(parse(&text).and_then(|json| Job::parse(0, &json)), None);
            let whole = job().to_text();
            let damaged = whole.get(..cut.min(whole.len() - 1)).unwrap_or_default();
            prop_assert_eq!(parse(damaged).and_then(|json| Job::parse(0, &json)), None);
        }
    }
}
