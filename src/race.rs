//! Several futures at once: the first of two, and all of many.

use core::pin::Pin;
use core::task::Poll;

/// One of two futures of which the first one counts.
pub type Racer<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The result of whichever is ready first; the other one is dropped, and so stopped.
pub fn first_of<T>(mut one: Racer<'_, T>, mut other: Racer<'_, T>) -> impl Future<Output = T> {
    core::future::poll_fn(move |context| match one.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => other.as_mut().poll(context),
    })
}

/// The result of `main`. Meanwhile `other` goes on, and may be gone on with after it; when it has ended, it is gone.
pub fn beside<'a, T: 'a>(mut main: Racer<'a, T>, other: &'a mut Option<Racer<'_, ()>>) -> impl Future<Output = T> + 'a {
    core::future::poll_fn(move |context| {
        if other.as_mut().is_some_and(|other| other.as_mut().poll(context).is_ready()) {
            *other = None;
        }
        main.as_mut().poll(context)
    })
}

/// The result of `work`, which is not gone on with before what `look` gives now and then has ended.
#[cfg(feature = "outbox")]
pub fn after_looks<'a, T: 'a>(
    mut work: Racer<'a, T>,
    look: impl Fn() -> Option<Racer<'a, ()>> + 'a,
) -> impl Future<Output = T> + 'a {
    let mut looking: Option<Racer<'a, ()>> = None;
    core::future::poll_fn(move |context| {
        if looking.is_none() {
            looking = look();
        }
        if looking.as_mut().is_some_and(|looking| looking.as_mut().poll(context).is_pending()) {
            return Poll::Pending;
        }
        looking = None;
        work.as_mut().poll(context)
    })
}

/// Ends when all have.
pub fn all_of(mut futures: Vec<Racer<'_, ()>>) -> impl Future<Output = ()> {
    core::future::poll_fn(move |context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
}
