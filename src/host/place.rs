//! Which host this is, where they differ. By what they have, since a polyfill may have anything else.

use core::cell::Cell;
use std::thread::LocalKey;

use js_sys::global;

use super::js::value;
use crate::text::contains;

thread_local! {
    static SEES_CHANGED_FILES: Cell<Option<bool>> = const { Cell::new(None) };
}

/// What the host is asked once.
pub(super) fn once<T: Copy>(known: &'static LocalKey<Cell<Option<T>>>, ask: impl FnOnce() -> T) -> T {
    known.get().unwrap_or_else(|| {
        let answer = ask();
        known.set(Some(answer));
        answer
    })
}

fn has(path: &[&str]) -> bool {
    let found = path.iter().fold(global().into(), |target, name| value(&target, name));
    !found.is_undefined()
}

fn is_workerd() -> bool {
    value(&value(&global(), "navigator"), "userAgent").as_string().as_deref() == Some("Cloudflare-Workers")
}

/// Node, or what passes for it: workerd may have a `process` too.
pub(super) fn is_server() -> bool {
    has(&["process", "versions", "node"]) && !is_workerd()
}

/// Node itself, and not with a page's globals, as in a test.
pub(super) fn is_node() -> bool {
    is_server() && !["Deno", "Bun", "document"].into_iter().any(|other| value(&global(), other).is_object())
}

/// Whether the host itself fails a request whose file has changed since it became a Blob, as Chromium and Node do and Firefox
/// and WebKit don't; or knows no files.
pub(super) fn sees_changed_files() -> bool {
    once(&SEES_CHANGED_FILES, || {
        let agent = value(&value(&global(), "navigator"), "userAgent").as_string().unwrap_or_default();
        is_node() || is_workerd() || contains(&agent, "Chrome/")
    })
}

/// Whether others than the key's owner can look into this place: a page, or one of its workers.
/// workerd's global is a ServiceWorkerGlobalScope too, and Deno's and Bun's workers have a WorkerGlobalScope.
pub fn in_browser() -> bool {
    let others: [&[&str]; 3] = [&["process", "versions", "node"], &["Deno", "version"], &["Bun", "version"]];
    let on_server = is_workerd() || others.into_iter().any(has);
    !on_server && (value(&global(), "document").is_object() || value(&global(), "WorkerGlobalScope").is_function())
}
