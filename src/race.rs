//! One of two futures, whichever is ready first.

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
