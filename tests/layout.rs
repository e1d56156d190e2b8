//! The rules of ARCHITECTURE.md that a compiler doesn't check: who may use whom, who knows JavaScript, who awaits.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The library's files without their tests: path below `src`, and text without comments.
fn files() -> Vec<(String, String)> {
    fn visit(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name =
                path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if !name.ends_with("tests") {
                    visit(&path, found);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap().lines();
                let code: Vec<&str> = code.filter(|line| !line.trim_start().starts_with("//")).collect();
                found.push((name, code.join("\n")));
            }
        }
    }
    let mut found = Vec::new();
    visit(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    assert!(found.len() > 20, "{found:?}");
    found
}

/// The folders of `src`, each a room; those in `FLOORS` from bottom to top.
const ROOMS: [&str; 7] = ["api", "exports", "host", "image", "outbox", "sync", "wire"];
const FLOORS: [&str; 6] = ["image", "wire", "sync", "outbox", "api", "exports"];

/// The module that a file belongs to: `image::path`, `error`. What a module keeps in a folder of its own is part of it.
fn module(file: &str) -> String {
    let mut parts = file.trim_end_matches(".rs").split('/');
    let first = parts.next().unwrap();
    match parts.next() {
        Some(second) if second != "mod" => format!("{first}::{second}"),
        _ => first.to_owned(),
    }
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// The modules that a file uses by `crate::` or, inside a room, by `super::`.
fn uses(file: &str, code: &str) -> BTreeSet<String> {
    let name =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let names = |list: &str| -> Vec<String> {
        match list.strip_prefix('{') {
            None => vec![name(list)],
            Some(list) => list.split('}').next().unwrap().split(',').map(name).collect(),
        }
    };
    let mut used = BTreeSet::new();
    let mut add = |room: &str, inner: &str| match ROOMS.contains(&room) {
        true => used.extend(names(inner).into_iter().map(|inner| match inner.starts_with(char::is_lowercase) {
            true if inner != "self" => format!("{room}::{inner}"),
            _ => room.to_owned(),
        })),
        false => drop(used.insert(room.to_owned())),
    };
    for (_, after) in code.match_indices("crate::").map(|(at, mark)| code.split_at(at + mark.len())) {
        for first in names(after) {
            add(&first, after.get(first.len()..).and_then(|rest| rest.strip_prefix("::")).unwrap_or_default());
        }
    }
    if file.matches('/').count() == 1 {
        for (_, after) in code.match_indices("super::").map(|(at, mark)| code.split_at(at + mark.len())) {
            add(room(&module(file)), after);
        }
    }
    used
}

#[test]
fn no_two_modules_use_each_other_however_far_around() {
    let files = files();
    let modules: BTreeSet<String> = files.iter().map(|(file, _)| module(file)).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, code) in files.iter().filter(|(file, _)| !file.ends_with("mod.rs") || file.starts_with("host")) {
        let own = module(file);
        let others: Vec<String> =
            uses(file, code).into_iter().filter(|other| *other != own && modules.contains(other)).collect();
        graph.entry(own).or_default().extend(others);
    }
    assert!(graph["sync::client"].contains("host") && graph["wire::object"].contains("wire::http"), "{graph:?}");
    // Takes away what uses nothing that is left, until nothing changes: a circle stays.
    loop {
        let known: BTreeSet<String> = graph.keys().cloned().collect();
        graph.values_mut().for_each(|used| used.retain(|other| known.contains(other)));
        let free: Vec<String> =
            graph.iter().filter(|(_, used)| used.is_empty()).map(|(name, _)| name.clone()).collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            graph.remove(&name);
        }
    }
    assert!(graph.is_empty(), "a circle, and who uses it: {graph:#?}");
}

#[test]
fn no_floor_uses_a_higher_one() {
    let height = |room: &str| FLOORS.iter().position(|floor| *floor == room);
    for (file, code) in files() {
        let own = module(&file);
        for other in uses(&file, &code) {
            if let (Some(here), Some(there)) = (height(room(&own)), height(room(&other))) {
                assert!(there <= here, "{file} uses {other}");
            }
        }
    }
}

#[test]
fn only_host_and_api_know_javascript() {
    for (file, code) in files() {
        let knows = ["js_sys", "wasm_bindgen", "web_sys", "JsValue"].into_iter().find(|name| code.contains(name));
        assert!(knows.is_none() || matches!(room(&module(&file)), "host" | "api"), "{file} uses {}", knows.unwrap());
    }
}

#[test]
fn only_host_and_a_components_exports_know_wasi() {
    for (file, code) in files().into_iter().filter(|(file, _)| file != "lib.rs") {
        let knows = ["wasip2", "wit_bindgen", "\"wasi\"", "feature = \"library\"", "feature = \"command\""];
        let knows = knows.into_iter().find(|name| code.contains(name));
        assert!(
            knows.is_none() || matches!(room(&module(&file)), "host" | "exports"),
            "{file} knows {}",
            knows.unwrap()
        );
    }
}

#[test]
fn only_the_drivers_host_and_what_is_exported_await() {
    for (file, code) in files() {
        let may = matches!(room(&module(&file)), "sync" | "outbox" | "host" | "api" | "exports");
        assert!(may || !code.contains(".await") && !code.contains("async "), "{file} awaits");
    }
}

/// The functions of a file: name and lines. What has no body has none.
fn functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let words = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let words = ["pub ", "const ", "async "].into_iter().fold(words, |words, word| words.trim_start_matches(word));
        let Some(name) = words.strip_prefix("fn ") else { continue };
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        let head = lines[at..].iter().position(|line| line.ends_with(['{', ';', '}'])).unwrap();
        if lines[at + head].ends_with('{') {
            let body = lines[at..].iter().position(|line| **line == end).unwrap();
            found.push((name.split(['(', '<']).next().unwrap().to_owned(), body + 1));
        }
    }
    found
}

#[test]
fn a_file_and_a_function_stay_as_long_as_one_reads_at_once() {
    let mut count = 0;
    for (file, code) in files() {
        assert!(code.lines().count() <= 400, "{file} has {} lines", code.lines().count());
        for (name, lines) in functions(&code) {
            count += 1;
            assert!(lines <= 60, "{name} in {file} has {lines} lines");
        }
    }
    assert!(count > 300, "{count} functions");
}

#[test]
fn the_modules_are_open_only_by_the_feature_that_says_so() {
    let root = include_str!("../src/lib.rs");
    let mut modules = 0;
    for (condition, _) in root.match_indices("\npub mod ").map(|(at, _)| root.split_at(at)) {
        modules += 1;
        let condition = condition.lines().last().unwrap();
        assert!(condition.contains("feature = \"internals\"") && !condition.contains("not(feature"), "{condition}");
    }
    assert!(modules > 10, "{modules} modules");
    let manifest = include_str!("../Cargo.toml");
    let default = manifest.lines().find(|line| line.starts_with("default = ")).unwrap();
    assert!(!default.contains("internals"), "{default}");
}

#[test]
fn what_is_public_says_what_it_is() {
    let manifest = include_str!("../Cargo.toml");
    assert!(manifest.contains("\nmissing_docs = \"warn\"\n"));
    // Of what wit-bindgen makes nothing can be asked.
    for (file, code) in files().into_iter().filter(|(file, _)| file != "exports/bindings.rs") {
        assert!(!code.contains("missing_docs"), "{file}");
    }
}

#[test]
fn nothing_is_allowed_that_panics() {
    let manifest = include_str!("../Cargo.toml");
    for lint in ["expect_used", "indexing_slicing", "panic", "string_slice", "todo", "unreachable", "unwrap_used"] {
        assert!(manifest.contains(&format!("\n{lint} = \"deny\"\n")), "{lint} is not denied");
    }
    for (file, code) in files().into_iter().filter(|(file, _)| file != "lib.rs") {
        for word in ["allow(clippy", "expect(clippy", ".unwrap()", ".expect(", "panic!("] {
            assert!(!code.contains(word), "{word} in {file}");
        }
    }
}
