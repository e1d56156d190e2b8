//! The storage path: built from a request, checked, and escaped for a URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;
use crate::image::thumbnail;
use crate::limits;
use crate::text::join;

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

/// What the address of a link that is signed alone leaves alone: Storage compares with the name, and of these two it would
/// sign the escapes.
const SIGNED: AsciiSet = SEGMENT.remove(b',').remove(b';');

/// What stands for itself in a query's value, wherever it is read.
const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');

/// The longest segment that Storage's file backend takes, in bytes.
const SEGMENT_BYTES: usize = 255;

/// The name of one object inside the bucket, such as `2026-05-11/lighthouse-42.png`. Every segment is a plain name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoragePath(String);

impl StoragePath {
    /// `{prefix/}{date}/{slug}-{seed}.{ext}`, or an error that names the part at fault: one that leads elsewhere, or that
    /// Storage is certain to refuse.
    pub fn build(prefix: Option<&str>, date: &str, slug: &str, seed: i64, ext: &str) -> Result<Self, Error> {
        let name = if slug.is_empty() { String::new() } else { format!("{slug}-{seed}") };
        Self::named(prefix, date, &name, ext)
    }

    /// The same of a name whose caller has put slug and seed together; it is empty where the slug is.
    pub fn named(prefix: Option<&str>, date: &str, name: &str, ext: &str) -> Result<Self, Error> {
        if date.is_empty() || name.is_empty() {
            let missing = if date.is_empty() { "date" } else { "slug" };
            return Err(Error::field(missing, "").with_message("date and slug are required for storage_path"));
        }
        let prefix = prefix.map(|prefix| ("pathPrefix", prefix));
        for (field, folders) in prefix.into_iter().chain([("date", date)]) {
            check(folders).map_err(|problem| Error::field(field, problem))?;
        }
        if ext.bytes().any(|byte| byte == b'/') {
            return Err(Error::field("ext", "is the ending of a file name and holds no slash"));
        }
        if format!(".{ext}").ends_with(thumbnail::ENDING) {
            return Err(Error::field("ext", "is \"thumb\", by which the small picture of another image is known"));
        }
        check_characters(ext).map_err(|problem| Error::field("ext", problem))?;
        check(&format!("{name}.{ext}")).map_err(|problem| Error::field("slug", problem))?;
        for (field, part) in prefix.into_iter().chain([("date", date), ("slug", name), ("ext", ext)]) {
            if let Some(other) = part.chars().find(|c| !is_storable(*c)) {
                let problem = format!(
                    "holds '{other}', which Storage does not take in a name. Leave it out or write something else: letters \
                     and digits of ASCII, spaces, and _/!.*'()&$@=;:+,?-"
                );
                return Err(Error::field(field, &problem));
            }
        }
        let folder = prefix.map(|(_, prefix)| format!("{prefix}/")).unwrap_or_default();
        let path = format!("{folder}{date}/{name}.{ext}");
        if path.len() > limits::PATH {
            let (bytes, most) = (path.len(), limits::PATH);
            let problem = format!("makes a storage path of {bytes} bytes, and {most} is the limit. Shorten it");
            return Err(Error::field("slug", &problem));
        }
        Ok(Self(path))
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

    /// The path of the small picture that belongs to this one; none where Storage would not take it.
    pub fn thumbnail(&self) -> Option<Self> {
        let path = format!("{}{}", self.0, thumbnail::ENDING);
        check(&path).is_ok().then_some(Self(path))
    }

    /// The same, and itself where there is none.
    pub fn small(&self) -> Self {
        self.thumbnail().unwrap_or_else(|| self.clone())
    }

    /// The path of the small picture, if that is meant.
    pub fn meant(self, is_thumbnail: bool) -> Self {
        if is_thumbnail { self.small() } else { self }
    }

    /// The path for a URL: every segment escaped, the slashes kept.
    pub fn escaped(&self) -> String {
        join(self.0.split(['/']).map(escape_segment), '/')
    }
}

/// A path for the address that Storage signs.
pub fn escape_signed(path: &StoragePath) -> String {
    join(path.0.split(['/']).map(|segment| utf8_percent_encode(segment, &SIGNED).to_string()), '/')
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
    for segment in path.split(['/']) {
        match segment {
            "" => return Err("has an empty segment, or a slash at its start or end"),
            "." | ".." => return Err("has a segment of dots"),
            long if long.len() > SEGMENT_BYTES => return Err("has a segment of more than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// What Storage takes in a name; it answers anything else with `InvalidKey`.
fn is_storable(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/!.*'() &$@=;:+,?-".chars().any(|legal| legal == c)
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

    fn fault(date: &str, slug: &str, ext: &str) -> Option<String> {
        StoragePath::build(None, date, slug, 1, ext).err().and_then(|error| error.field.clone())
    }

    #[test]
    fn a_path_is_the_seeds() {
        let path = StoragePath::build(None, "2026-05-11", "light house", -7, "png").unwrap();
        assert_eq!(path.as_str(), "2026-05-11/light house--7.png");
        assert_eq!(path.escaped(), "2026-05-11/light%20house--7.png");
        let prefixed = StoragePath::build(Some("user/x"), "d", "a/b", 1, "png").unwrap();
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

    #[test]
    fn what_storage_does_not_take_is_refused_where_it_stands() {
        for c in ' '..='~' {
            let refused = fault("d", &format!("a{c}b"), "png").is_some();
            assert_eq!(refused, "\"#%<>[\\]^`{|}~".contains(c), "{c:?}");
        }
        for c in ["é", "夜", "🦊", "%", "#"] {
            assert_eq!(fault("d", c, "png").as_deref(), Some("slug"), "{c}");
            assert_eq!(fault(c, "s", "png").as_deref(), Some("date"), "{c}");
            assert_eq!(fault("d", "s", c).as_deref(), Some("ext"), "{c}");
            let error = StoragePath::build(Some(c), "d", "s", 1, "png").unwrap_err();
            assert_eq!(error.field.as_deref(), Some("pathPrefix"), "{c}");
            assert!(error.message.contains(c) && error.message.contains("letters and digits of ASCII"), "{error:?}");
        }
    }

    #[test]
    fn a_path_leaves_room_for_a_thumbnails_ending() {
        let longest = |folder: usize| format!("{0}/{0}/{0}/{1}", "x".repeat(250), "y".repeat(folder));
        // `{date}/s-1.png`
        assert_eq!(StoragePath::build(None, &longest(257 - 2), "s", 1, "png").unwrap().as_str().len(), 753 + 255 + 8);
        let by_two = StoragePath::build(None, &longest(255), "sss", 1, "png").unwrap();
        assert_eq!(by_two.as_str().len(), 1024 - ".thumb".len());
        assert_eq!(fault(&longest(255), "ssss", "png").as_deref(), Some("slug"));
    }
}
