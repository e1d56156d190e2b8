//! What must hold whatever comes in (`fuzz/src`), with the inputs that the fuzzers found worth keeping, and with random
//! ones made of those.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(missing_docs, unreachable_pub, reason = "the fuzz targets use it as a crate")]

use std::panic::catch_unwind;
use std::{fmt, fs};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[path = "../fuzz/src/lib.rs"]
mod properties;

use properties::{ALL, FIELD, STEP};

/// The kept inputs of a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// An input that a failed test shows in a line.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Fails with all targets that `run` found fault with.
fn for_each_target(run: impl Fn(&str, fn(&[u8])) -> Result<(), String>) {
    let problem = |(target, holds)| run(target, holds).err().map(|problem| format!("{target}: {problem}"));
    let problems: Vec<String> = ALL.into_iter().filter_map(problem).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_kept_input_holds() {
    for_each_target(|target, holds| {
        let broken = corpus(target).into_iter().find(|input| catch_unwind(|| holds(input)).is_err());
        broken.map_or(Ok(()), |input| Err(format!("{:?}", Input(input))))
    });
}

/// A change of an input: where, in thousandths of its length; how many bytes go; what comes.
type Change = (usize, usize, Vec<u8>);

/// What tends to matter to one parser or another.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: [&[u8]; 28] = [
        b"/",
        b"..",
        b".",
        b"%2e",
        b"\\",
        b"\0",
        b"\n",
        b"?",
        b"#",
        b"&",
        b"=",
        b"\"",
        b"{",
        b"}",
        b"[",
        b",",
        b"eyJ",
        b"$JWT",
        b"token=",
        b"-1",
        b"0",
        b"18446744073709551615",
        b"1e999",
        b"\xff\xff",
        &[FIELD],
        &[STEP],
        "\u{85}".as_bytes(),
        "\u{20ac}".as_bytes(),
    ];
    prop_oneof![
        proptest::sample::select(known.to_vec()).prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    proptest::collection::vec((0..=1000usize, 0..6usize, piece()), 0..8)
}

fn changed(mut input: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for (place, gone, comes) in changes {
        let at = input.len() * place / 1000;
        let end = (at + gone).min(input.len());
        input.splice(at..end, comes);
    }
    input
}

#[test]
fn what_is_much_like_a_kept_input_holds() {
    for_each_target(|target, holds| {
        let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
        let kept = proptest::sample::select(corpus(target));
        let inputs = (kept, changes()).prop_map(|(input, changes)| Input(changed(input, changes)));
        let outcome = TestRunner::new(config).run(&inputs, |input| {
            holds(&input.0);
            Ok(())
        });
        outcome.map_err(|failure| failure.to_string())
    });
}

/// An input whose fields are texts, with a property that they are made for.
fn shaped<const N: usize>(cases: u32, shapes: [&str; N], holds: fn(&[u8])) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let fields: Vec<_> = shapes.into_iter().map(|shape| proptest::string::string_regex(shape).unwrap()).collect();
    let outcome = TestRunner::new(config).run(&fields, |fields| {
        let fields: Vec<&[u8]> = fields.iter().map(String::as_bytes).collect();
        holds(&fields.join(&FIELD));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_path_of_what_parsers_look_for_holds() {
    let prefix = r"([a-z0-9./\\%-]{0,12}|\PC{0,8})";
    let date = r"([0-9./\\-]{1,12}|.{1,8})";
    let slug = r"([a-z%2eEfF./\\?#-]{1,20}|.{1,20}|\PC{1,90})";
    let path = "[a-zA-Z0-9 _%!?/-]{1,30}";
    shaped(3000, [prefix, date, slug, "([a-z./]{0,5}|.{0,5})", "-?[0-9]{1,19}", path], properties::path::holds);
}

#[test]
fn a_text_of_what_parsers_look_for_holds() {
    let text = r#"([A-Za-z0-9_-]{0,9}|[A-Z+/= ]{0,5}|.{0,9}|[\PC\x00-\x1f"\\]*)"#;
    shaped(3000, [text, text], properties::text::holds);
}
