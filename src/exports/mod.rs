//! What a component exports: the worlds of `wit/`, for servers without JavaScript. Thin, as `api` is.

#[cfg(feature = "library")]
mod bindings;
#[cfg(feature = "command")]
mod command;
#[cfg(feature = "command")]
mod folder;
#[cfg(feature = "library")]
mod library;
#[cfg(feature = "library")]
mod link;
#[cfg(feature = "library")]
mod list;
mod members;
#[cfg(feature = "library")]
mod values;
