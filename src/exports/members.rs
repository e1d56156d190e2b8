//! What is said of an image becomes the library's own by way of the tree that serde reads it from, so that the same is checked and
//! said as of a caller's in JavaScript.

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::host::Platform;
use crate::host::wasi::Wasi;
use crate::json::{Fault, Json};

/// How long a text may be, in bytes.
const MAX_TEXT: usize = 1 << 22;
/// How deep a sidecar may be nested.
const SIDECAR_DEPTH: u32 = 100;
/// Up to here a number is exact.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

type FaultOf = fn(&str, &str) -> Error;

/// Something of a record that serde can read.
pub(super) trait Value {
    fn tree(self) -> Json;
}

impl Value for Json {
    fn tree(self) -> Json {
        match self {
            Json::Number(number) => number.tree(),
            other => other,
        }
    }
}

impl Value for String {
    fn tree(self) -> Json {
        Json::Text(self)
    }
}

impl Value for bool {
    fn tree(self) -> Json {
        Json::Bool(self)
    }
}

impl Value for u32 {
    fn tree(self) -> Json {
        Json::Number(self.into())
    }
}

impl Value for i32 {
    fn tree(self) -> Json {
        Json::Number(self.into())
    }
}

impl Value for u64 {
    fn tree(self) -> Json {
        (self as f64).tree()
    }
}

impl Value for i64 {
    fn tree(self) -> Json {
        Json::Integer(self.into())
    }
}

impl Value for f64 {
    fn tree(self) -> Json {
        match self.fract() == 0.0 && self.abs() <= MAX_EXACT {
            true => Json::Number(self),
            false => Json::Decimal(self, self.to_string()),
        }
    }
}

/// The members of a record that are given.
#[derive(Default)]
pub(super) struct Members(Vec<(String, Json)>);

impl Members {
    pub(super) fn with(mut self, name: &str, value: impl Value) -> Self {
        self.0.push((name.to_owned(), value.tree()));
        self
    }

    pub(super) fn with_some(self, name: &str, value: Option<impl Value>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn read<T: DeserializeOwned>(self, fault: FaultOf) -> Result<T, Error> {
        for (name, value) in &self.0 {
            if let Json::Text(text) = value {
                check_text(text).map_err(|problem| fault(name, &problem))?;
            }
        }
        T::deserialize(&Json::Object(self.0)).map_err(|Fault { field, problem }| fault(&field, &problem))
    }
}

/// Refuses what PostgreSQL can't hold, and what would take the component's memory.
fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("is longer than {MAX_TEXT}"));
    }
    if text.contains(['\0']) { Err("has a NUL character".to_owned()) } else { Ok(()) }
}

/// A JSON object of which PostgreSQL can hold all, and its text as the library writes one: without spaces.
pub(super) fn read_object(field: &str, text: &str) -> Result<(Json, String), Error> {
    let read = || match Wasi::default().parse_json(text) {
        Some(object @ Json::Object(_)) => check_json(&object, SIDECAR_DEPTH).map(|()| object),
        _ => Err("must be the text of a JSON object"),
    };
    read().map(|object| (object, compact(text))).map_err(|problem| Error::field(field, problem))
}

/// A JSON text without what stands between its tokens. It is not written anew: its numbers keep their digits.
fn compact(text: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    let is_kept = |c: &char| {
        let is_quote = *c == '"' && !is_escaped;
        is_escaped = in_string && *c == '\\' && !is_escaped;
        in_string ^= is_quote;
        in_string || is_quote || !c.is_ascii_whitespace()
    };
    text.chars().filter(is_kept).collect()
}

fn check_json(value: &Json, depth: u32) -> Result<(), &'static str> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Err("is nested too deeply");
    };
    let text = |text: &str| if text.contains(['\0']) { Err("has a NUL character") } else { Ok(()) };
    match value {
        Json::Text(value) => text(value),
        Json::Array(values) => values.iter().try_for_each(|value| check_json(value, deeper)),
        Json::Object(members) => {
            members.iter().try_for_each(|(name, value)| text(name).and_then(|()| check_json(value, deeper)))
        }
        _ => Ok(()),
    }
}
