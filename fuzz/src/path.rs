//! Storage paths.

use imagen_cloud::image::path::{StoragePath, escape_segment};
use percent_encoding::percent_decode_str;

/// A path that is accepted names one object below its prefix, and that is what a server sees of the URL.
pub fn holds(input: &[u8]) {
    let [prefix, date, slug, ext, seed, path] = super::fields(input);
    let seed: i64 = seed.parse().unwrap_or(seed.len() as i64);
    if let Ok(built) =
        StoragePath::build(Some(prefix.as_str()).filter(|prefix| !prefix.is_empty()), &date, &slug, seed, &ext)
    {
        check(&built, &prefix);
        assert!(built.as_str().len() <= 1018, "room for a thumbnail's ending");
        let legal = |c: char| c.is_ascii_alphanumeric() || "_/!.*'() &$@=;:+,?-".contains(c);
        assert!(built.as_str().chars().all(legal), "Storage would refuse {built:?}");
        assert!(built.as_str().ends_with(&format!("{slug}-{seed}.{ext}")));
        assert_eq!(StoragePath::parse(built.as_str()).ok(), Some(built), "what was built is taken back");
    }
    if let Ok(parsed) = StoragePath::parse(&path) {
        assert_eq!(parsed.as_str(), path);
        check(&parsed, "");
    }
    let escaped = escape_segment(&path);
    assert!(!escaped.contains('/'));
    assert_eq!(percent_decode_str(&escaped).decode_utf8().unwrap(), path);
}

/// The path stays below `prefix`, and its URL says just that path.
pub fn check(path: &StoragePath, prefix: &str) {
    let below = path.as_str().strip_prefix(prefix).unwrap_or_else(|| panic!("{path:?} is not below {prefix:?}"));
    assert!(prefix.is_empty() || below.starts_with('/'), "{path:?} is not below {prefix:?}");
    for segment in path.as_str().split('/') {
        assert!(!["", ".", ".."].contains(&segment) && segment.len() <= 255, "{path:?}");
        assert!(!segment.chars().any(|c| c.is_control() || c == '\\'), "{path:?}");
    }
    let escaped = path.escaped();
    assert_eq!(escaped.split('/').count(), path.as_str().split('/').count());
    for segment in escaped.split('/') {
        // What the URL standard's parser takes for dots.
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        assert!(!["", ".", ".."].contains(&dots.as_str()), "a URL parser would resolve {segment:?}");
        assert!(
            segment.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\?#\"<>^`{}|".contains(&byte)),
            "{segment:?}"
        );
    }
    assert_eq!(percent_decode_str(&escaped).decode_utf8().unwrap(), path.as_str());
}
