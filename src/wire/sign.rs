//! Signed URLs.

use core::slice;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;

use crate::config::Config;
use crate::error::{Code, Error, Stage};
use crate::image::path::{StoragePath, escape_segment, escape_signed};
use crate::json;
use crate::text::{join, quote, split_once};
use crate::wire::classify::{self, Refusal};
use crate::wire::http::{Method, Request, Response};
use crate::wire::link::Link;

/// What may not stand in a URL as it is; `%`, `?` and `#` are left, since they may be meant.
const ILLEGAL: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// Whether Storage signs a path rightly only in a list. Alone it signs the request's address, in which it leaves the escapes
/// of these three as they are, and then refuses its own link: InvalidSignature.
fn is_signed_in_a_list(path: &StoragePath) -> bool {
    path.as_str().contains([',', ';', '?'])
}

/// Refuses a link that can't be had: a transformed picture's are signed one by one, and so no path with a `?`.
pub fn check(path: &StoragePath, link: &Link) -> Result<(), Error> {
    match link.transform.is_some() && path.as_str().contains(['?']) {
        true => Err(Error::field("storagePath", "holds a ?, of which Storage signs no transformed picture")),
        false => Ok(()),
    }
}

/// Asks for a link.
pub fn sign<B>(config: &Config, path: &StoragePath, link: &Link) -> Request<B> {
    if is_signed_in_a_list(path) && link.transform.is_none() {
        return sign_many(config, slice::from_ref(path), link.expires_in);
    }
    let url = format!("{}/{}", bucket_url(config), escape_signed(path));
    Request::new(Method::Post, url).json(format!("{{{}}}", link.members())).fresh()
}

fn bucket_url(config: &Config) -> String {
    format!("{}/storage/v1/object/sign/{}", config.url, escape_segment(&config.bucket))
}

/// Asks for the URLs of up to 1000 objects.
pub fn sign_many<B>(config: &Config, paths: &[StoragePath], ttl_seconds: u32) -> Request<B> {
    let url = bucket_url(config);
    let paths = join(paths.iter().map(|path| json::quote(path.as_str())), ',');
    Request::new(Method::Post, url).json(format!("{{\"expiresIn\":{ttl_seconds},\"paths\":[{paths}]}}")).fresh()
}

/// What Storage says of a path that it was to sign.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Signed {
    #[serde(rename = "signedURL")]
    url: Option<String>,
    error: Option<String>,
}

/// The signed URLs in the paths' order; `None` for an object that is missing.
pub fn read_sign_many(
    config: &Config,
    paths: &[StoragePath],
    response: &Response,
) -> Result<Vec<Option<String>>, Refusal> {
    if !response.is_success() {
        return Err(classify::of_response(Stage::Sign, response));
    }
    let garbled = |problem: &str| Refusal::garbled(Stage::Sign, response, problem);
    let items: Vec<Signed> = response.read().ok_or_else(|| garbled("parse sign response: no array"))?;
    if items.len() != paths.len() {
        return Err(garbled("parse sign response: not one answer a path"));
    }
    let url = |(path, item): (&StoragePath, Signed)| match item.url {
        Some(url) if !url.is_empty() => {
            absolute(config, path, &url).map(Some).ok_or_else(|| garbled("parse sign response: no URL"))
        }
        // Missing: then the item says so.
        _ if item.error.is_some() => Ok(None),
        _ => Err(garbled("parse sign response: neither a URL nor an error")),
    };
    paths.iter().zip(items).map(url).collect()
}

/// The signed URL, absolute and escaped.
pub fn read_sign(config: &Config, path: &StoragePath, link: &Link, response: &Response) -> Result<String, Refusal> {
    if !response.is_success() {
        return Err(classify::of_response(Stage::Sign, response));
    }
    if is_signed_in_a_list(path) && link.transform.is_none() {
        let url = read_sign_many(config, slice::from_ref(path), response)?.pop();
        return url.flatten().ok_or_else(|| missing(response));
    }
    let garbled = |problem: &str| Refusal::garbled(Stage::Sign, response, problem);
    if response.json.is_none() {
        return Err(garbled("parse sign response: not JSON"));
    }
    let signed: Signed = response.read().unwrap_or_default();
    match signed.url {
        Some(url) if url.is_empty() => {
            // Storage's own word, so that trying again won't change it.
            let message = format!("empty signedURL in response: {}", quote(&response.body));
            let mut error = Error::new(Stage::Sign, Code::BadResponse, message);
            error.status = Some(response.status);
            Err(Refusal::last(error))
        }
        Some(url) => absolute(config, path, &url).ok_or_else(|| garbled("parse sign response: no URL")),
        None => Err(garbled("parse sign response: no signedURL")),
    }
}

/// The only path of a list is missing. Asked for alone, it is the same error.
fn missing(response: &Response) -> Refusal {
    let message = format!("sign {}: {}", response.status, quote(&response.body));
    let mut error = Error::new(Stage::Sign, Code::ObjectMissing, message);
    error.status = Some(response.status);
    Refusal::last(error)
}

/// Makes one URL of what servers answer: the real one a path relative to `/storage/v1`, with the object's name
/// unescaped; others the same with that prefix, or an absolute URL. It begins with the project's address for whoever opens it.
fn absolute(config: &Config, path: &StoragePath, signed: &str) -> Option<String> {
    let relative = signed.strip_prefix(&*config.url).filter(|rest| rest.starts_with("/storage/v1/"));
    let signed = relative.unwrap_or(signed);
    let (base, rest) = if signed.starts_with("https://") || signed.starts_with("http://") {
        (String::new(), signed)
    } else if let Some(rest) = signed.strip_prefix('/') {
        let prefix = if rest.starts_with("storage/v1/") { "/" } else { "/storage/v1/" };
        (format!("{}{prefix}", config.public_url), rest)
    } else {
        return None;
    };
    Some(base + &escaped(config, path, rest))
}

/// Escapes the object's name where it stands as it is, and whatever else may not stand in a URL.
fn escaped(config: &Config, path: &StoragePath, url: &str) -> String {
    let raw = format!("/{}/{}?", config.bucket, path.as_str());
    let whole = match split_once(url, &raw) {
        Some((before, query)) => format!("{before}/{}/{}?{query}", escape_segment(&config.bucket), path.escaped()),
        None => url.to_owned(),
    };
    utf8_percent_encode(&whole, &ILLEGAL).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::json::Json;
    use crate::wire::classify::Remedy;
    use crate::wire::http::Payload;
    use proptest::prelude::*;

    fn config() -> Config {
        let options =
            Options { url: Some("https://x.co".to_owned()), api_key: Some("k".to_owned()), ..Options::default() };
        Config::new(options, false).unwrap()
    }

    /// What becomes of an answer, in the shape that it has for this path.
    fn read(path: &str, signed: &str) -> Option<String> {
        let path = StoragePath::parse(path).unwrap();
        let answer = Json::Object(vec![("signedURL".to_owned(), Json::Text(signed.to_owned()))]);
        let json = Some(if is_signed_in_a_list(&path) { Json::Array(vec![answer]) } else { answer });
        read_sign(&config(), &path, &Link::for_seconds(60), &Response { status: 200, json, ..Response::default() }).ok()
    }

    #[test]
    fn every_form_becomes_the_same_url() {
        let wanted = "https://x.co/storage/v1/object/sign/imagen-generated/a%20b/c%3Fd%25.png?token=t.u";
        for signed in [
            "/object/sign/imagen-generated/a b/c?d%.png?token=t.u",
            "/storage/v1/object/sign/imagen-generated/a b/c?d%.png?token=t.u",
            "/storage/v1/object/sign/imagen-generated/a%20b/c%3Fd%25.png?token=t.u",
            "https://x.co/storage/v1/object/sign/imagen-generated/a%20b/c%3Fd%25.png?token=t.u",
        ] {
            assert_eq!(read("a b/c?d%.png", signed).as_deref(), Some(wanted), "{signed}");
        }
    }

    #[test]
    fn a_link_has_the_address_that_others_open_the_project_by() {
        let with = |public_url: &str| {
            let (url, public_url) = (Some("http://kong:8000".to_owned()), Some(public_url.to_owned()));
            let options = Options { url, public_url, api_key: Some("k".to_owned()), ..Options::default() };
            Config::new(options, false).unwrap()
        };
        let path = StoragePath::parse("a b.png").unwrap();
        let wanted = "/storage/v1/object/sign/imagen-generated/a%20b.png?token=t";
        for public in ["https://x.co", "https://x.co/db"] {
            let config = with(public);
            for signed in [
                "/object/sign/imagen-generated/a b.png?token=t",
                "/storage/v1/object/sign/imagen-generated/a b.png?token=t",
                "http://kong:8000/storage/v1/object/sign/imagen-generated/a%20b.png?token=t",
            ] {
                let url = absolute(&config, &path, signed);
                assert_eq!(url, Some(format!("{public}{wanted}")), "{signed}");
            }
            let asked = sign::<()>(&config, &path, &Link::for_seconds(60)).url;
            assert!(asked.starts_with("http://kong:8000/storage/v1/"), "{asked}");
            let elsewhere = format!("http://kong:8000.x.co{wanted}");
            assert_eq!(absolute(&config, &path, &elsewhere), Some(elsewhere), "of another host nothing is known");
        }
    }

    #[test]
    fn what_is_signed_wrongly_alone_is_signed_in_a_list() {
        for mark in ' '..='~' {
            let Ok(path) = StoragePath::parse(&format!("a{mark}b.png")) else { continue };
            let Request { url, payload: Payload::Json(body), .. } =
                sign::<()>(&config(), &path, &Link::for_seconds(60))
            else {
                panic!()
            };
            let list = "https://x.co/storage/v1/object/sign/imagen-generated";
            if ",;?".contains(mark) {
                let json = format!(r#"{{"expiresIn":60,"paths":["a{mark}b.png"]}}"#);
                assert_eq!((url.as_str(), body), (list, json));
            } else {
                let json = r#"{"expiresIn":60}"#.to_owned();
                assert_eq!((url, body), (format!("{list}/{}", path.escaped()), json));
            }
        }
    }

    #[test]
    fn a_transformed_pictures_link_is_signed_alone_also_where_a_name_has_a_comma() {
        let transform = Some(crate::wire::link::Transform { width: Some(9), ..Default::default() });
        let link = Link { transform, ..Link::for_seconds(60) };
        let path = StoragePath::parse("a,b;c d.png").unwrap();
        let Request { url, payload: Payload::Json(body), .. } = sign::<()>(&config(), &path, &link) else { panic!() };
        assert_eq!(url, "https://x.co/storage/v1/object/sign/imagen-generated/a,b;c%20d.png");
        assert_eq!(body, r#"{"expiresIn":60,"transform":{"width":9}}"#);
        let signed = "/render/image/sign/imagen-generated/a,b;c d.png?token=t";
        let json = Some(Json::Object(vec![("signedURL".to_owned(), Json::Text(signed.to_owned()))]));
        let url = read_sign(&config(), &path, &link, &Response { status: 200, json, ..Response::default() }).unwrap();
        assert_eq!(url, "https://x.co/storage/v1/render/image/sign/imagen-generated/a%2Cb%3Bc%20d.png?token=t");
        let odd = StoragePath::parse("a?b.png").unwrap();
        let fault = check(&odd, &link).err().and_then(|error| error.field.clone());
        assert_eq!(fault.as_deref(), Some("storagePath"));
        assert!(check(&odd, &Link::for_seconds(60)).is_ok());
    }

    #[test]
    fn an_error_is_the_same_from_a_list() {
        let path = StoragePath::parse("a,b.png").unwrap();
        let read = |status: u16, body: &str| {
            let json = crate::json::tests::parse(body);
            let response = Response { status, body: body.to_owned(), json, ..Response::default() };
            read_sign(&config(), &path, &Link::for_seconds(60), &response)
                .map_err(|Refusal { error, remedy, .. }| (error.code, remedy))
        };
        for (status, body, wanted) in [
            (200, r#"[{"error":"x","path":"a,b.png","signedURL":null}]"#, (Code::ObjectMissing, Remedy::None)),
            (400, r#"{"statusCode":"404","code":"NoSuchKey","message":"x"}"#, (Code::ObjectMissing, Remedy::None)),
            (400, r#"{"statusCode":"403","code":"AccessDenied"}"#, (Code::Unauthorized, Remedy::FreshToken)),
            (400, r#"{"statusCode":"404","code":"NoSuchBucket"}"#, (Code::BucketMissing, Remedy::None)),
            (500, "", (Code::Unavailable, Remedy::Wait)),
            (200, "[]", (Code::BadResponse, Remedy::Wait)),
            (200, "<html>", (Code::BadResponse, Remedy::Wait)),
        ] {
            assert_eq!(read(status, body), Err(wanted), "{status} {body}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for signed in ["", "javascript:alert(1)", "object/sign/x", "data:,x"] {
            assert_eq!(read("a.png", signed), None, "{signed}");
        }
    }

    proptest! {
        #[test]
        fn an_unescaped_answer_is_escaped_as_the_path_is(path in "[a-z %?#&+=\u{e4}]{1,12}(/[a-z %?]{1,9})?") {
            if let Ok(path) = StoragePath::parse(&path) {
                let url = read(path.as_str(), &format!("/object/sign/imagen-generated/{}?token=t", path.as_str()));
                let wanted = format!("https://x.co/storage/v1/object/sign/imagen-generated/{}?token=t", path.escaped());
                prop_assert_eq!(url.unwrap(), wanted);
            }
        }
    }
}
