//! Resumable uploads: TUS 1.0.0 as Storage speaks it, a state machine without IO.
//!
//! [`Upload::next`] says what to send, [`Upload::read`] what an answer means, [`Upload::interrupted`] that there was none.
//! Source: tus.io's protocol and the servers' contract in docs/contract.md. What matters of it here: every answer to a
//! PATCH says how far the server got, and that is trusted; after a cut only HEAD knows; an upload that may have ended is
//! looked up as an object, since a finished upload answers no question.
//!
//! With a ticket of the Worker's it goes to the ticket's path, by the ticket's token, and is done when it is committed. The
//! commit is also what tells whether an upload has ended: of the object itself nothing can be asked.

use core::ops::Range;

use super::object::{self, Object};
use crate::base64;
use crate::config::Config;
use crate::error::{Code, Stage};
use crate::image::meta::Shipment;
use crate::image::path::is_plain_name;
use crate::text::{contains, join, split_once};
use crate::wire::classify::{self, Refusal, Remedy, Told};
use crate::wire::http::{Method, RESUMABLE, Request, Response};
use crate::wire::worker::{self, Beside, Ticket};

/// The version of the protocol, on every request.
const TUS: (&str, &str) = (RESUMABLE, "1.0.0");

/// One resumable upload.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// The upload's name at the server; none before it was created.
    id: Option<String>,
    /// Bytes that the server has.
    offset: u64,
    total: u64,
    chunk: u64,
    doubt: Doubt,
    /// Whether it was looked up as an object since the last piece went out, and is none.
    unfinished: bool,
    /// Whether the server has told here how far it got, so that it can read the upload's name.
    is_told: bool,
    /// Whether it ends with a commit.
    commits: bool,
}

/// What is not known of the upload's state at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Nothing: the offset is the server's word.
    None,
    /// How far it got.
    Offset,
    /// Whether it ended: everything was sent, and the answer got lost; or it is to be committed.
    End,
}

/// What an answer brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has more bytes than before.
    Progress,
    /// The server has no more bytes, but now it is known how to go on.
    Known,
    /// The object is complete.
    Complete,
}

impl Upload {
    /// An upload of `total` bytes in pieces of `chunk`. `id` is that of an earlier attempt, of which nothing is known: not
    /// even whether it ended. With `commits` it goes by ticket.
    pub fn new(total: u64, chunk: u64, id: Option<String>, commits: bool) -> Self {
        let doubt = if id.is_some() { Doubt::End } else { Doubt::None };
        Self { id, offset: 0, total, chunk, doubt, unfinished: false, is_told: false, commits }
    }

    /// Whether all bytes are there and the rest is the Worker's to do.
    pub fn awaits_commit(&self) -> bool {
        self.commits && self.offset >= self.total
    }

    /// The upload's name at the server, to resume it by. Neither an address nor a secret.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Bytes that the server has.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next request. `slice` takes a piece of the image.
    pub fn next<B>(
        &self,
        config: &Config,
        ticket: Option<&Ticket>,
        shipment: &Shipment<B>,
        beside: Beside<'_, B>,
        slice: impl Fn(Range<u64>) -> B,
    ) -> Request<B> {
        let end = (self.offset + self.chunk).min(self.total);
        let endpoint = match ticket {
            Some(ticket) => ticket.resumable_url.clone(),
            None => endpoint(config),
        };
        let start = |method, url| {
            let request = Request::new(method, url).header(TUS.0, TUS.1);
            match ticket {
                Some(ticket) => request.signed(&ticket.token),
                None => request,
            }
        };
        let piece = |request: Request<B>| {
            request.image(slice(self.offset..end), "application/offset+octet-stream").header("x-upsert", "true")
        };
        match (&self.id, self.doubt) {
            (None, _) => {
                let request = start(Method::Post, endpoint)
                    .header("Upload-Length", self.total.to_string())
                    .header("Upload-Metadata", metadata(config, ticket, shipment));
                // Creation with upload: the first piece goes along.
                piece(request)
            }
            (Some(id), Doubt::None) => {
                let request = start(Method::Patch, format!("{endpoint}/{id}"));
                piece(request.header("Upload-Offset", self.offset.to_string()))
            }
            (Some(id), Doubt::Offset) => {
                start(Method::Head, format!("{endpoint}/{id}")).fresh().header("x-upsert", "true")
            }
            (Some(_), Doubt::End) => match ticket {
                Some(ticket) => worker::commit(config, ticket, shipment, beside, self.total),
                None => object::info(config, &shipment.storage_path),
            },
        }
    }

    /// There was no answer to what [`Upload::next`] gave.
    pub fn interrupted(&mut self) {
        if self.id.is_none() || self.doubt != Doubt::None {
            return; // created anew, or asked again
        }
        self.unfinished = false;
        let sent_all = self.offset + self.chunk >= self.total;
        self.doubt = if sent_all { Doubt::End } else { Doubt::Offset };
    }

    /// What the answer to [`Upload::next`] means.
    pub fn read(&mut self, response: &Response) -> Result<Outcome, Refusal> {
        match (&self.id, self.doubt) {
            (None, _) => self.read_creation(response),
            (Some(_), Doubt::None) => self.read_piece(response),
            (Some(_), Doubt::Offset) => self.read_offset(response),
            (Some(_), Doubt::End) if self.commits => self.read_commit(response),
            (Some(_), Doubt::End) => self.read_info(response),
        }
    }

    fn read_creation(&mut self, response: &Response) -> Result<Outcome, Refusal> {
        if !response.is_success() {
            return Err(refused(response));
        }
        let id = response.header("location").and_then(|location| location.rsplit(['/']).next());
        let Some(id) = id.filter(|id| is_plain_name(id)) else {
            return Err(Refusal::garbled(Stage::Upload, response, "storage upload: no Location of the upload"));
        };
        self.id = Some(id.to_owned());
        // A server that does not take a piece with the creation says nothing of an offset.
        Ok(self.arrive(offset_of(response).unwrap_or(0)))
    }

    fn read_piece(&mut self, response: &Response) -> Result<Outcome, Refusal> {
        self.unfinished = false;
        if response.is_success() {
            return match offset_of(response) {
                Some(offset) => Ok(self.arrive(offset)),
                None => {
                    self.interrupted();
                    Err(Refusal::garbled(Stage::Upload, response, "storage upload: no Upload-Offset"))
                }
            };
        }
        match response.status {
            // Another offset than the server's; or the upload has ended.
            409 if contains(&response.body, "already exists") => self.look_up_or_start_anew(),
            409 => self.doubt = Doubt::Offset,
            404 | 410 => self.look_up_or_start_anew(),
            _ => {
                self.interrupted();
                return Err(refused(response));
            }
        }
        Ok(Outcome::Known)
    }

    fn read_offset(&mut self, response: &Response) -> Result<Outcome, Refusal> {
        let offset = offset_of(response);
        match response.status {
            404 | 409 | 410 => self.look_up_or_start_anew(),
            // An answer to HEAD has no body to say why: a refused token, a lock, a gateway. The next question's answer has one.
            400 | 401 | 403 if response.body.is_empty() => self.doubt = Doubt::End,
            _ if !response.is_success() => return Err(refused(response)),
            _ => match offset {
                Some(offset) if offset < self.total => {
                    self.doubt = Doubt::None;
                    return Ok(self.reach(offset));
                }
                Some(_) => self.look_up_or_start_anew(),
                None => return Err(Refusal::garbled(Stage::Upload, response, "storage upload: no Upload-Offset")),
            },
        }
        Ok(Outcome::Known)
    }

    /// Begins anew where the server has not once told how far it got: perhaps it can't read the name.
    pub fn forget_untold(&mut self) {
        if !self.is_told {
            self.start_anew();
        }
    }

    fn start_anew(&mut self) {
        *self = Self::new(self.total, self.chunk, None, self.commits);
    }

    /// The server has no such unfinished upload: it has ended, or is lost.
    fn look_up_or_start_anew(&mut self) {
        if self.unfinished {
            self.start_anew();
        } else {
            self.doubt = Doubt::End
        }
    }

    /// The object is this upload's if its version is; a server that tells none is believed by the size. To a token that it
    /// refuses it says that there is no bucket; but it has taken the upload, into that bucket.
    fn read_info(&mut self, response: &Response) -> Result<Outcome, Refusal> {
        if response.is_success() {
            let Object { version, size, .. } = response.read().unwrap_or_default();
            let is_ours = match (version, self.version(), size) {
                (Some(found), Some(ours), _) => found == ours,
                (_, _, Some(size)) => size == self.total,
                (Some(_), None, _) => false,
                // Not Storage's answer. To believe that there is no such object would be to send it all again.
                _ => return Err(Refusal::garbled(Stage::Upload, response, "storage upload: parse object info")),
            };
            if is_ours {
                self.offset = self.total;
                return Ok(Outcome::Complete);
            }
        } else if !is_missing(response) {
            return Err(refused(response));
        } else if has_no_bucket(response) {
            return Err(Refusal::of_token(Stage::Upload, response));
        }
        (self.doubt, self.unfinished) = (Doubt::Offset, true);
        Ok(Outcome::Known)
    }

    fn read_commit(&mut self, response: &Response) -> Result<Outcome, Refusal> {
        if worker::read_commit(response)? {
            self.offset = self.total;
            return Ok(Outcome::Complete);
        }
        (self.doubt, self.unfinished) = (Doubt::Offset, true);
        Ok(Outcome::Known)
    }

    /// A piece arrived, up to `offset`: no further than it goes, or the server is asked what it really has.
    fn arrive(&mut self, offset: u64) -> Outcome {
        if offset > (self.offset + self.chunk).min(self.total) {
            self.interrupted();
            return Outcome::Known;
        }
        self.reach(offset)
    }

    fn reach(&mut self, offset: u64) -> Outcome {
        self.is_told = true;
        let further = offset > self.offset;
        self.offset = offset;
        let has_all = offset >= self.total;
        if has_all && self.commits {
            self.doubt = Doubt::End;
        }
        match (has_all && !self.commits, further) {
            (true, _) => Outcome::Complete,
            (false, true) => Outcome::Progress,
            (false, false) => Outcome::Known,
        }
    }

    /// The last part of the decoded id: `tenant/bucket/path/version`.
    fn version(&self) -> Option<String> {
        let decoded = base64::decode_url(self.id.as_deref()?)?;
        String::from_utf8(decoded).ok()?.rsplit_once(['/']).map(|(_, version)| version.to_owned())
    }
}

/// Asks the server to forget an unfinished upload.
pub fn abandon<B>(config: &Config, id: &str) -> Request<B> {
    Request::new(Method::Delete, format!("{}/{id}", endpoint(config))).header(TUS.0, TUS.1).header("x-upsert", "true")
}

/// Forgotten now, or before, or finished: there is nothing more to do.
pub fn read_abandon(response: &Response) -> Result<(), Refusal> {
    match response.status {
        200..300 | 404 | 409 | 410 => Ok(()),
        _ => Err(refused(response)),
    }
}

fn endpoint(config: &Config) -> String {
    format!("{}/storage/v1/upload/resumable", config.url)
}

fn metadata<B>(config: &Config, ticket: Option<&Ticket>, shipment: &Shipment<B>) -> String {
    let max_age = config.cache_control.as_deref().and_then(|value| split_once(value, "max-age="));
    let seconds = max_age.map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    let entries = [
        ("bucketName", Some(ticket.map_or(config.bucket.as_str(), |ticket| ticket.bucket.as_str()))),
        ("objectName", Some(ticket.map_or(shipment.storage_path.as_str(), |ticket| ticket.path.as_str()))),
        ("contentType", Some(shipment.mime_type.as_str())),
        ("cacheControl", seconds.filter(|seconds| !seconds.is_empty())),
    ];
    let entry = |(name, value): (&str, Option<&str>)| Some(format!("{name} {}", base64::encode(value?.as_bytes())));
    join(entries.into_iter().filter_map(entry), ',')
}

fn offset_of(response: &Response) -> Option<u64> {
    response.header("upload-offset")?.trim().parse().ok()
}

/// Storage's word for it: HTTP 400 with the status in the body; a real 404 from others. Any gateway may say 404.
fn is_missing(response: &Response) -> bool {
    let told = Told::read(response);
    response.status == 404 && told.is_own || response.status == 400 && told.status == Some(404)
}

fn has_no_bucket(response: &Response) -> bool {
    let told = Told::read(response);
    told.code == "NoSuchBucket" || told.says("bucket not found")
}

/// Past its check of the token, the protocol answers real statuses with texts for bodies.
fn refused(response: &Response) -> Refusal {
    let mut refusal = classify::of_response(Stage::Upload, response);
    let is_text =
        response.json.is_none() && !response.body.is_empty() && !response.body.trim_start().starts_with(['<', '{']);
    let (code, remedy) = match response.status {
        423 => (Code::Unavailable, Remedy::Wait),
        400 if contains(&response.body, "lock acquired") => (Code::Unavailable, Remedy::Wait),
        403 if contains(&response.body, "row-level security") => (Code::Forbidden, Remedy::None),
        404 if contains(&response.body, "ucket not found") => (Code::BucketMissing, Remedy::None),
        415 if is_text => (Code::TypeNotAllowed, Remedy::None),
        400 | 409 if is_text => (Code::Rejected, Remedy::None),
        _ => return refusal,
    };
    refusal.error.code = code;
    refusal.error.retryable = remedy == Remedy::Wait;
    refusal.error.turned_away = false;
    refusal.remedy = remedy;
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::image::path::StoragePath;
    use crate::json::tests::parse;
    use base64ct::{Base64UrlUnpadded, Encoding};

    const MIB: u64 = 1024 * 1024;

    fn config() -> Config {
        let options = Options {
            url: Some("https://x.co".to_owned()),
            api_key: Some("k".to_owned()),
            cache_control: Some("public, max-age=60".to_owned()),
            ..Options::default()
        };
        Config::new(options, false).unwrap()
    }

    /// The name of an upload whose version is `v1`.
    fn id() -> String {
        Base64UrlUnpadded::encode_string(b"tenant/imagen-generated/u/a.png/v1")
    }

    /// What is sent next: method, path, offset header and the bytes that go along.
    fn next(upload: &Upload) -> (Method, String, Option<String>, Option<Range<u64>>) {
        let shipment = Shipment {
            storage_path: StoragePath::parse("u/a.png").unwrap(),
            image_id: String::new(),
            owner_user_id: String::new(),
            image: 0..0,
            mime_type: "image/png".to_owned(),
            row: String::new(),
            request: String::new(),
        };
        let request = upload.next(&config(), None, &shipment, Beside::default(), |piece| piece);
        let header =
            |name: &str| request.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        if request.method != Method::Get {
            assert_eq!(header("x-upsert").as_deref(), Some("true"), "on every request of the protocol");
            assert_eq!(header("Tus-Resumable").as_deref(), Some("1.0.0"));
        }
        if request.method == Method::Post {
            let metadata = "bucketName aW1hZ2VuLWdlbmVyYXRlZA==,objectName dS9hLnBuZw==,contentType aW1hZ2UvcG5n,cacheControl NjA=";
            assert_eq!(header("Upload-Metadata").as_deref(), Some(metadata));
            assert_eq!(header("Upload-Length"), Some(upload.total.to_string()));
        }
        let bytes = match request.payload {
            crate::wire::http::Payload::Image(range) => Some(range),
            _ => None,
        };
        let path = request.url.strip_prefix("https://x.co/storage/v1/").unwrap().to_owned();
        (request.method, path, header("Upload-Offset"), bytes)
    }

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Response { status, headers, body: body.to_owned(), json: parse(body) }
    }

    fn created(offset: &str) -> Response {
        let location = format!("http://internal:5000/storage/v1/upload/resumable/{}", id());
        answer(201, &[("location", &location), ("upload-offset", offset)], "")
    }

    fn offset(status: u16, offset: u64) -> Response {
        answer(status, &[("upload-offset", &offset.to_string())], "")
    }

    const MISSING: &str = r#"{"statusCode":"404","error":"not_found","message":"Object not found","code":"NoSuchKey"}"#;

    /// An upload of 13 MiB that has 6 of them.
    fn half_way() -> Upload {
        let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
        assert_eq!(upload.read(&created("6291456")).unwrap(), Outcome::Progress);
        upload
    }

    /// The same, its last piece on the way.
    fn at_the_end() -> Upload {
        let mut upload = half_way();
        assert_eq!(upload.read(&offset(204, 12 * MIB)).unwrap(), Outcome::Progress);
        upload
    }

    fn patch(from: u64, to: u64) -> (Method, String, Option<String>, Option<Range<u64>>) {
        let path = format!("upload/resumable/{}", id());
        (Method::Patch, path, Some(from.to_string()), Some(from..to))
    }

    fn head() -> (Method, String, Option<String>, Option<Range<u64>>) {
        (Method::Head, format!("upload/resumable/{}", id()), None, None)
    }

    fn info() -> (Method, String, Option<String>, Option<Range<u64>>) {
        (Method::Get, "object/info/imagen-generated/u/a.png".to_owned(), None, None)
    }

    fn create(to: u64) -> (Method, String, Option<String>, Option<Range<u64>>) {
        (Method::Post, "upload/resumable".to_owned(), None, Some(0..to))
    }

    #[test]
    fn the_first_piece_goes_with_the_creation_and_every_answer_tells_the_offset() {
        let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
        assert_eq!(next(&upload), create(6 * MIB));
        assert_eq!(upload.read(&created("6291456")).unwrap(), Outcome::Progress);
        assert_eq!(next(&upload), patch(6 * MIB, 12 * MIB));
        assert_eq!(upload.read(&offset(204, 12 * MIB)).unwrap(), Outcome::Progress);
        assert_eq!(next(&upload), patch(12 * MIB, 13 * MIB));
        assert_eq!(upload.read(&offset(204, 13 * MIB)).unwrap(), Outcome::Complete);
    }

    #[test]
    fn a_creation_that_took_everything_is_all() {
        let mut upload = Upload::new(5 * MIB, 6 * MIB, None, false);
        assert_eq!(next(&upload), create(5 * MIB));
        assert_eq!(upload.read(&created("5242880")).unwrap(), Outcome::Complete);
    }

    #[test]
    fn a_server_without_creation_with_upload_gets_the_first_piece_again() {
        let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
        let location = format!("/storage/v1/upload/resumable/{}", id());
        assert_eq!(upload.read(&answer(201, &[("location", &location)], "")).unwrap(), Outcome::Known);
        assert_eq!(next(&upload), patch(0, 6 * MIB));
    }

    #[test]
    fn a_location_elsewhere_leads_nowhere_else() {
        let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
        let evil = format!("https://evil.example/upload/resumable/{}", id());
        upload.read(&answer(201, &[("location", &evil)], "")).unwrap();
        assert_eq!(next(&upload).1, format!("upload/resumable/{}", id()));
        for location in ["https://evil.example/", "/x?y=z", "/a%2fb", "/a b", ""] {
            let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
            let refusal = upload.read(&answer(201, &[("location", location)], "")).unwrap_err();
            assert_eq!(refusal.error.code, Code::BadResponse, "{location}");
            assert_eq!(next(&upload), create(6 * MIB));
        }
    }

    #[test]
    fn after_a_cut_the_server_is_asked() {
        let mut upload = half_way();
        upload.interrupted();
        assert_eq!(next(&upload), head());
        upload.interrupted();
        assert_eq!(next(&upload), head(), "asked again");
        assert_eq!(upload.read(&offset(200, 8 * MIB)).unwrap(), Outcome::Progress);
        assert_eq!(next(&upload), patch(8 * MIB, 13 * MIB));
        upload.interrupted();
        assert_eq!(next(&upload), info(), "the rest was on its way");
        assert_eq!(upload.read(&answer(400, &[], MISSING)).unwrap(), Outcome::Known);
        assert_eq!(next(&upload), head());
        assert_eq!(upload.read(&offset(200, 0)).unwrap(), Outcome::Known, "a gateway kept it all back");
        assert_eq!(next(&upload), patch(0, 6 * MIB));
    }

    #[test]
    fn a_cut_creation_is_made_again() {
        let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
        upload.interrupted();
        assert_eq!(next(&upload), create(6 * MIB));
    }

    #[test]
    fn a_partial_offset_of_an_evicted_request_is_trusted() {
        let mut upload = half_way();
        assert_eq!(upload.read(&offset(204, 13 * MIB / 2)).unwrap(), Outcome::Progress);
        assert_eq!(next(&upload), patch(13 * MIB / 2, 25 * MIB / 2));
    }

    #[test]
    fn a_wrong_offset_is_asked_for() {
        let mut upload = half_way();
        assert_eq!(upload.read(&answer(409, &[], "Upload-Offset conflict")).unwrap(), Outcome::Known);
        assert_eq!(next(&upload), head());
    }

    #[test]
    fn a_lost_upload_is_looked_up_and_then_made_anew() {
        for status in [404, 410] {
            let mut upload = half_way();
            assert_eq!(upload.read(&answer(status, &[], "not found")).unwrap(), Outcome::Known);
            assert_eq!(next(&upload), info(), "{status}");
            assert_eq!(upload.read(&answer(400, &[], MISSING)).unwrap(), Outcome::Known);
            assert_eq!(upload.read(&answer(status, &[], "")).unwrap(), Outcome::Known);
            assert_eq!(next(&upload), create(6 * MIB), "{status}");
            assert_eq!(upload.offset(), 0);
        }
    }

    #[test]
    fn a_lost_last_answer_is_settled_by_the_version() {
        let mut upload = at_the_end();
        upload.interrupted();
        assert_eq!(next(&upload), info());
        let mut other = upload.clone();
        assert_eq!(upload.read(&answer(200, &[], r#"{"version":"v1","size":1}"#)).unwrap(), Outcome::Complete);
        let foreign = r#"{"version":"v0","size":13631488}"#;
        assert_eq!(other.read(&answer(200, &[], foreign)).unwrap(), Outcome::Known, "an older image of that size");
        assert_eq!(next(&other), head());
        assert_eq!(other.read(&offset(200, 12 * MIB)).unwrap(), Outcome::Known);
        assert_eq!(next(&other), patch(12 * MIB, 13 * MIB));
    }

    #[test]
    fn without_a_version_the_size_must_do() {
        let mut upload = at_the_end();
        upload.interrupted();
        assert_eq!(upload.read(&answer(200, &[], r#"{"size":13631488}"#)).unwrap(), Outcome::Complete);
        let mut upload = at_the_end();
        upload.interrupted();
        assert_eq!(upload.read(&answer(200, &[], r#"{"size":13631487}"#)).unwrap(), Outcome::Known);
    }

    #[test]
    fn an_ended_upload_that_says_so_is_looked_up() {
        let mut upload = at_the_end();
        assert_eq!(upload.read(&answer(409, &[], "The resource already exists")).unwrap(), Outcome::Known);
        assert_eq!(next(&upload), info());
        assert_eq!(upload.read(&answer(200, &[], r#"{"version":"v1"}"#)).unwrap(), Outcome::Complete);
    }

    #[test]
    fn an_upload_that_is_resumed_later_may_have_ended() {
        let mut upload = Upload::new(13 * MIB, 6 * MIB, Some(id()), false);
        assert_eq!(next(&upload), info());
        assert_eq!(upload.read(&answer(400, &[], MISSING)).unwrap(), Outcome::Known);
        assert_eq!(next(&upload), head());
        assert_eq!(upload.read(&offset(200, 6 * MIB)).unwrap(), Outcome::Progress);
        assert_eq!(next(&upload), patch(6 * MIB, 12 * MIB));
    }

    #[test]
    fn an_upload_that_has_all_bytes_but_is_no_object_is_made_anew() {
        let mut upload = Upload::new(13 * MIB, 6 * MIB, Some(id()), false);
        upload.read(&answer(400, &[], MISSING)).unwrap();
        assert_eq!(upload.read(&offset(200, 13 * MIB)).unwrap(), Outcome::Known);
        assert_eq!(next(&upload), create(6 * MIB));
    }

    #[test]
    fn refusals_tell_what_may_mend_them() {
        let jwt = r#"{"statusCode":"403","error":"Unauthorized","message":"\"exp\" claim timestamp check failed"}"#;
        for (status, body, code, remedy) in [
            (423, "", Code::Unavailable, Remedy::Wait),
            (503, "could not get the lock", Code::Unavailable, Remedy::Wait),
            (400, "Request aborted due to lock acquired", Code::Unavailable, Remedy::Wait),
            (400, jwt, Code::Unauthorized, Remedy::FreshToken),
            (403, "new row violates row-level security policy", Code::Forbidden, Remedy::None),
            (413, "Maximum size exceeded", Code::TooLarge, Remedy::None),
            (415, "mime type not supported", Code::TypeNotAllowed, Remedy::None),
            (400, "Invalid key", Code::Rejected, Remedy::None),
        ] {
            for mut upload in [Upload::new(13 * MIB, 6 * MIB, None, false), half_way()] {
                let before = upload.id.clone();
                let refusal = upload.read(&answer(status, &[], body)).unwrap_err();
                assert_eq!((refusal.error.code, refusal.remedy), (code, remedy), "{status} {body}");
                assert_eq!(upload.id, before, "the upload is not given up");
            }
        }
        let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
        let refusal = upload.read(&answer(404, &[], "Bucket not found")).unwrap_err();
        assert_eq!((refusal.error.code, refusal.remedy), (Code::BucketMissing, Remedy::None));
    }

    #[test]
    fn a_missing_bucket_is_a_refused_token_where_the_server_has_taken_the_upload() {
        let body =
            r#"{"statusCode":"404","error":"Bucket not found","message":"Bucket not found","code":"NoSuchBucket"}"#;
        let older = r#"{"statusCode":"404","error":"Bucket not found","message":"Bucket not found"}"#;
        for body in [body, older] {
            let mut upload = at_the_end();
            upload.interrupted();
            let refusal = upload.read(&answer(400, &[], body)).unwrap_err();
            assert_eq!((refusal.error.code, refusal.remedy), (Code::Unauthorized, Remedy::FreshToken));
            assert!(refusal.error.message.contains("the token was refused"), "{}", refusal.error.message);
            assert_eq!(next(&upload), info(), "asked again with another");
            assert_eq!(upload.read(&answer(400, &[], MISSING)).unwrap(), Outcome::Known);
        }
    }

    #[test]
    fn a_gateways_refusal_leaves_the_upload_as_it_is() {
        for status in [401, 403] {
            let mut upload = half_way();
            let refusal = upload.read(&answer(status, &[], "<html>Blocked</html>")).unwrap_err();
            assert_eq!((refusal.error.code, refusal.error.turned_away), (Code::Unavailable, true), "{status}");
            assert_eq!(next(&upload), head());
            assert_eq!(upload.read(&answer(status, &[], "")).unwrap(), Outcome::Known, "HEAD tells nothing of why");
            assert_eq!(next(&upload), info());
            assert!(upload.read(&answer(status, &[], "<html>")).unwrap_err().error.turned_away);
        }
    }

    #[test]
    fn a_gateway_that_knows_no_route_says_nothing_of_bucket_or_upload() {
        for body in ["<html>Not Found</html>", "404 page not found\n", ""] {
            let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
            let refusal = upload.read(&answer(404, &[], body)).unwrap_err();
            assert_eq!((refusal.error.code, refusal.remedy), (Code::Unavailable, Remedy::Wait), "{body}");
            let mut upload = half_way();
            assert_eq!(upload.read(&answer(404, &[], body)).unwrap(), Outcome::Known, "{body}");
            assert_eq!(next(&upload), info(), "Storage is asked");
            let refusal = upload.read(&answer(404, &[], body)).unwrap_err();
            assert_eq!((refusal.error.code, refusal.remedy), (Code::Unavailable, Remedy::Wait), "{body}");
            assert_eq!((next(&upload), upload.offset()), (info(), 6 * MIB), "nothing is given up");
        }
        for status in [400, 409, 415] {
            let mut upload = Upload::new(13 * MIB, 6 * MIB, None, false);
            let refusal = upload.read(&answer(status, &[], "<html>")).unwrap_err();
            assert_eq!((refusal.error.code, refusal.error.turned_away), (Code::Unavailable, true), "{status}");
        }
    }

    #[test]
    fn an_expired_token_is_no_dead_upload() {
        let jwt = r#"{"statusCode":"403","error":"Unauthorized","message":"\"exp\" claim timestamp check failed"}"#;
        let mut upload = half_way();
        assert!(upload.read(&answer(400, &[], jwt)).is_err());
        assert_eq!(next(&upload), head());
        assert!(upload.read(&answer(400, &[], jwt)).is_err(), "on HEAD too");
        assert_eq!(next(&upload), head());
        assert_eq!(upload.read(&offset(200, 6 * MIB)).unwrap(), Outcome::Known);
        assert_eq!(next(&upload), patch(6 * MIB, 12 * MIB));
    }
}
