//! Moves a freshly generated image from where it was made into Supabase: the bytes into Storage, one row into
//! `imagen.images`, and a signed URL back.
//!
//! The crate is compiled to WebAssembly and used from JavaScript through `api`; `pkg/index.d.ts` documents that side. To Rust
//! it gives what is re-exported here: [`Client`], which drives an image from its request to its row, over a [`Platform`], the
//! host that one brings. The modules themselves are its own affair; this repository's tests and fuzzers get at them by the
//! feature `internals`, of which nothing is promised.
//!
//! ```text
//! JS call -> api -> config, image::meta -> sync -> a module of wire builds a Request -> host sends -> Response
//!         -> the same module, or wire::classify, reads it -> wire::retry decides -> Result -> api -> JS
//! ```
//!
//! The rooms are floors: `api`, `outbox`, `sync`, `wire`, `image` from top to bottom, and no floor uses a higher one; `host`
//! stands beside them behind its traits. Only `host` and `api` know JavaScript. Only the drivers in `sync` and `outbox` await
//! outside them. Only `wire::retry` decides about trying again.
// wasm-pack builds the unit tests too, which are native ones: for a browser there are those in tests/.
#![cfg(not(all(test, target_arch = "wasm32")))]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)
)]
// Whether `pub` is more than it needs to be is asked with the modules open, and for what is used by nothing with everything on
// that uses it: what JavaScript has.
#![cfg_attr(not(feature = "internals"), allow(unreachable_pub))]
#![cfg_attr(
    not(all(
        target_arch = "wasm32",
        target_os = "unknown",
        feature = "outbox",
        feature = "relay",
        feature = "resumable"
    )),
    allow(dead_code, unused_imports)
)]

#[cfg(all(target_arch = "wasm32", target_os = "unknown", not(feature = "internals")))]
mod api;
#[cfg(all(target_arch = "wasm32", target_os = "unknown", feature = "internals"))]
pub mod api;
#[cfg(all(target_os = "wasi", any(feature = "library", feature = "command")))]
mod exports;
#[cfg(test)]
#[path = "../tests/support/host.rs"]
mod stand_in;

// The same twice, since a visibility has no condition; not by a macro, in which rustfmt finds no modules.
#[cfg(not(feature = "internals"))]
mod base64;
#[cfg(feature = "internals")]
pub mod base64;
#[cfg(not(feature = "internals"))]
mod config;
#[cfg(feature = "internals")]
pub mod config;
#[cfg(not(feature = "internals"))]
mod error;
#[cfg(feature = "internals")]
pub mod error;
#[cfg(not(feature = "internals"))]
mod host;
#[cfg(feature = "internals")]
pub mod host;
#[cfg(not(feature = "internals"))]
mod image;
#[cfg(feature = "internals")]
pub mod image;
#[cfg(not(feature = "internals"))]
mod json;
#[cfg(feature = "internals")]
pub mod json;
#[cfg(not(feature = "internals"))]
mod limits;
#[cfg(feature = "internals")]
pub mod limits;
#[cfg(all(feature = "outbox", not(feature = "internals")))]
mod outbox;
#[cfg(all(feature = "outbox", feature = "internals"))]
pub mod outbox;
#[cfg(not(feature = "internals"))]
mod race;
#[cfg(feature = "internals")]
pub mod race;
#[cfg(not(feature = "internals"))]
mod sync;
#[cfg(feature = "internals")]
pub mod sync;
#[cfg(not(feature = "internals"))]
mod text;
#[cfg(feature = "internals")]
pub mod text;
#[cfg(not(feature = "internals"))]
mod wire;
#[cfg(feature = "internals")]
pub mod wire;

pub use config::{Config, Options, Owner, Target};
pub use error::{Cause, Code, Details, Error, Stage};
pub use host::{OnSent, Patience, Platform};
pub use image::meta::{Prepared, SyncRequest};
pub use image::path::StoragePath;
pub use image::row::ImageMeta;
pub use image::thumbnail::Thumbnail;
pub use json::Json;
pub use race::Racer;
pub use sync::call::{Abort, Call, Nobody, Observer, Options as CallOptions, Progress, Reached, Retrying, Synced};
pub use sync::client::Client;
#[cfg(feature = "gallery")]
pub use sync::list::Links;
pub use wire::event::Event;
pub use wire::http::{Authority, Failure, Method, Payload, READ_HEADERS, Request, Response, counting};
pub use wire::link::{Link, Transform};
#[cfg(feature = "gallery")]
pub use wire::list::{Page, Query};
#[cfg(feature = "gallery")]
pub use wire::remove::ImageRef;
pub use wire::retry::Policy;

/// A third of the size of the standard one.
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
