//! The storage path: built from a request, checked, and escaped for a URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;

/// What Go's `url.PathEscape` leaves alone, as the seed does: unreserved characters and `$&+:=@`.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b':')
    .remove(b'=')
    .remove(b'@');

/// What stands for itself in a query's value, wherever it is read.
const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');

/// The longest segment that Storage's file backend takes, in bytes.
const SEGMENT_BYTES: usize = 255;

/// The name of one object inside the bucket, such as `2026-05-11/lighthouse-42.png`. Every segment is a plain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoragePath(String);

impl StoragePath {
    /// `{prefix/}{date}/{slug}-{seed}.{ext}`, or an error that names the part at fault. `prefix` may be empty.
    pub fn build(prefix: &str, date: &str, slug: &str, seed: i64, ext: &str) -> Result<Self, Error> {
        if date.is_empty() || slug.is_empty() {
            let missing = if date.is_empty() { "date" } else { "slug" };
            return Err(Error::field(missing, "").with_message("date and slug are required for storage_path"));
        }
        for (field, folders) in [("pathPrefix", prefix), ("date", date)] {
            if !folders.is_empty() {
                check(folders).map_err(|problem| Error::field(field, problem))?;
            }
        }
        if ext.bytes().any(|byte| byte == b'/') {
            return Err(Error::field("ext", "is the ending of a file name and holds no slash"));
        }
        check_characters(ext).map_err(|problem| Error::field("ext", problem))?;
        let name = format!("{slug}-{seed}.{ext}");
        check(&name).map_err(|problem| Error::field("slug", problem))?;
        let separator = if prefix.is_empty() { "" } else { "/" };
        Ok(Self(format!("{prefix}{separator}{date}/{name}")))
    }

    /// A path from outside.
    pub fn parse(path: &str) -> Result<Self, Error> {
        check(path).map_err(|problem| Error::field("storagePath", problem))?;
        Ok(Self(path.to_owned()))
    }

    /// The path as it stands in the row.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path for a URL: every segment escaped, the slashes kept.
    pub fn escaped(&self) -> String {
        let segments: Vec<String> = self.0.split('/').map(escape_segment).collect();
        segments.join("/")
    }
}

/// One segment of a URL's path.
pub fn escape_segment(segment: &str) -> String {
    utf8_percent_encode(segment, &SEGMENT).to_string()
}

/// A path as a value in a URL's query.
pub fn escape_query(path: &str) -> String {
    utf8_percent_encode(path, &QUERY).to_string()
}

/// Whether a server's name of something, such as an upload's id, is one segment of a URL as it stands: it can't lead the
/// next request, and its token, elsewhere.
pub fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=' | '+' | '.' | '~');
    name.chars().all(is_plain) && name.contains(|c| c != '.')
}

/// Refuses what could name something else than one object below the folder it stands for: a URL parser drops control
/// characters, takes a backslash for a slash and resolves dots.
pub fn check(path: &str) -> Result<(), &'static str> {
    check_characters(path)?;
    for segment in path.split('/') {
        match segment {
            "" => return Err("has an empty segment, or a slash at its start or end"),
            "." | ".." => return Err("has a segment of dots"),
            long if long.len() > SEGMENT_BYTES => return Err("has a segment of more than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

fn check_characters(part: &str) -> Result<(), &'static str> {
    if part.chars().any(char::is_control) {
        return Err("has a control character");
    }
    if part.bytes().any(|byte| byte == b'\\') {
        return Err("has a backslash");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    fn fault(date: &str, slug: &str, ext: &str) -> Option<String> {
        StoragePath::build("", date, slug, 1, ext).err().and_then(|error| error.field.clone())
    }

    #[test]
    fn a_path_is_the_seeds() {
        let path = StoragePath::build("", "2026-05-11", "light house", -7, "png").unwrap();
        assert_eq!(path.as_str(), "2026-05-11/light house--7.png");
        assert_eq!(path.escaped(), "2026-05-11/light%20house--7.png");
        let prefixed = StoragePath::build("user/x", "d", "a/b", 1, "png").unwrap();
        assert_eq!(prefixed.as_str(), "user/x/d/a/b-1.png");
    }

    #[test]
    fn a_part_that_leaves_the_bucket_is_named() {
        for slug in ["../x", "a/../b", "a//b", "/a", "./a", "a\\b", "a\nb", "a\0", "\u{85}", ""] {
            assert_eq!(fault("d", slug, "png").as_deref(), Some("slug"), "{slug:?}");
        }
        assert_eq!(fault("d", &"x".repeat(250), "png").as_deref(), Some("slug"), "a segment over 255 bytes");
        for date in ["..", "../d", "d/", "/d", "d\t", ""] {
            assert_eq!(fault(date, "s", "png").as_deref(), Some("date"), "{date:?}");
        }
        for ext in ["png/..", "a\\b", "p\u{7f}"] {
            assert_eq!(fault("d", "s", ext).as_deref(), Some("ext"), "{ext:?}");
        }
        assert_eq!(fault("d", "..", "png"), None, "..-1.png is a plain name");
    }

    /// What a server sees after a client's URL parser and its own decoding, by the URL standard's rules for paths.
    fn seen_by_server(escaped: &str) -> String {
        let parsed: Vec<&str> = escaped.split('/').collect();
        for segment in &parsed {
            let lower = segment.to_ascii_lowercase().replace("%2e", ".");
            assert!(lower != "." && lower != ".." && !lower.is_empty(), "a URL parser would resolve {segment:?}");
            assert!(segment.bytes().all(|b| b.is_ascii_graphic() && !b"\\?#\"<>^`{}|".contains(&b)), "{segment:?}");
        }
        percent_decode_str(escaped).decode_utf8().unwrap().into_owned()
    }

    proptest! {
        #[test]
        fn whatever_goes_in_what_is_sent_names_one_object_inside_the_bucket(
            prefix in "([a-z0-9./\\\\%-]{0,12}|\\PC{0,8})",
            date in "([0-9./\\\\-]{1,12}|.{1,8})",
            slug in "([a-z%2eEfF./\\\\?#-]{1,20}|.{1,20}|\\PC{1,90})",
            seed: i64,
            ext in "([a-z./]{0,5}|.{0,5})",
        ) {
            if let Ok(path) = StoragePath::build(&prefix, &date, &slug, seed, &ext) {
                let escaped = path.escaped();
                prop_assert_eq!(seen_by_server(&escaped), path.as_str());
                prop_assert_eq!(escaped.split('/').count(), path.as_str().split('/').count());
                prop_assert!(path.as_str().contains(&seed.to_string()));
            }
        }

        #[test]
        fn a_path_that_was_built_is_taken_back(slug in "[a-zA-Z0-9 _%!?/-]{1,30}", seed: i64) {
            if let Ok(path) = StoragePath::build("u", "d", &slug, seed, "png") {
                prop_assert_eq!(StoragePath::parse(path.as_str()).unwrap(), path);
            }
        }
    }
}
