//! The world `command`.
#![cfg(target_os = "wasi")]

use std::process::ExitCode;

fn main() -> ExitCode {
    imagen_cloud::exports::command::run()
}
