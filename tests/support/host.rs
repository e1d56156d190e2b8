//! What a host does for the library, done natively: for the unit tests and for `fuzz`.

use super::json::Json;

/// The host's `JSON.parse`, and what `platform` makes of it: a number past all bounds is infinite.
pub(crate) fn parse_json(text: &str) -> Option<Json> {
    fn convert(value: serde_json::Value) -> Json {
        use serde_json::Value;
        match value {
            Value::Null => Json::Null,
            Value::Bool(bool) => Json::Bool(bool),
            // `serde_json` refuses what is past them: let the last ones before stand for it.
            Value::Number(number) => match number.as_f64().unwrap_or(f64::NAN) {
                far if far.abs() > 1e300 => Json::Number(f64::INFINITY.copysign(far)),
                number => Json::Number(number),
            },
            Value::String(text) => Json::Text(text),
            Value::Array(values) => Json::Array(values.into_iter().map(convert).collect()),
            Value::Object(members) => {
                Json::Object(members.into_iter().map(|(name, value)| (name, convert(value))).collect())
            }
        }
    }
    serde_json::from_str(text).ok().map(convert)
}

/// The host's `Date.parse`, as far as it is an HTTP date.
pub(crate) fn parse_date(date: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(date).ok()?;
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis() as i64)
}
