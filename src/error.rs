//! The one error of the library. `api` turns it into a JavaScript `Error`; `pkg/index.d.ts` documents its fields.

use core::any::Any;
use core::ops::{Deref, DerefMut};
use std::rc::Rc;

use crate::json::ObjectText;

/// What was being done when a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the options.
    Config,
    /// Checking the request, before anything is sent.
    Request,
    /// Bringing the bytes into Storage.
    Upload,
    /// Bringing the row into the database.
    Insert,
    /// Asking for a signed URL.
    Sign,
    /// Keeping images in the outbox.
    Outbox,
}

impl Stage {
    /// The name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Request => "request",
            Self::Upload => "upload",
            Self::Insert => "insert",
            Self::Sign => "sign",
            Self::Outbox => "outbox",
        }
    }

    /// How a message of this stage starts.
    pub fn label(self) -> &'static str {
        match self {
            Self::Upload => "storage upload",
            Self::Insert => "db insert",
            other => other.as_str(),
        }
    }
}

/// What went wrong: a closed set, documented in `pkg/index.d.ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Code {
    InvalidConfig,
    SecretKeyInBrowser,
    InvalidRequest,
    InvalidImage,
    Aborted,
    Network,
    Timeout,
    DeadlineExceeded,
    BadResponse,
    TokenUnavailable,
    Unauthorized,
    Forbidden,
    BucketMissing,
    SchemaNotExposed,
    TableMissing,
    ObjectMissing,
    TooLarge,
    TypeNotAllowed,
    IdTaken,
    RateLimited,
    Unavailable,
    WrongUser,
    PathTaken,
    OutboxFull,
    QuotaExceeded,
    StorageUnavailable,
    OutboxTooNew,
    JobUnreadable,
    JobMissing,
    Rejected,
}

impl Code {
    /// The name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfig => "invalid_config",
            Self::SecretKeyInBrowser => "secret_key_in_browser",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidImage => "invalid_image",
            Self::Aborted => "aborted",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::BadResponse => "bad_response",
            Self::TokenUnavailable => "token_unavailable",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::BucketMissing => "bucket_missing",
            Self::SchemaNotExposed => "schema_not_exposed",
            Self::TableMissing => "table_missing",
            Self::ObjectMissing => "object_missing",
            Self::TooLarge => "too_large",
            Self::TypeNotAllowed => "type_not_allowed",
            Self::IdTaken => "id_taken",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::WrongUser => "wrong_user",
            Self::PathTaken => "path_taken",
            Self::OutboxFull => "outbox_full",
            Self::QuotaExceeded => "quota_exceeded",
            Self::StorageUnavailable => "storage_unavailable",
            Self::OutboxTooNew => "outbox_too_new",
            Self::JobUnreadable => "job_unreadable",
            Self::JobMissing => "job_missing",
            Self::Rejected => "rejected",
        }
    }
}

/// A value of the host's that explains an error, such as what a callback threw. Opaque here.
pub type Cause = Rc<dyn Any>;

/// Why a call failed. Never holds a key, a token or a signed URL.
///
/// A box around its [`Details`]: every function here returns one or passes one on, and code size is what a page loads.
#[derive(Clone, Debug)]
pub struct Error(Box<Details>);

impl Deref for Error {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

/// What is known of a failed call.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Details {
    pub stage: Stage,
    pub code: Code,
    pub message: String,
    /// The option or the request's field at fault.
    pub field: Option<String>,
    /// HTTP status of the last answer.
    pub status: Option<u16>,
    /// The server's own code: a SQLSTATE, PostgREST's or Storage's.
    pub server_code: Option<String>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// A gateway answered so in the service's place: no word on the token, and perhaps on these bytes.
    pub turned_away: bool,
    /// How long the server asked to wait, in ms.
    pub retry_after_ms: Option<u32>,
    /// Requests sent for the failed stage.
    pub attempts: u32,
    pub storage_path: Option<String>,
    pub image_id: Option<String>,
    pub cause: Option<Cause>,
}

impl Error {
    /// An error that trying again won't mend.
    pub fn new(stage: Stage, code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            stage,
            code,
            message: message.into(),
            field: None,
            status: None,
            server_code: None,
            retryable: false,
            turned_away: false,
            retry_after_ms: None,
            attempts: 0,
            storage_path: None,
            image_id: None,
            cause: None,
        }))
    }

    /// An option at fault.
    pub fn option(field: &str, problem: &str) -> Self {
        Self::new(Stage::Config, Code::InvalidConfig, format!("option {field}: {problem}")).with_field(field)
    }

    /// A field of the request at fault.
    pub fn field(field: &str, problem: &str) -> Self {
        Self::new(Stage::Request, Code::InvalidRequest, format!("{field}: {problem}")).with_field(field)
    }

    /// An image that is not what was promised.
    pub fn image(problem: &str) -> Self {
        Self::new(Stage::Request, Code::InvalidImage, format!("image: {problem}")).with_field("image")
    }

    /// Names the option or field at fault.
    pub fn with_field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// Replaces the message.
    pub fn with_message(mut self, message: &str) -> Self {
        self.message = message.to_owned();
        self
    }

    /// What is known of it, without its cause, as a JSON object's text.
    pub fn to_text(&self) -> String {
        let mut json = ObjectText::default();
        for (name, text) in [
            ("message", Some(self.message.as_str())),
            ("stage", Some(self.stage.as_str())),
            ("code", Some(self.code.as_str())),
            ("field", self.field.as_deref()),
            ("serverCode", self.server_code.as_deref()),
            ("storagePath", self.storage_path.as_deref()),
            ("imageId", self.image_id.as_deref()),
        ] {
            if let Some(text) = text {
                json.text(name, text);
            }
        }
        for (name, number) in [
            ("status", self.status.map(u32::from)),
            ("retryAfterMs", self.retry_after_ms),
            ("attempts", Some(self.attempts)),
        ] {
            if let Some(number) = number {
                json.raw(name, &number.to_string());
            }
        }
        json.raw("retryable", if self.retryable { "true" } else { "false" });
        json.finish()
    }

    /// Adds the host's own value.
    pub fn with_cause(mut self, cause: Option<Cause>) -> Self {
        self.cause = cause;
        self
    }
}
