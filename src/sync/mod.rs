//! The drivers: each takes one call from its request to its result. With the outbox's courier, the only modules that await
//! outside `host` and `api`.

mod arrived;
#[cfg(feature = "many")]
mod batch;
pub mod call;
pub mod client;
mod exchange;
#[cfg(feature = "many")]
pub mod group;
#[cfg(feature = "gallery")]
pub mod list;
#[cfg(feature = "many")]
pub mod many;
#[cfg(feature = "gallery")]
pub mod remove;
#[cfg(feature = "many")]
pub mod seen;
mod sign;
mod stop;
mod upload;
