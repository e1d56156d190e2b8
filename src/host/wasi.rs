//! A server without JavaScript: clock, timers, random numbers and HTTP by WASI 0.2.

mod bytes;
mod http;
pub mod run;

use core::cell::RefCell;
use core::ops::Range;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use serde_json::Value;
use wasip2::clocks::wall_clock;
use wasip2::random::random;

#[cfg(feature = "command")]
pub use self::bytes::File;
pub use self::bytes::WasiBytes;
use super::{OnSent, Patience, Platform};
use crate::error::{Cause, Error};
use crate::json::Json;
use crate::text::{bare_token, is_token};
use crate::wire::http::{Failure, Request, Response};

/// The host, with the token of one sink.
#[derive(Debug, Default)]
pub struct Wasi {
    /// The user's token: a component has no way to be asked for one, its caller sets another when it has another.
    token: RefCell<Option<String>>,
}

impl Wasi {
    /// Has requests go with this token from now on, or with the key alone.
    pub fn set_access_token(&self, token: Option<&str>) -> Result<(), Error> {
        let token = token.map(bare_token);
        if token.is_some_and(|token| !is_token(token)) {
            return Err(Error::option("accessToken", "is no token"));
        }
        self.token.replace(token.map(str::to_owned));
        Ok(())
    }
}

impl Platform for Wasi {
    type Bytes = WasiBytes;

    async fn send(
        &self,
        request: Request<WasiBytes>,
        patience: Patience,
        on_sent: Option<OnSent>,
    ) -> Result<Response, Failure> {
        let mut response = http::exchange(request, patience, on_sent).await?;
        response.json = self.parse_json(&response.body);
        Ok(response)
    }

    async fn sleep(&self, ms: u32) {
        run::sleep(ms).await;
    }

    async fn access_token(&self, _: u32) -> Result<Option<String>, (String, Option<Cause>)> {
        Ok(self.token.borrow().clone())
    }

    /// While a call runs, nobody can set another one.
    fn has_access_token(&self) -> bool {
        false
    }

    fn size(&self, bytes: &WasiBytes) -> u64 {
        bytes.size()
    }

    fn slice(&self, bytes: &WasiBytes, piece: Range<u64>) -> WasiBytes {
        bytes.slice(piece)
    }

    /// Neither a list of bytes nor a file has one.
    fn own_type(&self, _: &WasiBytes) -> Option<String> {
        None
    }

    async fn read(&self, bytes: &WasiBytes, piece: Range<u32>) -> Result<Vec<u8>, Cause> {
        let from = u64::from(piece.start);
        let length = u64::from(piece.end).saturating_sub(from);
        bytes.piece(from, length).map(|piece| piece.into_owned()).map_err(|problem| Rc::new(problem) as Cause)
    }

    fn now_ms(&self) -> i64 {
        let now = wall_clock::now();
        now.seconds as i64 * 1000 + i64::from(now.nanoseconds / 1_000_000)
    }

    fn parse_json(&self, text: &str) -> Option<Json> {
        serde_json::from_str(text).ok().map(tree)
    }

    fn parse_date(&self, date: &str) -> Option<i64> {
        let time = httpdate::parse_http_date(date).ok()?;
        Some(time.duration_since(UNIX_EPOCH).ok()?.as_millis() as i64)
    }

    fn jitter(&self) -> f64 {
        // As many bits as a number from 0 to 1 has.
        (random::get_random_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn random_bytes(&self) -> Option<[u8; 16]> {
        random::get_random_bytes(16).try_into().ok()
    }
}

fn tree(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(flag),
        Value::Number(number) => Json::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Json::Text(text),
        Value::Array(values) => Json::Array(values.into_iter().map(tree).collect()),
        Value::Object(members) => Json::Object(members.into_iter().map(|(name, value)| (name, tree(value))).collect()),
    }
}
