//! Requests and answers as plain data. A status code is not an error here.

use serde::Deserialize;

use crate::error::Cause;
use crate::json::Json;

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Removes.
    Delete,
    /// Reads.
    Get,
    /// Asks how far an upload is.
    Head,
    /// Brings a piece.
    Patch,
    /// Creates or asks.
    Post,
    /// Stores, also over what is there.
    Put,
}

impl Method {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// What a request carries. `B` is the platform's handle to an image's bytes, which stay on the host's side.
#[derive(Clone, Debug)]
pub enum Payload<B> {
    /// Nothing.
    Empty,
    /// JSON text.
    Json(String),
    /// An image.
    Image(B),
    /// A form: JSON text, `request`, and files by their parts' names.
    Form(String, Vec<(&'static str, B)>),
}

impl<B> Payload<B> {
    /// What it carries of images.
    pub fn files(&self) -> impl Iterator<Item = &B> {
        let (image, files) = match self {
            Self::Image(image) => (Some(image), Default::default()),
            Self::Form(_, files) => (None, files.as_slice()),
            _ => (None, Default::default()),
        };
        image.into_iter().chain(files.iter().map(|(_, file)| file))
    }
}

/// Who answers for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authority {
    /// Whoever the client sends for: its user, or the holder of its key.
    #[default]
    Client,
    /// The holder of this token of one upload, which stands for a key: then neither key nor user's token goes along.
    Upload(String),
}

/// One request, complete but for the keys.
#[derive(Clone, Debug)]
pub struct Request<B> {
    /// What is done.
    pub method: Method,
    /// Absolute, escaped.
    pub url: String,
    /// In the order in which they were added.
    pub headers: Vec<(&'static str, String)>,
    /// What it carries.
    pub payload: Payload<B>,
    /// Who answers for it.
    pub authority: Authority,
    /// Whether its answer is read for what holds now, so that no cache may come between. Never of an upload: the headers
    /// that say so would be stored with the object.
    pub fresh: bool,
}

impl<B> Request<B> {
    /// A request without a payload.
    pub fn new(method: Method, url: String) -> Self {
        Self { method, url, headers: Vec::new(), payload: Payload::Empty, authority: Authority::Client, fresh: false }
    }

    /// Has no cache come between.
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// Goes with the token of one upload in place of a key.
    pub fn signed(mut self, token: &str) -> Self {
        self.authority = Authority::Upload(token.to_owned());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a header.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Adds JSON text and its `Content-Type`.
    pub fn json(mut self, text: String) -> Self {
        self.payload = Payload::Json(text);
        self.header("Content-Type", "application/json")
    }

    /// Adds an image and its `Content-Type`.
    pub fn image(mut self, image: B, mime_type: &str) -> Self {
        self.payload = Payload::Image(image);
        self.header("Content-Type", mime_type)
    }

    /// Adds a form; its `Content-Type` is the platform's.
    pub fn form(mut self, request: String, files: Vec<(&'static str, B)>) -> Self {
        self.payload = Payload::Form(request, files);
        self
    }
}

/// The headers that a platform copies from an answer.
pub const READ_HEADERS: [&str; 5] = ["content-type", "retry-after", "date", "location", "upload-offset"];

/// The header of every request of a resumable upload.
pub const RESUMABLE: &str = "Tus-Resumable";

/// Those that count in an answer of this status: why nothing was done, or where a resumable upload is.
pub fn counting(status: u16, is_resumable: bool) -> &'static [&'static str] {
    match (200..300).contains(&status) {
        false => &READ_HEADERS,
        true if is_resumable => &["location", "upload-offset"],
        true => &[],
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Of HTTP.
    pub status: u16,
    /// Those of [`READ_HEADERS`] that the answer has, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// As text; bytes that are none are replaced.
    pub body: String,
    /// The body, where it is JSON.
    pub json: Option<Json>,
}

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it is a problem (RFC 9457), by its type.
    pub fn is_problem(&self) -> bool {
        let essence = self.header("content-type").and_then(|value| value.split([';']).next()).unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/problem+json")
    }

    /// The body, where it is JSON of this form.
    pub fn read<'de, T: Deserialize<'de>>(&'de self) -> Option<T> {
        T::deserialize(self.json.as_ref()?).ok()
    }

    /// The value of a header of [`READ_HEADERS`].
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The connection failed or broke, also in the midst of the answer: what it says, and the host's own error.
    Network(String, Option<Cause>),
    /// The attempt was cut for want of progress.
    Timeout,
    /// The answer is a redirect; where the host can't be kept from following, that of its target, which counts as none.
    Redirect,
    /// There is one, longer than any that is read here.
    TooLong,
    /// The image can't be read any more, or is no more what it was.
    Image(String, Option<Cause>),
    /// The host's framework wants the caller's work to end with what it threw.
    CalledOff(Option<Cause>),
}
