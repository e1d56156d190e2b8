//! Texts: base64, JSON, quotes without secrets.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use imagen_cloud::base64::{decode_url, encode};
use imagen_cloud::json::quote as json_quote;
use imagen_cloud::text::{contains, is_header_safe, jwt_claims, quote, redact, split_once};

use super::{JWT, SIGNATURE};

/// Each helper does what its well-known twin does; what is quoted is short and holds no secret.
pub fn holds(input: &[u8]) {
    let [before, after] = super::fields(input);

    assert_eq!(encode(input), Base64::encode_string(input));
    assert_eq!(decode_url(&Base64UrlUnpadded::encode_string(input)).as_deref(), Some(input));
    assert_eq!(decode_url(&before), Base64UrlUnpadded::decode_vec(before.trim_end_matches('=')).ok());
    let claims = before.split('.').nth(1).and_then(decode_url).and_then(|it| String::from_utf8(it).ok());
    assert_eq!(jwt_claims(&before), claims);

    assert_eq!(serde_json::from_str::<String>(&json_quote(&before)).unwrap(), before);

    let parts = split_once(&before, &after);
    if after.is_empty() {
        // Nobody looks for nothing.
        assert!(parts.is_none_or(|(start, rest)| format!("{start}{rest}") == before));
    } else {
        assert_eq!(parts, before.split_once(&after));
        assert_eq!(contains(&before, &after), before.contains(&after));
    }

    let header = |c: char| c == ' ' || c.is_ascii_graphic();
    let safe = !before.is_empty() && before.chars().all(header) && before == before.trim();
    assert_eq!(is_header_safe(&before), safe);

    check_quote(&before, &after);
}

fn check_quote(before: &str, after: &str) {
    let quoted = quote(&format!("{before}{after}"));
    assert!(quoted.len() <= 503);
    if before.contains(SIGNATURE) || after.contains(SIGNATURE) {
        return;
    }
    for secret in [JWT, &format!("sb_secret_{SIGNATURE}"), &format!("?token=abc.{SIGNATURE}")] {
        let quoted = quote(&format!("{before}{secret}{after}"));
        assert!(!quoted.contains(SIGNATURE), "{secret} in {quoted:?}");
    }
    let known = format!("known-secret-{}", after.len());
    let text = redact(format!("{before}{known}{after}"), &known);
    assert!(!text.contains(&known), "{known} in {text:?}");
    assert_eq!(redact(before.to_owned(), "1234567"), before, "no secret is that short");
}
