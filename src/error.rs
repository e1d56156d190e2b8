//! The one error of the library. `api` turns it into a JavaScript `Error`; `pkg/index.d.ts` documents its fields.

use core::any::Any;
use core::ops::{Deref, DerefMut};
use std::rc::Rc;

use serde::Serialize;

/// What was being done when a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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
    /// Looking for images.
    List,
    /// Removing an image.
    Remove,
    /// Keeping images in the outbox.
    Outbox,
}

impl Stage {
    /// How a message of this stage starts.
    pub fn label(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Request => "request",
            Self::Upload => "storage upload",
            Self::Insert => "db insert",
            Self::Sign => "sign",
            Self::List => "list",
            Self::Remove => "remove",
            Self::Outbox => "outbox",
        }
    }
}

/// What went wrong: a closed set, documented in `pkg/index.d.ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// An option is missing or can't be right.
    InvalidConfig,
    /// A secret key was given where whoever opens the page could read it.
    SecretKeyInBrowser,
    /// A field of the request can't be right.
    InvalidRequest,
    /// The image is empty, none, or can't be read.
    InvalidImage,
    /// The caller's signal ended the call.
    Aborted,
    /// The connection failed or broke.
    Network,
    /// No progress for `timeoutMs`.
    Timeout,
    /// Not done within `deadlineMs`.
    DeadlineExceeded,
    /// An answer that the service it was sent to does not give.
    BadResponse,
    /// `accessToken` failed or gave nothing.
    TokenUnavailable,
    /// The server refused key or token.
    Unauthorized,
    /// A policy of the project refused it.
    Forbidden,
    /// The project has no such bucket.
    BucketMissing,
    /// PostgREST does not show the schema.
    SchemaNotExposed,
    /// The schema has no such table.
    TableMissing,
    /// There is no such object, or none that this caller may see.
    ObjectMissing,
    /// Over a limit of bucket, project or gateway.
    TooLarge,
    /// The bucket takes no image of this type.
    TypeNotAllowed,
    /// Another row has this `imageId`.
    IdTaken,
    /// The server asks to slow down.
    RateLimited,
    /// The server can't for now.
    Unavailable,
    /// The token is another user's than the owner.
    WrongUser,
    /// Another image of the same call or outbox goes to this storage path.
    PathTaken,
    /// `maxJobs` or `maxBytes` of the outbox is reached.
    OutboxFull,
    /// The browser has no room left.
    QuotaExceeded,
    /// The browser's database can't be used.
    StorageUnavailable,
    /// A newer version of the package wrote the database.
    OutboxTooNew,
    /// What the outbox holds of a job is damaged.
    JobUnreadable,
    /// The outbox has no such job.
    JobMissing,
    /// The outbox's job is not in a state for that.
    InvalidState,
    /// The server refused it for another reason.
    Rejected,
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

/// What is known of a failed call, and, written by serde, what JavaScript sees of it and an outbox keeps.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// For people, in English: what failed, and where it can be told what to do. Holds no key and no token.
    pub message: String,
    /// What was being done.
    pub stage: Stage,
    /// For programs.
    pub code: Code,
    /// The option or the request's field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// HTTP status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The server's own code: a SQLSTATE, PostgREST's or Storage's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_code: Option<String>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// A gateway answered so in the service's place: no word on the token, and perhaps on these bytes.
    #[serde(skip)]
    pub turned_away: bool,
    /// How long the server asked to wait, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// Requests sent for the failed stage.
    pub attempts: u32,
    /// Where the image is to be, once that is fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_path: Option<String>,
    /// The id of its row, once that is fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// What was thrown.
    #[serde(skip)]
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

    /// Adds the host's own value.
    pub fn with_cause(mut self, cause: Option<Cause>) -> Self {
        self.cause = cause;
        self
    }
}
