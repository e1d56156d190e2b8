//! Short texts out of long or secret ones.

use uuid::Uuid;

use crate::base64;

/// Bytes of a server's answer that an error quotes at most.
const QUOTED_BYTES: usize = 500;

/// Bytes of it that are looked at: what a server sends is as long as it likes.
const READ_BYTES: usize = 8 * QUOTED_BYTES;

/// Characters of a name that an error tells back at most, beside the ellipsis.
const NAMED_CHARS: usize = 63;

/// No token is shorter, and few words are longer.
const ANY_TOKEN: usize = 20;

/// How a JWT (`eyJ`) and a key (`sb_`) begin in base64, behind none, one or two other bytes, and with every character
/// percent-encoded, once or twice.
const ENCODED: [&str; 10] =
    ["ZXlK", "V5S", "leU", "c2Jf", "NiX", "zYl", "%65%79%4", "%73%62%5", "%2565%2579", "%2573%2562"];

/// What stands for a secret.
const REDACTED: &str = "[redacted]";

/// An answer's text for an error: trimmed, without secrets, at most 500 bytes and cut at a character.
pub fn quote(body: &str) -> String {
    let body = body.trim();
    let read = body.get(..body.floor_char_boundary(READ_BYTES)).unwrap_or_default();
    let text = without_tokens(read);
    if text.len() <= QUOTED_BYTES && read.len() == body.len() {
        return text;
    }
    let end = text.floor_char_boundary(QUOTED_BYTES);
    format!("{}...", text.get(..end).unwrap_or_default())
}

/// A name that came from outside, for a message or a `field`: at most 64 characters of it.
pub fn name(name: &str) -> String {
    match name.char_indices().nth(NAMED_CHARS) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
    }
}

/// Takes out what looks like a key or a token: JWTs, `sb_secret_…` and `sb_publishable_…` keys, and the token of a
/// signed URL. By its looks, since a server may echo what another client sent.
fn without_tokens(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, mark, secret)) = next_secret(rest) {
        clean.push_str(before);
        clean.push_str(mark);
        clean.push_str(REDACTED);
        rest = secret.trim_start_matches(is_token_char);
    }
    clean.push_str(rest);
    clean
}

/// Takes out a secret that is known. A very short one is no secret but a test's, and would tear words apart.
pub fn redact(text: String, secret: &str) -> String {
    if secret.len() < 8 {
        return text;
    }
    let mut clean = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = split_once(rest, secret) {
        clean.push_str(before);
        clean.push_str(REDACTED);
        rest = after;
    }
    if clean.is_empty() { text } else { clean + rest }
}

/// The text before the first secret, the mark to keep, and the text from the secret on.
fn next_secret(text: &str) -> Option<(&str, &'static str, &str)> {
    // A JWT's header is `{"` in base64url: `eyJ`.
    let marks = [("eyJ", ""), ("sb_secret_", ""), ("sb_publishable_", ""), ("token=", "token=")];
    text.char_indices().find_map(|(at, _)| {
        let (before, from) = text.split_at_checked(at)?;
        let is_encoded = ENCODED.into_iter().any(|mark| from.starts_with(mark));
        let (_, kept) = match is_encoded {
            true => ("", ""),
            false => marks.into_iter().find(|(mark, _)| from.starts_with(mark))?,
        };
        let secret = from.strip_prefix(kept)?;
        // A letter or digit before it is a word's, such as in `monkeyJar`; or an escape's, such as in `Bearer%20eyJ`, and
        // then all of a token follows.
        let starts_word = !is_encoded && !before.ends_with(|c: char| c.is_ascii_alphanumeric());
        let least = if starts_word { 1 } else { ANY_TOKEN };
        (secret.chars().take_while(|c| is_token_char(*c)).take(least).count() == least)
            .then_some((before, kept, secret))
    })
}

/// What stands before and after the first `needle`. As `str::split_once`, whose search for long texts is 5 kB of code.
pub fn split_once<'a>(text: &'a str, needle: &str) -> Option<(&'a str, &'a str)> {
    let mut windows = text.as_bytes().windows(needle.len().max(1));
    // The first byte alone first: seldom is it there, and a call for each window is slow.
    let at = windows.position(|window| window.first() == needle.as_bytes().first() && window == needle.as_bytes())?;
    Some((text.get(..at)?, text.get(at + needle.len()..)?))
}

/// Texts with `separator` between them. As `slice::join`, which is 1 kB of code and wants a `Vec` first.
pub fn join(parts: impl IntoIterator<Item = impl AsRef<str>>, separator: char) -> String {
    let mut joined = String::new();
    for part in parts {
        push(&mut joined, part.as_ref(), separator);
    }
    joined.pop();
    joined
}

/// Not generic, so that there is one copy of it in the binary.
fn push(joined: &mut String, part: &str, separator: char) {
    joined.push_str(part);
    joined.push(separator);
}

/// As `str::contains`, for the same reason.
pub fn contains(text: &str, needle: &str) -> bool {
    split_once(text, needle).is_some()
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '+' | '/' | '%' | '~')
}

/// The claims of a JWT as JSON text, its signature unchecked; `None` for what is no JWT.
pub fn jwt_claims(token: &str) -> Option<String> {
    let payload = base64::decode_url(token.split(['.']).nth(1)?)?;
    String::from_utf8(payload).ok()
}

/// Whether a token has the scheme of the header before it.
pub fn has_bearer(token: &str) -> bool {
    token.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "))
}

/// A token without what people leave around it: the header's scheme, spaces, a line break.
pub fn bare_token(token: &str) -> &str {
    let token = token.trim();
    if has_bearer(token) { token.get(7..).unwrap_or_default().trim_start() } else { token }
}

/// Whether a text is what was meant, and nothing is around it that people leave there: spaces, a line break, quotes as of a `.env` file.
pub fn is_bare(text: &str) -> bool {
    let is_quoted = matches!(text.as_bytes(), [b'"' | b'\'', ..] | [.., b'"' | b'\'']);
    text.trim() == text && !is_quoted && !is_unset(text)
}

/// Whether a program has made this text of a value that is none.
fn is_unset(text: &str) -> bool {
    matches!(text, "undefined" | "null")
}

/// Whether a text may be a token, as far as its looks tell.
pub fn is_token(text: &str) -> bool {
    is_header_safe(text) && !is_unset(text)
}

/// A UUID in the one way of writing that the database has for it; `None` for what is none.
pub fn canonical_id(id: &str) -> Option<String> {
    Uuid::try_parse(id).ok().map(|id| id.to_string())
}

/// Whether a text may stand in an HTTP header: visible ASCII and inner spaces.
pub fn is_header_safe(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_cut_at_a_character() {
        let text = format!("{}€€", "x".repeat(499));
        assert_eq!(quote(&text), format!("{}...", "x".repeat(499)));
        assert_eq!(quote(" short \n"), "short");
    }

    #[test]
    fn twice_the_body_is_not_more_than_twice_the_work() {
        // What a quote is made of is all that it looks at: with another rest of the body it is the same.
        let quotes = |bit: &str| {
            [1, 2].map(|times| quote(&format!("{}{}", "eyJ ".repeat(READ_BYTES / 4), bit.repeat(times * 100_000))))
        };
        for bit in ["eyJ", "sb_secret_", "token=", "%65", " "] {
            let [once, twice] = quotes(bit);
            assert_eq!(once, twice, "{bit}");
            assert!(once.len() <= QUOTED_BYTES + 3, "{}", once.len());
        }
    }

    #[test]
    fn encoded_secrets_are_taken_out_of_a_quote() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_";
        for secret in [jwt, "sb_secret_0123456789abcdef", "sb_publishable_0123456789abcdef"] {
            let percent = |text: &str, escape: &str| {
                text.bytes().fold(String::new(), |all, byte| format!("{all}{escape}{byte:02x}"))
            };
            let encoded =
                ["", "x", "xy", "Bearer "].map(|before| base64::encode(format!("{before}{secret}").as_bytes()));
            for echo in encoded.into_iter().chain([percent(secret, "%"), percent(secret, "%25")]) {
                let text = quote(&format!("bad \"{echo}\"!"));
                assert!(text.ends_with("[redacted]\"!") && text.len() < 40, "{text}");
            }
        }
        assert_eq!(
            quote("a leUcode, V5S and a zYlophone of some length"),
            "a leUcode, V5S and a zYlophone of some length"
        );
    }

    #[test]
    fn a_token_is_taken_with_what_is_left_around_it() {
        for text in ["a.b.c", "a.b.c\n", " a.b.c\r\n", "Bearer a.b.c", "bearer  a.b.c\n"] {
            assert_eq!(bare_token(text), "a.b.c", "{text:?}");
        }
        assert_eq!((bare_token("Bearer"), bare_token("Bearer \n")), ("Bearer", "Bearer"));
    }

    #[test]
    fn a_name_is_told_back_at_64_characters_at_most() {
        assert_eq!(name("slug"), "slug");
        assert_eq!(name(&"ä".repeat(1000)), format!("{}…", "ä".repeat(63)));
    }

    #[test]
    fn secrets_are_taken_out_of_a_quote() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_";
        for (text, clean) in [
            (format!("bad {jwt}!"), "bad [redacted]!".to_owned()),
            ("/sign/a.png?token=abc.def\"".to_owned(), "/sign/a.png?token=[redacted]\"".to_owned()),
            ("key sb_secret_abc, sb_publishable_x".to_owned(), "key [redacted], [redacted]".to_owned()),
            (format!("?token={jwt}&x=1 {jwt}"), "?token=[redacted]&x=1 [redacted]".to_owned()),
            (format!("monkeyJar, token= , {jwt}"), "monkeyJar, token= , [redacted]".to_owned()),
            (format!("Bearer%20{jwt}&x"), "Bearer%20[redacted]&x".to_owned()),
            (format!(r#"{{"message":"no:\n{jwt}"}}"#), r#"{"message":"no:\n[redacted]"}"#.to_owned()),
        ] {
            assert_eq!(quote(&text), clean.trim());
        }
    }
}
