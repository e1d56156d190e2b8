//! What the component's WIT says of records and codes is what the structs behind it say.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use imagen_cloud::config::Options;
use imagen_cloud::error::{Code, Error, Stage};
use imagen_cloud::image::row::ImageMeta;
use imagen_cloud::json::{names_of, to_text};
use imagen_cloud::wire::link::Transform;

const WIT: &str = include_str!("../wit/cloud.wit");

const TYPES: &str = include_str!("../pkg/index.d.ts");

/// The names in a record or an enum, in their order.
fn names(of: &str) -> Vec<String> {
    let body = WIT.split_once(&format!("  {of} {{\n")).unwrap().1.split_once("\n  }").unwrap().0;
    let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("///"));
    lines.map(|line| line.split([':', ',']).next().unwrap().to_owned()).collect()
}

/// The names in an interface of the package, as a WIT writes them, but for what only JavaScript has.
fn names_in_the_package(of: &str) -> Vec<String> {
    let body = TYPES.split_once(&format!("export interface {of}")).unwrap().1;
    let body = body.split_once("{\n").unwrap().1.split_once("\n}").unwrap().0;
    let members =
        body.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with(char::is_alphabetic));
    let names = members.map(|line| line.split(['?', ':']).next().unwrap());
    names.filter(|name| !["signal", "onRetry", "onProgress", "queued"].contains(name)).map(kebab).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// As a WIT writes a name.
fn kebab(name: &str) -> String {
    name.chars()
        .flat_map(|c| c.is_uppercase().then_some('-').into_iter().chain(c.to_lowercase()))
        .collect::<String>()
        .replace('_', "-")
}

#[test]
fn a_components_options_are_a_sinks() {
    let known = names_of::<Options>().iter().filter(|name| **name != "dangerouslyAllowSecretKeyInBrowser");
    let known = known.chain(&["accessToken"]).map(|name| kebab(name)).collect();
    assert_eq!(sorted(names("record options")), sorted(known));
}

#[test]
fn a_components_request_is_an_images_meta_and_its_bytes() {
    let known = names_of::<ImageMeta>().iter().chain(&["image"]).map(|name| kebab(name)).collect();
    assert_eq!(sorted(names("record request")), sorted(known));
}

#[test]
fn a_components_error_has_all_that_an_error_tells() {
    let mut error = Error::new(Stage::Sign, Code::IdTaken, "");
    (error.field, error.server_code) = (Some(String::new()), Some(String::new()));
    (error.storage_path, error.image_id) = (Some(String::new()), Some(String::new()));
    (error.status, error.retry_after_ms) = (Some(1), Some(1));
    let text = to_text(&*error);
    let members = text.trim_matches(['{', '}']).split(',');
    let known = members.map(|member| kebab(member.split(':').next().unwrap().trim_matches('"'))).collect();
    assert_eq!(sorted(names("record error")), sorted(known));
}

#[test]
fn a_components_codes_are_the_packages_without_those_of_pages() {
    let all = TYPES.split_once("export type ErrorCode =").unwrap().1.split_once("\";").unwrap().0;
    let all =
        all.lines().filter_map(|line| line.trim().strip_prefix("| \"")).map(|code| kebab(code.trim_end_matches('"')));
    let not_here = [
        "aborted",
        "job-missing",
        "job-unreadable",
        "invalid-state",
        "load-failed",
        "outbox-full",
        "outbox-too-new",
        "quota-exceeded",
        "secret-key-in-browser",
        "storage-unavailable",
        "token-unavailable",
        "wrong-user",
    ];
    let known: Vec<String> = all.collect();
    assert!(not_here.iter().all(|code| known.iter().any(|known| known == code)), "{known:?}");
    let here = known.into_iter().filter(|code| !not_here.contains(&code.as_str())).collect();
    assert_eq!(sorted(names("enum code")), sorted(here));
}

#[test]
fn a_components_transform_is_storages() {
    let known = names_of::<Transform>().iter().map(|name| kebab(name)).collect();
    assert_eq!(sorted(names("record transform")), sorted(known));
}

#[test]
fn a_component_is_asked_for_links_and_lists_as_the_package_is() {
    let deadline = || "deadline-ms".to_owned();
    for (record, interface, more) in [
        ("link-options", "LinkOptions", vec![]),
        ("call-options", "CallOptions", vec![]),
        ("sync-options", "SyncManyOptions", vec!["signed-url".to_owned(), deadline()]),
        // In JavaScript an argument of its own.
        ("sign-options", "SignOptions", vec!["ttl-seconds".to_owned(), deadline()]),
        ("list-options", "ListOptions", vec![deadline()]),
        ("image-ref", "Removed", vec![]),
        ("listed-image", "ListedImage", vec![]),
        ("listed-images", "ListedImages", vec![]),
        ("synced", "SyncResult", vec![]),
    ] {
        let known = names_in_the_package(interface).into_iter().chain(more).collect();
        assert_eq!(sorted(names(&format!("record {record}"))), sorted(known), "{record}");
    }
}
