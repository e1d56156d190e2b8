//! The world `library`: a sink for other components.

use core::cell::RefCell;
use std::rc::Rc;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::Pollable;

use super::bindings::{
    self,
    exports::imagen::cloud::sinks::{self, CallOptions, Guest, GuestSending, GuestSink, SignOptions, SyncOptions},
};
use super::values::{self, checked_list, read_options, read_path, read_request};
use super::{link, list};
use crate::config::Config;
use crate::error::{Code, Error};
use crate::host::wasi::Wasi;
use crate::host::wasi::run::{block_on, step};
use crate::image::path::StoragePath;
use crate::sync::call::{self, Call, Nobody, Synced, Work};
use crate::sync::client::Client;
use crate::wire::link::Link;
use crate::wire::sign;

struct Component;

#[allow(unsafe_code)]
mod exported {
    use super::{Component, bindings};

    bindings::export!(Component with_types_in bindings);
}

impl Guest for Component {
    type Sending = Sending;
    type Sink = Sink;
}

/// How many images at once, where nothing is said, and at most.
const CONCURRENCY: (u32, u32) = (6, 100);

/// A configured connection.
pub(super) struct Sink(Rc<Client<Wasi>>);

impl GuestSink for Sink {
    fn connect(options: sinks::Options) -> Result<sinks::Sink, sinks::Error> {
        let connect = || {
            let host = Wasi::default();
            host.set_access_token(options.access_token.as_deref())?;
            let config = Config::new(read_options(options)?, false)?;
            Ok(sinks::Sink::new(Self(Rc::new(Client::new(config, host)))))
        };
        connect().map_err(values::error)
    }

    fn set_access_token(&self, token: Option<String>) -> Result<(), sinks::Error> {
        self.0.platform().set_access_token(token.as_deref()).map_err(values::error)
    }

    fn sync(&self, request: sinks::Request, options: SyncOptions) -> Result<sinks::Synced, sinks::Error> {
        outcome(block_on(self.send(request, options)))
    }

    fn sync_many(
        &self,
        requests: Vec<sinks::Request>,
        options: SyncOptions,
    ) -> Vec<Result<sinks::Synced, sinks::Error>> {
        let call = match link::read_wanted(options.signed_url) {
            Ok(link) => linked(options.deadline_ms, link),
            Err(error) => return requests.iter().map(|_| outcome(Err(error.clone()))).collect(),
        };
        let concurrency = options.concurrency.unwrap_or(CONCURRENCY.0).clamp(1, CONCURRENCY.1);
        let requests = checked_list(requests).map(read_request).collect();
        let outcomes = block_on(Box::pin(self.0.sync_many(requests, concurrency, &call)));
        outcomes.into_iter().map(outcome).collect()
    }

    fn start(&self, request: sinks::Request, options: SyncOptions) -> sinks::Sending {
        sinks::Sending::new(Sending(RefCell::new(State::Working(self.send(request, options)))))
    }

    fn signed_url(&self, storage_path: String, options: SignOptions) -> Result<String, sinks::Error> {
        let call = call(options.deadline_ms);
        let work = async {
            let is_small = options.thumbnail;
            let link = read_link(options)?;
            let path = StoragePath::parse(&storage_path)?.meant(is_small);
            self.0.signed_url(path, &link, &call).await.map(|url| link.saved(url))
        };
        block_on(Box::pin(work)).map_err(values::error)
    }

    fn signed_urls(
        &self,
        storage_paths: Vec<String>,
        options: SignOptions,
    ) -> Result<Vec<Option<String>>, sinks::Error> {
        let (call, urls) = (call(options.deadline_ms), RefCell::new(Vec::new()));
        let work = async {
            let is_small = options.thumbnail;
            let link = read_link(options)?;
            let path = |given| {
                let path = read_path(given)?.meant(is_small);
                sign::check(&path, &link).map(|()| path)
            };
            let paths: Vec<_> = checked_list(storage_paths).map(path).collect::<Result<_, _>>()?;
            let each = |url: Option<String>| urls.borrow_mut().push(url.map(|url| link.saved(url)));
            self.0.signed_urls(&mut paths.into_iter(), &link, &call, &each).await
        };
        block_on(Box::pin(work)).map_err(values::error)?;
        Ok(urls.into_inner())
    }

    fn list(&self, options: sinks::ListOptions) -> Result<sinks::ListedImages, sinks::Error> {
        let call = call(options.deadline_ms);
        let work = async {
            let query = list::read_query(options)?;
            let (page, links) = self.0.list(&query, &call).await?;
            list::images(page, links, &query).ok_or_else(|| call.stopped(Code::BadResponse, "no page of images"))
        };
        block_on(Box::pin(work)).map_err(values::error)
    }

    fn remove(&self, image: sinks::ImageRef, options: CallOptions) -> Result<sinks::ImageRef, sinks::Error> {
        let call = call(options.deadline_ms);
        let removed = block_on(Box::pin(self.0.remove(values::read_image(image), &call)));
        removed.map(values::removed).map_err(values::error)
    }
}

impl Sink {
    /// One image on its way, with all that it needs.
    fn send(&self, request: sinks::Request, options: SyncOptions) -> Work<'static, Synced> {
        let client = self.0.clone();
        Box::pin(async move {
            let call = linked(options.deadline_ms, link::read_wanted(options.signed_url)?);
            client.sync(read_request(Ok(request))?, &call).await
        })
    }
}

fn read_link(options: SignOptions) -> Result<Link, Error> {
    let seconds = options.ttl_seconds.filter(|seconds| *seconds > 0).map(i32::unsigned_abs);
    link::read(seconds, options.download, options.transform)
}

fn call(deadline_ms: Option<u32>) -> Call {
    linked(deadline_ms, None)
}

fn linked(deadline_ms: Option<u32>, link: Option<Link>) -> Call {
    Call::new(Rc::new(Nobody), call::Options { deadline_ms, link, ..call::Options::default() })
}

fn outcome(synced: Result<Synced, Error>) -> Result<sinks::Synced, sinks::Error> {
    synced.map(values::synced).map_err(values::error)
}

/// An image on its way.
pub(super) struct Sending(RefCell<State>);

enum State {
    Working(Work<'static, Synced>),
    Over(Result<sinks::Synced, sinks::Error>),
}

impl Sending {
    /// Gets on; what is waited for then, of work that is not over.
    fn step(&self) -> Vec<Pollable> {
        let mut state = self.0.borrow_mut();
        let State::Working(work) = &mut *state else {
            return Vec::new();
        };
        match step(work) {
            Err(waits) => waits.take(),
            Ok(synced) => {
                *state = State::Over(outcome(synced));
                Vec::new()
            }
        }
    }
}

impl GuestSending for Sending {
    fn subscribe(&self) -> Vec<Pollable> {
        match self.step() {
            over if over.is_empty() => vec![subscribe_duration(0)],
            waits => waits,
        }
    }

    fn finish(&self) -> Option<Result<sinks::Synced, sinks::Error>> {
        drop(self.step());
        match &*self.0.borrow() {
            State::Working(_) => None,
            State::Over(outcome) => Some(outcome.clone()),
        }
    }
}
