//! One object in one request.

use serde::Deserialize;

use super::object_url;
use crate::config::Config;
use crate::error::{Code, Stage};
use crate::image::meta::Shipment;
use crate::image::path::{StoragePath, escape_segment};
use crate::json;
use crate::text::join;
use crate::wire::classify::{self, Refusal};
use crate::wire::http::{Method, Request, Response};

/// Stores the image under its path. A PUT is an upsert, so it may be repeated.
pub fn upload<B: Clone>(config: &Config, shipment: &Shipment<B>) -> Request<B> {
    put(config, &shipment.storage_path, shipment.image.clone(), &shipment.mime_type)
}

/// Stores bytes under a path.
pub fn put<B>(config: &Config, path: &StoragePath, image: B, mime_type: &str) -> Request<B> {
    let request = Request::new(Method::Put, object_url(config, "object", path))
        .image(image, mime_type)
        .header("x-upsert", "true");
    match &config.cache_control {
        Some(value) => request.header("cache-control", value.as_str()),
        None => request,
    }
}

/// Removes what there is under these paths, and leaves out of its answer what there is not, or what is kept.
pub fn remove<B>(config: &Config, paths: &[StoragePath]) -> Request<B> {
    let url = format!("{}/storage/v1/object/{}", config.url, escape_segment(&config.bucket));
    let paths = join(paths.iter().map(|path| json::quote(path.as_str())), ',');
    Request::new(Method::Delete, url).json(format!("{{\"prefixes\":[{paths}]}}")).fresh()
}

/// What Storage says of an object: `Key` where it has stored one, the rest of one that is there, or was until now. Older
/// versions say less.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Object {
    #[serde(rename = "Key")]
    key: Option<String>,
    id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    /// In bytes.
    pub(super) size: Option<u64>,
}

/// The stored object's name. A 2xx without Storage's JSON is a gateway's word, not Storage's.
pub fn read_upload(response: &Response) -> Result<String, Refusal> {
    if !response.is_success() {
        return Err(classify::of_response(Stage::Upload, response));
    }
    let stored: Object = response.read().unwrap_or_default();
    stored.key.ok_or_else(|| Refusal::garbled(Stage::Upload, response, "storage upload: parse upload response: no Key"))
}

/// Whether what is to be removed has gone is not asked: only whether Storage has heard of it.
pub fn read_removal(response: &Response) -> Result<(), Refusal> {
    if response.is_success() { Ok(()) } else { Err(classify::of_response(Stage::Upload, response)) }
}

/// Asks about an object.
pub fn info<B>(config: &Config, path: &StoragePath) -> Request<B> {
    Request::new(Method::Get, object_url(config, "object/info", path)).fresh()
}

/// Whether it is there. Only Storage's own word is one: a proxy's 404 is none.
pub fn read_info(stage: Stage, response: &Response) -> Result<bool, Refusal> {
    let garbled = |what| Refusal::garbled(stage, response, what);
    if response.is_success() {
        let found: Object = response.read().unwrap_or_default();
        return if found.name.or(found.id).is_some() { Ok(true) } else { Err(garbled("storage info: no object")) };
    }
    let refusal = classify::of_response(stage, response);
    match refusal.error.code {
        Code::ObjectMissing if refusal.error.server_code.is_some() => Ok(false),
        // So it says to a token that it refuses, and whoever asks has been told before that there is a bucket.
        Code::BucketMissing => Err(Refusal::of_token(stage, response)),
        // That there is none is a refusal, whose words may be lost on their way.
        _ if refusal.error.server_code.is_none() && matches!(response.status, 400 | 404) => {
            Err(garbled("storage info: neither an object nor an error"))
        }
        _ => Err(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::error::Code;
    use crate::wire::classify::Remedy;
    use crate::wire::http::Payload;

    fn upload_with(options: Options) -> Request<u8> {
        let options = Options { url: Some("https://x.co".to_owned()), api_key: Some("k".to_owned()), ..options };
        let shipment = Shipment {
            storage_path: StoragePath::parse("2026-05-11/light house?-7.png").unwrap(),
            image_id: String::new(),
            owner_user_id: String::new(),
            image: 9,
            mime_type: "image/png".to_owned(),
            row: String::new(),
            request: String::new(),
        };
        upload(&Config::new(options, false).unwrap(), &shipment)
    }

    #[test]
    fn an_upload_is_an_upsert_of_the_escaped_path() {
        let request = upload_with(Options { bucket: Some("my bucket".to_owned()), ..Options::default() });
        assert_eq!(request.method, Method::Put);
        assert_eq!(request.url, "https://x.co/storage/v1/object/my%20bucket/2026-05-11/light%20house%3F-7.png");
        let headers = [("Content-Type", "image/png"), ("x-upsert", "true")];
        assert_eq!(request.headers, headers.map(|(name, value)| (name, value.to_owned())));
        assert!(matches!(request.payload, Payload::Image(9)));
        let cached = upload_with(Options { cache_control: Some("max-age=60".to_owned()), ..Options::default() });
        assert_eq!(cached.headers.last(), Some(&("cache-control", "max-age=60".to_owned())));
    }

    #[test]
    fn whether_an_object_is_there_only_storage_says_and_to_a_refused_token_it_says_something_else() {
        let read = |status, body: &str| {
            let json = crate::json::tests::parse(body);
            let response = Response { status, body: body.to_owned(), json, ..Response::default() };
            read_info(Stage::Remove, &response).map_err(|refusal| (refusal.error.code, refusal.remedy))
        };
        let missing = |code: &str| format!(r#"{{"statusCode":"404","error":"x","message":"x","code":"{code}"}}"#);
        assert_eq!(read(200, r#"{"id":"1","name":"a.png"}"#), Ok(true));
        assert_eq!(read(400, &missing("NoSuchKey")), Ok(false));
        assert_eq!(read(400, &missing("NoSuchBucket")), Err((Code::Unauthorized, Remedy::FreshToken)));
        for (status, body) in [(404, "<html>"), (404, "404 page not found"), (400, ""), (410, "<html>"), (405, "")] {
            let (code, remedy) = read(status, body).unwrap_err();
            assert!(matches!(code, Code::BadResponse | Code::Unavailable) && remedy == Remedy::Wait, "{status} {body}");
        }
    }

    #[test]
    fn only_storages_own_answer_is_a_success() {
        let read = |status, body: &str| {
            let json = crate::json::tests::parse(body);
            read_upload(&Response { status, body: body.to_owned(), json, ..Response::default() })
        };
        assert_eq!(read(200, r#"{"Key":"b/x.png","Id":"1"}"#).unwrap(), "b/x.png");
        for body in ["", "<html>", "{}", r#"{"Key":1}"#, r#"{"Key":null}"#, "[]", r#"{"Key":"b/x"#] {
            let refusal = read(200, body).unwrap_err();
            assert_eq!((refusal.error.code, refusal.error.status), (Code::BadResponse, Some(200)), "{body}");
            assert!(refusal.error.retryable && refusal.error.message.starts_with("storage upload: "), "{body}");
        }
        assert_eq!(read(413, "").unwrap_err().error.code, Code::TooLarge);
    }
}
