//! One drain: what its workers do next, and what a gateway that turns jobs away does to the others.

use core::cell::{Cell, RefCell};
use core::task::{Context, Poll, Waker};
use std::vec::IntoIter;

use super::Stop;
use crate::error::Error;
use crate::outbox::job::Job;

/// Jobs that a gateway turns away in a row before it counts as one that lets nobody through, such as a captive portal.
const TURNED_AWAY_IN_A_ROW: usize = 3;

/// One drain under way. All that waits in it is polled by one task, so that one waker is enough.
#[derive(Default)]
pub(super) struct Round {
    /// Own waits that began by then, in ms since 1970, are disregarded.
    pub(super) forced_until_ms: f64,
    /// The store may hold what the queue does not.
    pub(super) unread: Cell<bool>,
    /// A worker reads it.
    pub(super) reading: Cell<bool>,
    pub(super) queue: RefCell<IntoIter<Job>>,
    /// The jobs that workers have.
    pub(super) in_hand: RefCell<Vec<String>>,
    /// Those of them that were discarded.
    pub(super) discarded: RefCell<Vec<String>>,
    /// Jobs that a gateway has turned away since one got through, in this drain.
    turned_away: RefCell<Vec<String>>,
    /// The same and those of earlier drains: the next that gets through holds it against them.
    suspects: RefCell<Vec<String>>,
    /// Those against whom it is held.
    pub(super) blamed: RefCell<Vec<String>>,
    waker: Cell<Option<Waker>>,
    pub(super) done: Cell<u32>,
    pub(super) failed: Cell<u32>,
    pub(super) stopped: Cell<Option<Stop>>,
    pub(super) broken: RefCell<Option<Error>>,
}

/// What a worker does next.
pub(super) enum Next {
    Read,
    Carry(Box<Job>),
}

impl Round {
    /// One that disregards own waits that began by then.
    pub(super) fn new(forced_until_ms: f64) -> Self {
        Self { forced_until_ms, unread: Cell::new(true), ..Self::default() }
    }

    /// Nothing is next when the round is over. While others are busy there may still be something.
    pub(super) fn next(&self, concurrency: u32, context: &Context<'_>) -> Poll<Option<Next>> {
        if self.stopped.get().is_some() || self.broken.borrow().is_some() {
            return Poll::Ready(None);
        }
        let next = if self.reading.get() {
            None
        } else if self.unread.take() {
            self.reading.set(true);
            Some(Next::Read)
        } else if self.in_hand.borrow().len() < concurrency as usize {
            self.queue.borrow_mut().next().map(Box::new).map(Next::Carry)
        } else {
            None
        };
        match &next {
            None if self.reading.get() || !self.in_hand.borrow().is_empty() => return self.wait(context),
            Some(Next::Carry(job)) => {
                // Its next answer is waited for.
                self.suspects.borrow_mut().retain(|id| *id != job.id);
                self.in_hand.borrow_mut().push(job.id.clone());
            }
            None | Some(Next::Read) => {}
        }
        Poll::Ready(next)
    }

    /// Ends when the job was discarded.
    pub(super) fn is_discarded<T>(&self, id: &String, context: &Context<'_>) -> Poll<Option<T>> {
        if self.discarded.borrow().contains(id) { Poll::Ready(None) } else { self.wait(context) }
    }

    pub(super) fn suspect(&self, id: &str) {
        note(&mut self.suspects.borrow_mut(), id);
    }

    /// A gateway turned the job away. That it turns everybody away is the more likely the more there are.
    pub(super) fn turned_away(&self, id: &str) {
        self.suspect(id);
        let mut turned_away = self.turned_away.borrow_mut();
        note(&mut turned_away, id);
        if turned_away.len() >= TURNED_AWAY_IN_A_ROW {
            self.stopped.set(Some(Stop::TurnedAway));
        }
    }

    /// A job got through: so the gateway turned away those before it for what they are.
    pub(super) fn got_through(&self) {
        self.turned_away.take();
        let blamed = self.suspects.take();
        if !blamed.is_empty() {
            self.blamed.borrow_mut().extend(blamed);
            self.unread.set(true);
        }
    }

    fn wait<T>(&self, context: &Context<'_>) -> Poll<T> {
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Who was turned away comes after those who were not, so that it can't keep them from being tried; and among those the
/// next after the last that was tried.
pub(super) fn in_turn(jobs: Vec<Job>) -> Vec<Job> {
    let (mut before, mut turned_away): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| !job.was_turned_away());
    let tried = turned_away.iter().enumerate().max_by(|(_, a), (_, b)| a.wait_set_ms.total_cmp(&b.wait_set_ms));
    let next = tried.map_or(0, |(at, _)| at + 1);
    before.extend(turned_away.split_off(next));
    before.extend(turned_away);
    before
}

fn note(ids: &mut Vec<String>, id: &str) {
    if !ids.iter().any(|known| known == id) {
        ids.push(id.to_owned());
    }
}
