//! Who a request goes as, and how the server is told.

use crate::config::Config;
use crate::wire::http::Request;

/// The header of a token that stands for a key. A request that has it takes no key and no user's token along.
const SIGNATURE: &str = "x-signature";

/// Who a request goes as.
pub enum Auth {
    /// The user of this token, or whoever has this key of the project.
    Bearer(String),
    /// Whoever has this token for one upload.
    Signed(String),
    /// Somebody whom the Worker does not know, which it says.
    Nobody,
}

impl Auth {
    /// What a server may echo of it.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Bearer(token) | Self::Signed(token) => Some(token),
            Self::Nobody => None,
        }
    }

    /// Adds the headers that tell it.
    pub fn add_to<B>(&self, request: Request<B>, config: &Config) -> Request<B> {
        let request = match self {
            Self::Bearer(token) => request.header("Authorization", format!("Bearer {token}")),
            Self::Signed(token) => request.header(SIGNATURE, token.as_str()),
            Self::Nobody => request,
        };
        match &config.api_key {
            Some(key) => request.header("apikey", key.as_str()),
            None => request,
        }
    }
}
