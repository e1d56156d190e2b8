//! Moves a freshly generated image from where it was made into Supabase: the bytes into Storage, one row into
//! `imagen.images`, and a signed URL back.
//!
//! The crate is compiled to WebAssembly and used from JavaScript through `api`; `pkg/index.d.ts` documents that side.
//! Everything else is plain Rust that compiles and is tested natively:
//!
//! ```text
//! JS call -> api -> config, request -> client -> storage | row builds a Request -> platform sends -> Response
//!         -> the same module, or refusal, reads it -> retry decides -> Result -> api -> JS
//! ```
//!
//! Only [`platform`] and `api` know JavaScript. Only [`client`] and [`courier`] await outside them. Only [`retry`]
//! decides about trying again.
// wasm-pack builds the unit tests too, which are native ones: for a browser there are those in tests/.
#![cfg(not(all(test, target_arch = "wasm32")))]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)
)]

#[cfg(target_arch = "wasm32")]
pub mod api;
pub mod base64;
pub mod client;
pub mod config;
pub mod courier;
pub mod error;
pub mod http;
pub mod image;
pub mod json;
pub mod limits;
pub mod outbox;
pub mod path;
pub mod platform;
pub mod race;
pub mod refusal;
pub mod relay;
pub mod request;
pub mod retry;
pub mod row;
pub mod sqlstate;
#[cfg(test)]
#[path = "../tests/support/host.rs"]
mod stand_in;
pub mod storage;
pub mod text;

/// A third of the size of the standard one.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
