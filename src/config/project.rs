//! A project's URL and key as people give them: what is taken off them, and what else was given in their place.

use super::NOT_BARE;
use crate::text::{contains, has_bearer, is_bare, is_header_safe, split_once};

/// What people copy along with a project's URL: the path of one of its services.
const SERVICES: [&str; 6] = ["/rest/v1", "/storage/v1", "/storage/v1/s3", "/auth/v1", "/functions/v1", "/graphql/v1"];

/// Letters of the name that a hosted project has in all its addresses.
const NAME_LETTERS: usize = 20;

/// A project's URL without slashes at its end and without a service's path.
pub(super) fn without_service(url: &str) -> &str {
    let url = without_slashes(url);
    SERVICES.into_iter().find_map(|service| url.strip_suffix(service)).map_or(url, without_slashes)
}

/// As it is used: without slashes at its end.
pub(super) fn without_slashes(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// Refuses what is of Supabase and no project: the dashboard, the database, a host that is one service's alone.
pub(super) fn check_host(url: &str) -> Result<(), &'static str> {
    let host = host_of(url);
    let is_another = match host.strip_suffix(".supabase.co") {
        Some(name) => contains(name, "."),
        None => host == "supabase.com" || host.ends_with(".supabase.com"),
    };
    if is_another { Err("is an address of Supabase, but not the project's own") } else { Ok(()) }
}

/// Without a port.
fn host_of(url: &str) -> &str {
    let host = url.split('/').nth(2).unwrap_or_default();
    split_once(host, ":").map_or(host, |(host, _)| host)
}

/// What to give in the place of a URL that can't be right. Of what was given it tells the project's name alone, by its looks, and
/// that only where no password can be, and no organization's name.
pub(super) fn advice(given: &str) -> String {
    let is_unsure = ["@", "postgres", "/org/"].into_iter().any(|mark| contains(given, mark));
    let is_name = |part: &&[u8]| !is_unsure && part.len() == NAME_LETTERS;
    let name = given.as_bytes().split(|byte| !byte.is_ascii_lowercase()).find(is_name);
    let name = name.and_then(|name| str::from_utf8(name).ok()).unwrap_or("<ref>");
    format!("It is https://{name}.supabase.co (dashboard, Settings, Data API), or your gateway's")
}

/// What is wrong with a key, and what its user probably did. A hosted project's keys are of Supabase's making.
pub(super) fn check_key(key: &str, url: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("is missing");
    }
    if !is_bare(key) {
        return Err(NOT_BARE);
    }
    if has_bearer(key) {
        return Err("begins with \"Bearer\", which is no part of a key. Leave it out");
    }
    if !is_header_safe(key) {
        return Err("holds characters that no key has");
    }
    let is_hosted = host_of(url).strip_suffix(".supabase.co").is_some_and(|name| name.len() == NAME_LETTERS);
    if is_hosted && !key.starts_with("sb_") && !key.starts_with("eyJ") {
        return Err("is no API key, sb_… or eyJ… (dashboard, Settings, API Keys)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{Config, Options};
    use super::*;
    use crate::error::Error;

    const NAME: &str = "abcdefghijklmnopqrst";
    const HOSTED: &str = "https://abcdefghijklmnopqrst.supabase.co";
    const KEY: &str = "sb_publishable_abc";

    fn config(url: &str, key: &str) -> Result<Config, Error> {
        let (url, api_key) = (Some(url.to_owned()), Some(key.to_owned()));
        Config::new(Options { url, api_key, ..Options::default() }, false)
    }

    /// What is told of each of the table's mistakes, beside what it is to say.
    fn mistakes(of: &str) -> Vec<Value> {
        let table: Value = serde_json::from_str(include_str!("../../tests/package/mistaken.json")).unwrap();
        table[of].as_array().unwrap().clone()
    }

    #[test]
    fn an_address_of_something_else_is_told_with_the_projects_own() {
        for mistake in mistakes("urls") {
            let given = mistake["given"].as_str().unwrap();
            let error = config(given, KEY).err().unwrap_or_else(|| panic!("{given} is taken"));
            assert_eq!(error.field.as_deref(), Some("url"), "{given}");
            assert!(error.message.contains(mistake["says"].as_str().unwrap()), "{given}: {}", error.message);
            let (tells, has_name) = (error.message.contains(NAME), mistake["name"] == true);
            assert_eq!(tells, has_name, "{given}: {}", error.message);
            let hidden = mistake["hidden"].as_str();
            assert!(hidden.is_none_or(|hidden| !error.message.contains(hidden)), "{given}: {}", error.message);
            assert!(error.message.contains("It is https://"), "{given}: {}", error.message);
        }
    }

    #[test]
    fn what_is_no_key_of_a_hosted_project_is_told_and_not_quoted() {
        for mistake in mistakes("keys") {
            let given = mistake["given"].as_str().unwrap();
            let error = config(HOSTED, given).err().unwrap_or_else(|| panic!("{given} is taken"));
            assert_eq!(error.field.as_deref(), Some("apiKey"), "{given}");
            assert!(error.message.contains(mistake["says"].as_str().unwrap()), "{given}: {}", error.message);
            assert!(!error.message.contains("hunter2") && !error.message.contains("012345"), "{}", error.message);
        }
        for key in [KEY, "sb_secret_abc", "sb_another-kind_abc", "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2ln"] {
            assert!(config(HOSTED, key).is_ok(), "{key}");
        }
        assert!(config("https://project.example", "any-key").is_ok(), "a gateway of one's own may have any");
    }

    #[test]
    fn addresses_of_projects_and_gateways_are_taken() {
        for url in [
            HOSTED,
            "http://127.0.0.1:54321",
            "https://supabase.example.com",
            "https://my-supabase.com",
            "https://storage.example.com/supabase",
            "https://x.co/supabase.com",
            "https://postgres.example.com",
        ] {
            assert_eq!(config(url, KEY).unwrap().url, url);
        }
    }
}
