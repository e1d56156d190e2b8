//! The rules of ARCHITECTURE.md that a compiler doesn't check: who may use whom, who knows JavaScript, who awaits.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by a panic")]

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

/// The module of the crate's root that a file belongs to.
fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The names after `crate::` in a file, those in braces too.
fn uses(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut names = BTreeSet::new();
    for (_, after) in code.match_indices("crate::").map(|(at, mark)| code.split_at(at + mark.len())) {
        match after.strip_prefix('{') {
            None => drop(names.insert(name(after))),
            Some(list) => names.extend(list.split('}').next().unwrap().split(',').map(name)),
        }
    }
    names
}

#[test]
fn no_two_modules_use_each_other_however_far_around() {
    let files = files();
    let modules: BTreeSet<&str> = files.iter().map(|(file, _)| module(file)).collect();
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, code) in &files {
        let used = uses(code);
        let others = modules.iter().filter(|other| **other != module(file) && used.contains(**other));
        graph.entry(module(file)).or_default().extend(others);
    }
    assert!(graph["client"].contains("platform") && graph["storage"].contains("http"), "{graph:?}");
    // Takes away what uses nothing that is left, until nothing changes: a circle stays.
    loop {
        let free: Vec<&str> = graph.iter().filter(|(_, used)| used.is_empty()).map(|(name, _)| *name).collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            graph.remove(name);
            graph.values_mut().for_each(|used| used.retain(|other| *other != name));
        }
    }
    assert!(graph.is_empty(), "a circle, and who uses it: {graph:#?}");
}

#[test]
fn only_platform_and_api_know_javascript() {
    for (file, code) in files() {
        let knows = ["js_sys", "wasm_bindgen", "web_sys", "JsValue"].into_iter().find(|name| code.contains(name));
        assert!(knows.is_none() || matches!(module(&file), "platform" | "api"), "{file} uses {}", knows.unwrap());
    }
}

#[test]
fn only_the_drivers_platform_and_api_await() {
    for (file, code) in files() {
        let may = matches!(module(&file), "client" | "courier" | "platform" | "api");
        assert!(may || !code.contains(".await") && !code.contains("async "), "{file} awaits");
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
