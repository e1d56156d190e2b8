//! What somebody who writes a name that nobody knows has probably meant.

/// Nobody's slip is longer, and the search takes steps for every letter of it.
const LONGEST: usize = 64;

/// What other libraries, and people, call an option or a field.
const OTHER_NAMES: [(&str, &[&str]); 9] = [
    ("url", &["supabaseUrl", "projectUrl", "baseUrl", "endpoint"]),
    (
        "apiKey",
        &[
            "key",
            "supabaseKey",
            "anonKey",
            "supabaseAnonKey",
            "publishableKey",
            "secretKey",
            "serviceKey",
            "serviceRoleKey",
        ],
    ),
    ("accessToken", &["token", "jwt", "getAccessToken", "getToken"]),
    ("ownerUserId", &["owner", "ownerId", "owner_user_id", "userId", "user"]),
    ("bucket", &["bucketName", "bucketId"]),
    ("mimeType", &["contentType", "type", "mime"]),
    ("image", &["file", "blob", "bytes", "data", "body"]),
    ("imageId", &["id"]),
    ("sidecar", &["metadata", "meta"]),
];

/// For a message, the one of `known` that `name` was probably meant to be.
pub(super) fn nearest(name: &str, known: &[&str]) -> String {
    if name.chars().count() > LONGEST {
        return String::new();
    }
    let is_other =
        |candidate: &&&str| OTHER_NAMES.iter().any(|(meant, all)| meant == *candidate && all.contains(&name));
    let far = |candidate: &&&str| distance(&name.to_ascii_lowercase(), &candidate.to_ascii_lowercase());
    let is_near = |candidate: &&&str| far(candidate) <= candidate.len() / 2;
    let meant = known.iter().find(is_other).or_else(|| known.iter().filter(is_near).min_by_key(far));
    meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"))
}

/// How many letters one has to add, drop or replace (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut left = line + 1;
        let mut next = vec![left];
        for (above, known) in row.windows(2).zip(other.chars()) {
            let [diagonal, above] = above else { continue };
            left = (diagonal + usize::from(letter != known)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_and_another_librarys_name_lead_to_the_right_one() {
        let known = ["url", "apiKey", "bucket", "image", "imageId", "mimeType", "prompt"];
        for (name, meant) in [
            ("bukket", "bucket"),
            ("promt", "prompt"),
            ("mimetype", "mimeType"),
            ("supabaseUrl", "url"),
            ("key", "apiKey"),
            ("blob", "image"),
            ("id", "imageId"),
        ] {
            assert_eq!(nearest(name, &known), format!("; did you mean {meant}?"), "{name}");
        }
        for name in ["zzzzzzzzzzzzzz", "", &"promt".repeat(20)] {
            assert_eq!(nearest(name, &known), "", "{name}");
        }
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("abc", "")), (3, 3, 3));
    }
}
