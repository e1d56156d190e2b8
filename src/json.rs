//! JSON as far as it is needed: the host parses the servers' answers, and rows are written here, so that numbers stand in
//! them with all their digits.

mod hint;
mod read;
mod write;

use serde::{Serialize, Serializer};

pub use read::{Fault, from_one, lenient, names_of, number_text};
pub use write::to_text;

/// What [`raw`] writes is known by this name.
const RAW: &str = "JSON text";
/// What [`as_texts`] writes is known by this name.
const AS_TEXTS: &str = "JSON texts as texts";

/// Writes a field whose text is JSON already, by `serialize_with`.
pub fn raw<S: Serializer>(text: &Option<impl AsRef<str>>, to: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => to.serialize_newtype_struct(RAW, text.as_ref()),
        None => to.serialize_none(),
    }
}

/// Writes a field in which what [`raw`] takes for JSON is a text like others, by `serialize_with`: who reads it gets that text back.
pub fn as_texts<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_newtype_struct(AS_TEXTS, value)
}

/// A value of the host's: JSON that it has parsed, or what a caller passed.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// In an answer any number; of a caller's those that are whole and exact.
    Number(f64),
    /// Another number of a caller's, and the text that the host writes it as: printing one here is 8 kB of code.
    Decimal(f64, String),
    /// A bigint.
    Integer(i128),
    /// A function or another object of the host's, which is no JSON.
    Foreign,
    /// A text, unescaped.
    Text(String),
    /// Values in their order.
    Array(Vec<Json>),
    /// Members in their order, names unescaped.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A member that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A member that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(Self::Number(number)) => Some(*number),
            _ => None,
        }
    }
}

/// A text as a JSON string (RFC 8259, 7).
pub fn quote(text: &str) -> String {
    let mut quoted = String::new();
    quote_into(&mut quoted, text);
    quoted
}

/// By runs of what stands for itself: a prompt may be long.
fn quote_into(quoted: &mut String, text: &str) {
    let is_special = |c: u8| c < b' ' || c == b'"' || c == b'\\';
    quoted.push('"');
    let mut rest = text;
    let next = |rest: &str| rest.bytes().position(is_special);
    while let Some((plain, special)) = next(rest).and_then(|at| rest.split_at_checked(at)) {
        quoted.push_str(plain);
        let mut after = special.chars();
        match after.next() {
            Some(c @ ('"' | '\\')) => quoted.extend(['\\', c]),
            c => quoted.push_str(&format!("\\u{:04x}", c.map_or(0, u32::from))),
        }
        rest = after.as_str();
    }
    quoted.push_str(rest);
    quoted.push('"');
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use crate::stand_in::parse_json as parse;
}
