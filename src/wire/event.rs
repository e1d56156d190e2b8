//! What a sink or a relay tells of its requests: for logs, traces and metrics. No key, no token, no path and no URL.

use serde::Serialize;

use crate::error::{Code, Stage};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", rename_all_fields = "camelCase", tag = "type")]
pub enum Event {
    /// A request has ended.
    Request {
        /// What it was for.
        stage: Stage,
        /// Of HTTP.
        method: &'static str,
        /// The answer's, if there was an answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Why there was none.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<Code>,
        /// How long it took.
        ms: u32,
        /// Bytes of the image that it carried.
        bytes: u64,
        /// Which one of its stage, from 1.
        attempt: u32,
        /// The images that it was about, once that is known: several for rows in bulk.
        image_ids: Vec<String>,
    },
    /// It is tried again, after a wait.
    Retry {
        /// What is tried again.
        stage: Stage,
        /// Why.
        code: Code,
        /// The answer's, if there was an answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Attempts made so far.
        attempt: u32,
        /// How long it waits.
        wait_ms: u32,
        /// The images that it is about, once that is known.
        image_ids: Vec<String>,
    },
}
