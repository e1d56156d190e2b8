//! How many bytes a text may have in UTF-8, and what else is small: one table, `limits.json`, which the Worker (`www/worker`) reads too.
//!
//! The path's limit holds everywhere. The others hold for what goes through the Worker or is kept in an outbox: the
//! Worker pays for every byte with memory that all its users share, and a job that it would refuse must not be kept.

const TABLE: &str = include_str!("limits.json");

/// A storage path. Storage takes 1024; 6 are left for the `.thumb` behind the name of an image's thumbnail.
pub const PATH: usize = bytes_of("path");
/// The ending of an object's name.
pub const EXT: usize = bytes_of("ext");
/// A MIME type.
pub const MIME_TYPE: usize = bytes_of("mimeType");
/// A model's name.
pub const MODEL: usize = bytes_of("model");
/// A backend's name.
pub const BACKEND: usize = bytes_of("backend");
/// A prompt.
pub const PROMPT: usize = bytes_of("prompt");
/// All that is kept beside the image as JSON.
pub const SIDECAR: usize = bytes_of("sidecar");
/// A request without its image, as the JSON that the Worker takes.
pub const REQUEST: usize = bytes_of("request");
/// The small picture that goes with an image.
pub const THUMBNAIL: usize = bytes_of("thumbnail");

/// The number behind a name in the table, read when this is compiled; 0 if the name is not there.
const fn bytes_of(name: &str) -> usize {
    let mut rest = TABLE.as_bytes();
    while !starts_with_quoted(rest, name.as_bytes()) {
        let [_, tail @ ..] = rest else { return 0 };
        rest = tail;
    }
    let mut number = 0;
    while let [byte, tail @ ..] = rest {
        match *byte {
            b'0'..=b'9' => number = number * 10 + (*byte - b'0') as usize,
            b',' | b'}' => break,
            _ => {}
        }
        rest = tail;
    }
    number
}

const fn starts_with_quoted(text: &[u8], name: &[u8]) -> bool {
    let ([b'"', text @ ..], mut name) = (text, name) else { return false };
    let mut text = text;
    while let [wanted, others @ ..] = name {
        match text {
            [found, tail @ ..] if *found == *wanted => text = tail,
            _ => return false,
        }
        name = others;
    }
    matches!(text, [b'"', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_the_tables() {
        let table: serde_json::Value = serde_json::from_str(TABLE).unwrap();
        let read = [
            ("path", PATH),
            ("ext", EXT),
            ("mimeType", MIME_TYPE),
            ("model", MODEL),
            ("backend", BACKEND),
            ("prompt", PROMPT),
            ("sidecar", SIDECAR),
            ("request", REQUEST),
            ("thumbnail", THUMBNAIL),
        ];
        for (name, bytes) in read {
            assert_eq!(table[name], bytes, "{name}");
        }
        assert_eq!(table.as_object().unwrap().len(), read.len(), "nothing in the table is read by nobody");
    }
}
