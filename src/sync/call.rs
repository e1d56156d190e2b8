//! One call: what it was asked for, where it is, who is told of it, and what it has brought.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::Serialize;

use crate::error::{Cause, Code, Error, Stage};
use crate::image::meta::Shipment;
use crate::race::Racer;
use crate::wire::Landed;
use crate::wire::link::Link;

/// What an image on its way has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reached {
    /// The bytes are on their way.
    Upload,
    /// The bytes are there, the row is on its way.
    Insert,
    /// Both are there.
    Done,
}

/// How far an image is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// What of the way it is on.
    pub stage: Reached,
    /// Bytes known to be sent.
    pub sent: u64,
    /// Bytes of the image.
    pub total: u64,
}

/// A wait that is about to begin, and why.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retrying {
    /// What is tried again.
    pub stage: Stage,
    /// Why.
    pub code: Code,
    /// The answer's status, if there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Attempts made so far.
    pub attempt: u32,
    /// How long it waits before the next.
    pub wait_ms: u32,
}

/// Who is told what a call does. What it does itself, throwing and calling back included, must not matter here.
pub trait Observer {
    /// The call got further.
    fn progress(&self, progress: Progress);
    /// The call is about to wait.
    fn retrying(&self, retrying: Retrying);
    /// Whether progress is of interest, so that it is worth watching bytes.
    fn watches(&self) -> bool;
}

/// Nobody is told.
pub struct Nobody;

impl Observer for Nobody {
    fn progress(&self, _: Progress) {}

    fn retrying(&self, _: Retrying) {}

    fn watches(&self) -> bool {
        false
    }
}

/// Tells how far one call's image is; never less than was told before.
pub(super) struct Meter {
    pub(super) observer: Rc<dyn Observer>,
    sent: Cell<u64>,
    pub(super) total: Cell<u64>,
}

impl Meter {
    pub(super) fn reach(&self, stage: Reached, sent: u64) {
        // A form is a little longer than its image.
        self.sent.set(sent.min(self.total.get()).max(self.sent.get()));
        self.observer.progress(Progress { stage, sent: self.sent.get(), total: self.total.get() });
    }
}

/// Who keeps an upload's name at the server, so that it can be resumed later.
pub trait Resumption {
    /// The name of an earlier attempt at this upload.
    fn earlier(&self) -> Option<String>;
    /// Called after every step of an upload in pieces.
    fn keep<'a>(&'a self, id: Option<&'a str>) -> Work<'a, ()>;
}

/// An upload that lives as long as its call.
pub(super) struct Unkept;

impl Resumption for Unkept {
    fn earlier(&self) -> Option<String> {
        None
    }

    fn keep<'a>(&'a self, _: Option<&'a str>) -> Work<'a, ()> {
        Box::pin(core::future::ready(Ok(())))
    }
}

/// A caller's way to stop a call.
pub trait Abort {
    /// Ends when the caller stops it.
    fn aborted(&self) -> Racer<'_, ()>;
    /// Why, in the caller's own words.
    fn reason(&self) -> Option<Cause>;
}

/// What a call is asked for, and what keeps it within bounds.
#[derive(Default)]
pub struct Options {
    /// How long it may take in all.
    pub deadline_ms: Option<u32>,
    /// How its caller stops it.
    pub abort: Option<Box<dyn Abort>>,
    /// The link that is wanted with the image.
    pub link: Option<Link>,
    /// Whether it may go with no other user's token than the owner's: it is for what was accepted earlier.
    pub owner_only: bool,
}

/// Where a call is: for the error if it is stopped from outside, and for who is told of its requests.
pub(super) struct Trace {
    stage: Cell<Stage>,
    /// Of this stage, so far.
    pub(super) attempts: Cell<u32>,
    image: RefCell<Place>,
    /// The images of its request, where that is about several.
    group: RefCell<Vec<String>>,
}

/// Where a call's image is to be, as far as that is known: its path may be the Worker's to say.
#[derive(Clone, Default)]
struct Place {
    storage_path: Option<String>,
    image_id: Option<String>,
}

impl Trace {
    fn new() -> Self {
        let (stage, attempts) = (Cell::new(Stage::Request), Cell::default());
        Self { stage, attempts, image: RefCell::default(), group: RefCell::default() }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// The call goes on to a stage, of which nothing was tried yet.
    pub(super) fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        self.attempts.set(0);
    }

    /// Notes where the image is to be, for the error that may come.
    pub(super) fn locate(&self, storage_path: Option<String>, image_id: Option<&str>) {
        self.image.replace(Place { storage_path, image_id: image_id.map(str::to_owned) });
    }

    /// Whether it is known which image it is about.
    pub(super) fn is_located(&self) -> bool {
        self.image.borrow().image_id.is_some()
    }

    /// Notes which image it is about, for who is told of it, unless that is known.
    pub(super) fn is_about(&self, image_id: &str) {
        if !self.is_located() {
            self.locate(None, Some(image_id));
        }
    }

    /// Notes which images the next request is about, for who is told of it.
    pub(super) fn gather(&self, image_ids: impl Iterator<Item = String>) {
        self.group.replace(image_ids.collect());
    }

    /// The images that its request is about, once that is known.
    pub(super) fn image_ids(&self) -> Vec<String> {
        match &self.image.borrow().image_id {
            Some(image_id) => vec![image_id.clone()],
            None => self.group.borrow().clone(),
        }
    }

    /// The error, saying where the image is to be.
    pub(super) fn located(&self, mut error: Error) -> Error {
        Place { storage_path: error.storage_path, image_id: error.image_id } = self.image.borrow().clone();
        error
    }
}

/// What a call has brought so far.
#[derive(Default)]
pub(super) struct Outcome {
    /// The link, as soon as it is there.
    pub(super) signed_url: RefCell<Option<String>>,
    /// Where the image landed, while its link is still waited for.
    pub(super) arrived: RefCell<Option<Synced>>,
}

/// One call: what it was asked for, who is told of it, where it is, and what it has brought.
pub struct Call {
    pub(super) options: Options,
    pub(super) meter: Rc<Meter>,
    pub(super) trace: Trace,
    pub(super) outcome: Outcome,
}

impl Call {
    /// A call that has not begun.
    pub fn new(observer: Rc<dyn Observer>, options: Options) -> Self {
        let meter = Rc::new(Meter { observer, sent: Cell::default(), total: Cell::default() });
        Self { options, meter, trace: Trace::new(), outcome: Outcome::default() }
    }

    /// A call for what was accepted earlier: it may go with no other user's token than the owner's.
    pub fn for_owner(observer: Rc<dyn Observer>) -> Self {
        Self::new(observer, Options { owner_only: true, ..Options::default() })
    }

    /// A call for a part of what this one is for, of which the same are told.
    pub(super) fn part(&self) -> Self {
        Self::new(self.meter.observer.clone(), Options::default())
    }

    /// A call for what goes beside this one's image: as whoever it goes, and its caller is not told how far it is.
    pub(super) fn unwatched(&self) -> Self {
        let call = Self::new(Rc::new(Nobody), Options { owner_only: self.options.owner_only, ..Options::default() });
        call.trace.image.replace(self.trace.image.borrow().clone());
        call
    }

    /// The error of a call that was stopped, saying where it was.
    pub fn stopped(&self, code: Code, why: &str) -> Error {
        let stage = self.trace.stage();
        let mut error = Error::new(stage, code, format!("{}: {why}", stage.label()));
        error.attempts = self.trace.attempts.get();
        self.trace.located(error)
    }

    /// The error of a call whose time is over.
    pub(super) fn expired(&self, deadline_ms: u32) -> Error {
        let mut error = self.stopped(Code::DeadlineExceeded, &format!("not done within {deadline_ms} ms"));
        error.retryable = true;
        error
    }

    /// The error of a call that its caller has stopped.
    pub fn aborted(&self, abort: &dyn Abort) -> Error {
        self.stopped(Code::Aborted, "aborted by the caller").with_cause(abort.reason())
    }
}

/// Where an image landed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Synced {
    /// Where the object is, below the bucket.
    pub storage_path: String,
    /// The UUID of the row.
    pub image_id: String,
    /// The Worker has it and will bring it there.
    #[serde(skip_serializing_if = "is_false")]
    pub queued: bool,
    /// Where the call was asked for one: `None` in it is one that can't be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_url: Option<Option<String>>,
}

impl Synced {
    /// The link that was wanted can't be had, unless it came.
    #[cfg(feature = "many")]
    pub(super) fn without_link(&mut self) {
        self.signed_url.get_or_insert(None);
    }
}

impl Landed {
    /// What the caller hears of it.
    pub(super) fn synced<B>(self, shipment: &Shipment<B>) -> Synced {
        let queued = matches!(self, Self::Queued { .. });
        let storage_path = match self {
            Self::InBucket => shipment.storage_path.as_str().to_owned(),
            Self::Stored { path } | Self::Queued { path } => path,
        };
        Synced { storage_path, image_id: shipment.image_id.clone(), queued, signed_url: None }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A call's work, which its caller or its deadline may stop.
pub type Work<'a, T> = Racer<'a, Result<T, Error>>;
