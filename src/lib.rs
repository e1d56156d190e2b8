//! Moves a freshly generated image from where it was made into Supabase: the bytes into Storage, one row into
//! `imagen.images`, and a signed URL back.
//!
//! The crate is compiled to WebAssembly and used from JavaScript through `api`; `pkg/index.d.ts` documents that side.
//! Everything else is plain Rust that compiles and is tested natively:
//!
//! ```text
//! JS call -> api -> config, image::meta -> sync -> a module of wire builds a Request -> host sends -> Response
//!         -> the same module, or wire::classify, reads it -> wire::retry decides -> Result -> api -> JS
//! ```
//!
//! The rooms are floors: `api`, [`outbox`], [`sync`], [`wire`], [`image`] from top to bottom, and no floor uses a higher
//! one; [`host`] stands beside them behind its traits. Only [`host`] and `api` know JavaScript. Only the drivers in [`sync`]
//! and [`outbox`] await outside them. Only [`wire::retry`] decides about trying again.
// wasm-pack builds the unit tests too, which are native ones: for a browser there are those in tests/.
#![cfg(not(all(test, target_arch = "wasm32")))]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)
)]

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod api;
pub mod base64;
pub mod config;
pub mod error;
#[cfg(all(target_os = "wasi", any(feature = "library", feature = "command")))]
pub mod exports;
pub mod host;
pub mod image;
pub mod json;
pub mod limits;
#[cfg(feature = "outbox")]
pub mod outbox;
pub mod race;
#[cfg(test)]
#[path = "../tests/support/host.rs"]
mod stand_in;
pub mod sync;
pub mod text;
pub mod wire;

/// A third of the size of the standard one.
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
