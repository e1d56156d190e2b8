//! A project's own columns beside ours: their names, and their values as a request has them.

use crate::error::Error;
use crate::image::row::COLUMNS;
use crate::text;

/// As PostgreSQL cuts longer ones.
const NAME_BYTES: usize = 63;

/// Refuses a name that is ours, or that would have to be quoted wherever it stands.
pub fn check_name(column: &str) -> Result<(), Error> {
    let field = format!("columns.{}", text::name(column));
    if COLUMNS.contains(&column) {
        return Err(Error::field(&field, "is a column of imagen.images itself"));
    }
    let is_identifier = column.len() <= NAME_BYTES
        && column.bytes().next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && column.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    if is_identifier { Ok(()) } else { Err(Error::field(&field, "must be a name of ASCII letters, digits and _")) }
}

/// Refuses columns, a JSON object's text, of which one has such a name.
pub fn check(columns: &str) -> Result<(), Error> {
    names(columns).into_iter().try_for_each(check_name)
}

/// A row with the columns behind its own: two JSON objects' texts become one.
pub fn beside(row: String, columns: Option<&str>) -> String {
    let members = columns.and_then(|columns| columns.strip_prefix('{')).filter(|members| *members != "}");
    match (row.strip_suffix('}'), members) {
        (Some(head), Some(members)) => format!("{head},{members}"),
        _ => row,
    }
}

/// The names of an object's members, as its text has them: one with an escape in it is no identifier.
fn names(object: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut is_name, mut text_from, mut is_escaped) = (0, false, None, false);
    for (at, byte) in object.bytes().enumerate() {
        match (byte, text_from) {
            (b'"', Some(from)) if !is_escaped => {
                if is_name {
                    names.extend(object.get(from..at));
                }
                (text_from, is_name) = (None, false);
            }
            (_, Some(_)) => is_escaped = byte == b'\\' && !is_escaped,
            (b'"', None) => text_from = Some(at + 1),
            (b'{' | b'[', None) => {
                depth += 1;
                is_name = depth == 1;
            }
            (b'}' | b']', None) => depth -= 1,
            (b',', None) => is_name = depth == 1,
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_object_and_not_of_what_lies_in_it() {
        let columns =
            r#"{"project_id":"a,\"b\":{","tags":[{"id":1},"x"],"o":{"prompt":{"seed":1}},"n":null,"Z_9":-1.5e3}"#;
        assert_eq!(names(columns), ["project_id", "tags", "o", "n", "Z_9"]);
        assert_eq!(names("{}"), Vec::<&str>::new());
        assert_eq!(names(r#"{"a\"b":1,"":2}"#), [r#"a\"b"#, ""]);
        for cut in (0..columns.len()).filter(|at| columns.is_char_boundary(*at)) {
            names(&columns[..cut]);
        }
    }

    #[test]
    fn a_name_of_ours_or_none_is_refused_by_its_name() {
        let field = |columns: &str| check(columns).err().and_then(|error| error.field.clone());
        assert_eq!(field(r#"{"project_id":1,"_x9":{"id":2}}"#), None);
        for column in ["id", "owner_user_id", "storage_path", "created_at", "", "9a", "a-b", "a b", "é", r#"a\"b"#] {
            let columns = format!(r#"{{"fine":1,"{column}":2}}"#);
            assert_eq!(field(&columns), Some(format!("columns.{column}")), "{columns}");
        }
        assert!(field(&format!(r#"{{"{}":1}}"#, "x".repeat(64))).is_some());
    }

    #[test]
    fn they_stand_behind_a_rows_own() {
        let row = || r#"{"id":"x"}"#.to_owned();
        assert_eq!(beside(row(), Some(r#"{"a":{"b":[1]}}"#)), r#"{"id":"x","a":{"b":[1]}}"#);
        assert_eq!((beside(row(), Some("{}")), beside(row(), None)), (row(), row()));
    }
}
