//! What ends a call from outside, and drops its work: its caller, or its deadline.

use core::future::pending;

use super::call::{Call, Work};
use super::client::Client;
use crate::error::Error;
use crate::host::Platform;
use crate::race::first_of;

impl<P: Platform> Client<P> {
    /// Does `work`, until it is done or the call is stopped.
    pub(super) async fn unless_stopped<T>(&self, call: &Call, work: Work<'_, T>) -> Result<T, Error> {
        let stopped = async { Err(self.stopped(call).await) };
        first_of(Box::pin(stopped), work).await
    }

    /// Ends when the call is stopped, with the error of that; never where nobody may stop it.
    pub(super) async fn stopped(&self, call: &Call) -> Error {
        let aborted = async {
            match &call.options.abort {
                Some(abort) => {
                    abort.aborted().await;
                    call.aborted(&**abort)
                }
                None => pending().await,
            }
        };
        let expired = async {
            match call.options.deadline_ms {
                Some(ms) => {
                    self.platform.sleep(ms).await;
                    call.expired(ms)
                }
                None => pending().await,
            }
        };
        first_of(Box::pin(aborted), Box::pin(expired)).await
    }
}
