//! Who a request goes as, and how the server is told.

use crate::config::Config;
use crate::wire::http::Request;

/// The header of a token that stands for a key. A request that has it takes no key and no user's token along.
const SIGNATURE: &str = "x-signature";

/// Who a request goes as.
pub enum Auth {
    /// Whoever has the project's key.
    Key,
    /// The user of this token.
    User(String),
    /// Whoever has this token for one upload.
    Signed(String),
}

impl Auth {
    /// What a server may echo of it.
    pub fn token<'a>(&'a self, config: &'a Config) -> &'a str {
        match self {
            Self::Key => &config.api_key,
            Self::User(token) | Self::Signed(token) => token,
        }
    }

    /// Adds the headers that tell it.
    pub fn add_to<B>(&self, request: Request<B>, config: &Config) -> Request<B> {
        let request = match self {
            Self::Signed(token) => request.header(SIGNATURE, token.as_str()),
            _ => request.header("Authorization", format!("Bearer {}", self.token(config))),
        };
        if config.target.is_project() { request.header("apikey", config.api_key.as_str()) } else { request }
    }
}
