//! What must hold whatever comes in from outside. Each module has one function, `holds`, that panics if it doesn't.
//!
//! `cargo fuzz` looks for inputs that break it (`make fuzz`); `tests/properties.rs` is this same file in `cargo test`, with
//! the inputs that are kept and random ones like them.

pub mod answer;
pub mod config;
#[path = "../../tests/support/host.rs"]
mod host;
pub mod image;
pub mod job;
pub mod path;
pub mod relay;
pub mod request;
pub mod sign;
pub mod text;
pub mod tus;

use core::ops::Range;

use imagen_cloud::config::{Config, Options};
use imagen_cloud::image::meta::Shipment;
use imagen_cloud::image::path::StoragePath;
use imagen_cloud::json;
use imagen_cloud::wire::http::{Payload, Request, Response};

/// A target's name, and its property.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 10] = [
    ("answer", answer::holds),
    ("config", config::holds),
    ("image", image::holds),
    ("job", job::holds),
    ("path", path::holds),
    ("relay", relay::holds),
    ("request", request::holds),
    ("sign", sign::holds),
    ("text", text::holds),
    ("tus", tus::holds),
];

/// Parts the fields of an input: a byte that stands in no UTF-8, so that a field may hold any text.
pub const FIELD: u8 = 0xff;
/// Parts the steps of an input: another such byte.
pub const STEP: u8 = 0xfe;

/// A JWT, as a server may echo it.
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
/// What must not be seen of it. Alone it is no secret: an input that has it says nothing.
const SIGNATURE: &str = "c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";

const ID: &str = "00000000-0000-4000-8000-00000000002a";
const OWNER: &str = "7d6f2b8e-1111-4222-8333-444455556666";
const URL: &str = "https://x.co";

/// The fields of an input: texts, empty where there are none; the last one is the rest.
fn fields<const N: usize>(input: &[u8]) -> [String; N] {
    let mut parts = input.splitn(N, |byte| *byte == FIELD);
    core::array::from_fn(|_| String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned())
}

/// A server's answer: status, Retry-After, Date, Location, Upload-Offset, body.
fn response(input: &[u8]) -> Response {
    let [status, retry_after, date, location, upload_offset, body] = fields(input);
    let headers =
        [("retry-after", retry_after), ("date", date), ("location", location), ("upload-offset", upload_offset)];
    let body = body.replace(SIGNATURE, "-").replace("$JWT", JWT);
    Response {
        status: status.parse().unwrap_or(200),
        headers: headers.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        json: host::parse_json(&body),
        body,
    }
}

fn config() -> Config {
    let options = Options {
        url: Some(URL.to_owned()),
        api_key: Some("key".to_owned()),
        owner_user_id: Some(OWNER.to_owned()),
        ..Options::default()
    };
    Config::new(options, false).unwrap()
}

fn shipment(path: &str) -> Shipment<Range<u64>> {
    Shipment {
        storage_path: StoragePath::parse(path).unwrap(),
        image_id: ID.to_owned(),
        owner_user_id: OWNER.to_owned(),
        image: 0..0,
        mime_type: "image/png".to_owned(),
        row: "{}".to_owned(),
        request: "{\"seed\":1}".to_owned(),
    }
}

/// A request goes to the project and below `route`, and can be sent by every host.
fn check_request<B>(request: &Request<B>, config: &Config, route: &str) {
    let below = request.url.strip_prefix(&config.url).and_then(|rest| rest.strip_prefix(route));
    let below = below.unwrap_or_else(|| panic!("{} is not below {route}", request.url));
    check_url(&request.url);
    for segment in below.split(['/', '?']) {
        let seen = segment.to_ascii_lowercase().replace("%2e", ".");
        assert!(seen != "." && seen != "..", "a URL parser would resolve {segment:?} of {}", request.url);
    }
    for (name, value) in &request.headers {
        assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{name}: {value:?}");
        assert!(value.trim() == value, "{name}: {value:?}");
    }
    if let Payload::Json(text) = &request.payload {
        serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    }
}

/// Nothing in it that a URL parser would drop, turn or escape.
fn check_url(url: &str) {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{}|".contains(&byte);
    assert!(url.bytes().all(plain), "{url:?}");
}
