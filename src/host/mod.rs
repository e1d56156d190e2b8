//! What the library needs of its host, and the only files that touch it. Tests drive the same code with a fake clock
//! and a fake network.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod body;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod fetch;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod image;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub(crate) mod js;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod place;
#[cfg(all(target_arch = "wasm32", target_os = "unknown", feature = "outbox"))]
pub mod store;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub(crate) mod thrown;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub(crate) mod time;
#[cfg(target_os = "wasi")]
pub mod wasi;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod web;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod xhr;

use core::ops::Range;
use std::rc::Rc;

use crate::error::Cause;
#[cfg(feature = "outbox")]
use crate::error::Error;
use crate::image::thumbnail::Thumbnail;
use crate::json::Json;
#[cfg(feature = "outbox")]
use crate::outbox::job::{Job, Limits, Which};
use crate::wire::event::Event;
use crate::wire::http::{Failure, Request, Response};

/// How long an attempt may go on. Where its progress can be seen, it is cut after `idle_ms` without any; where it can't, or
/// once the system has taken the last byte, after both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Without any progress.
    pub idle_ms: u32,
    /// What its bytes take on a slow line.
    pub line_ms: u32,
}

/// Told of the bytes of a request that are sent.
pub type OnSent = Rc<dyn Fn(u64)>;

/// A host: a page, a worker, a server, or a test.
///
/// Dropping a future that these methods return stops what it does at once.
#[allow(async_fn_in_trait)]
pub trait Platform {
    /// A handle to an image's bytes, which stay on the host's side. Cheap to clone.
    type Bytes: Clone;

    /// Sends a request and reads the whole answer, telling `on_sent` of the bytes that are sent, if the host can see them.
    async fn send(
        &self,
        request: Request<Self::Bytes>,
        patience: Patience,
        on_sent: Option<OnSent>,
    ) -> Result<Response, Failure>;

    /// Waits.
    async fn sleep(&self, ms: u32);

    /// The user's token, where the caller gave a way to ask for one. Waits for it for `patience_ms` at most. The error
    /// is a message and what was thrown.
    async fn access_token(&self, patience_ms: u32) -> Result<Option<String>, (String, Option<Cause>)>;

    /// Whether [`Platform::access_token`] may give another token when asked again.
    fn has_access_token(&self) -> bool;

    /// The length of the image in bytes.
    fn size(&self, bytes: &Self::Bytes) -> u64;

    /// A piece of the image, as a handle of its own.
    fn slice(&self, bytes: &Self::Bytes, piece: Range<u64>) -> Self::Bytes;

    /// The MIME type that the image has by itself, as a `Blob` has, if any.
    fn own_type(&self, bytes: &Self::Bytes) -> Option<String>;

    /// A small picture of the image, as a handle with a type of its own; none where the host draws none.
    async fn thumbnail(&self, _: &Self::Bytes, _: &Thumbnail) -> Option<Self::Bytes> {
        None
    }

    /// Has the whole image at hand, where that spares questions to whoever has it. What can't be read is told of when it is.
    #[cfg(feature = "outbox")]
    async fn load(&self, _: &Self::Bytes) {}

    /// The bytes of a piece of the image, as far as there are any, or why they can't be read.
    async fn read(&self, bytes: &Self::Bytes, piece: Range<u32>) -> Result<Vec<u8>, Cause>;

    /// Told of every request, where the caller wants to hear of them. What it does itself must not matter here.
    fn tell(&self, _: &Event) {}

    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// What the host's `JSON.parse` makes of a text.
    fn parse_json(&self, text: &str) -> Option<Json>;

    /// Milliseconds since 1970 of an HTTP date.
    fn parse_date(&self, date: &str) -> Option<i64>;

    /// How much is taken off a wait, so that not everybody is back at once: a random number in `0.0..1.0`.
    fn jitter(&self) -> f64;

    /// Random bytes that nobody can guess, where the host has a source of them.
    fn random_bytes(&self) -> Option<[u8; 16]>;
}

/// What became of a job that was to be added.
#[cfg(feature = "outbox")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Added {
    /// It is stored, at this position.
    New(u64),
    /// The same id and path are there already.
    Known,
    /// Its id is there with another path.
    IdTaken,
    /// Another job holds its path.
    PathTaken,
    /// A limit is reached.
    Full,
}

/// A job as it is stored.
#[cfg(feature = "outbox")]
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Where it is looked for.
    pub id: String,
    /// Its place among all.
    pub position: u64,
    /// Before when it is not tried on its own, in ms since 1970.
    pub not_before_ms: i64,
    /// How often it was written.
    pub revision: u64,
    /// [`Job::to_text`]; nothing of it is promised. A text about another job than the one under whose id and path it is
    /// stored counts as null: who keeps it looks for that.
    pub json: Json,
}

/// Which of the jobs that wait are read.
#[cfg(feature = "outbox")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Query {
    /// Those that may be tried: by when, and then by position.
    Due {
        /// Those behind the one whose time, in ms since 1970, and position these are.
        after: Option<(i64, u64)>,
        /// Those that may be tried by then, in ms since 1970; without it all.
        until_ms: Option<i64>,
    },
    /// Those whose wait began after then, in ms since 1970: somebody has put the clock back since.
    WaitSince(i64),
    /// Those that a gateway turned away last.
    Suspects,
}

/// What came of amending a job.
#[cfg(feature = "outbox")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amended {
    /// It is stored.
    Stored,
    /// Somebody was quicker.
    Outdated,
    /// Another job is on its way to that path.
    PathTaken,
}

/// What waits in a store.
#[cfg(feature = "outbox")]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outlook {
    /// Jobs that will be tried on their own.
    pub waiting: u32,
    /// When the first of them may be, in ms since 1970.
    pub next_due_ms: Option<i64>,
}

/// Where an outbox keeps its jobs and images. Every method is one transaction, durable when it resolves, and costs what the
/// jobs cost that it is about, however many others there are.
#[cfg(feature = "outbox")]
#[allow(async_fn_in_trait)]
pub trait Store {
    /// The platform's handle to an image's bytes.
    type Bytes;

    /// Checks and adds a job with its image.
    async fn add(&self, job: &Job, image: &Self::Bytes, limits: &Limits) -> Result<Added, Error>;

    /// Puts a removal in the place of its image's job and bytes, if that is of this revision still; without one if there is none
    /// still. `None` where somebody was quicker. Where the storage is full the job is gone all the same.
    async fn supersede(&self, removal: &Job, id: &str, revision: Option<u64>) -> Result<Option<Added>, Error>;

    /// Jobs that wait, `most` at most.
    async fn waiting(&self, query: Query, most: usize) -> Result<Vec<Stored>, Error>;

    /// How many jobs wait, and until when.
    async fn outlook(&self) -> Result<Outlook, Error>;

    /// One job.
    async fn job(&self, id: &str) -> Result<Option<Stored>, Error>;

    /// Which of these jobs are there.
    async fn known(&self, jobs: &[Which]) -> Result<Vec<bool>, Error>;

    /// The image of a job.
    async fn image(&self, job: &Which) -> Result<Option<Self::Bytes>, Error>;

    /// Stores what jobs have become, and removes others with their images: all or nothing. False of each that is gone, and of
    /// each to be removed that another has taken the id of.
    async fn commit(&self, changed: &[&Job], gone: &[Which]) -> Result<Vec<bool>, Error>;

    /// Stores what a job has become if it is the same still, nobody has written it since this revision, and no other has one
    /// of its paths.
    async fn amend(&self, job: &Job, revision: u64) -> Result<Amended, Error>;

    /// Has jobs that can't be read wait no more. They stay.
    async fn shelve(&self, ids: &[String]) -> Result<(), Error>;
}
