//! Answers to a request to sign, and the URLs that are made of them.

use imagen_cloud::error::Stage;
use imagen_cloud::image::path::StoragePath;
use imagen_cloud::json::{self, Json};
use imagen_cloud::wire::http::Response;
use imagen_cloud::wire::link::{Link, as_download};
use imagen_cloud::wire::sign::{read_sign, read_sign_many, sign_many};
use percent_encoding::percent_decode_str;

use super::answer::{check_read, check_refusal};

/// A URL that is given is absolute, encoded and one line; what is relative stays at the project's Storage.
pub fn holds(input: &[u8]) {
    let [path, signed, name, answer] = super::fields(input);
    let config = super::config();
    let Ok(path) = StoragePath::parse(&path) else { return };

    let text = |text: &str| Json::Text(text.to_owned());
    let object = |members: Vec<(&str, Json)>| {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let of = |json: Json| Response { status: 200, json: Some(json), ..Response::default() };
    // Storage signs such a path rightly only in a list, so its answer is one too.
    let is_listed = path.as_str().contains([',', ';', '?']);
    let signed_one = object(vec![("signedURL", text(&signed))]);
    let one = read_sign(
        &config,
        &path,
        &Link::for_seconds(60),
        &of(if is_listed { Json::Array(vec![signed_one]) } else { signed_one }),
    );
    let items = vec![object(vec![("signedURL", text(&signed))]), object(vec![("error", text("missing"))])];
    let two = [path.clone(), path.clone()];
    let many = read_sign_many(&config, &two, &of(Json::Array(items)));
    match (one, many) {
        (Ok(url), Ok(urls)) => {
            let is_absolute = signed.starts_with("https://") || signed.starts_with("http://");
            super::check_url(&url);
            assert!(url.starts_with("https://x.co/storage/v1/") || is_absolute && url.starts_with("http"), "{url}");
            assert_eq!(urls, [Some(url.clone()), None]);
            let saved = as_download(&url, &name);
            super::check_url(&saved);
            let (before, after) = saved.rsplit_once("&download=").unwrap();
            assert_eq!(before, url);
            assert!(!after.contains(['&', '#', '+']), "{after}");
            assert_eq!(percent_decode_str(after).decode_utf8().unwrap(), name);
        }
        (Err(refusal), Err(_)) => assert!(!signed.starts_with('/') && refusal.error.stage == Stage::Sign, "{signed:?}"),
        (one, many) => panic!("{one:?}, but {many:?}"),
    }

    let request = sign_many::<()>(&config, &two, 60);
    super::check_request(&request, &config, "/storage/v1/object/sign/");
    let answer = super::response(answer.as_bytes());
    let alone = if is_listed {
        read_sign_many(&config, &two[..1], &answer)
    } else {
        read_sign(&config, &path, &Link::for_seconds(60), &answer).map(|url| vec![Some(url)])
    };
    for outcome in [alone, read_sign_many(&config, &two, &answer)] {
        match outcome {
            Ok(urls) => assert!(answer.is_success() && urls.len() <= 2),
            Err(refusal) if answer.is_success() => {
                // An empty signedURL is Storage's own word, and final.
                let mut refusal = refusal;
                if answer.json.as_ref().and_then(|body| body.text("signedURL")) == Some("") {
                    refusal = refusal.retryable();
                    refusal.remedy = imagen_cloud::wire::classify::Remedy::Wait;
                }
                check_read(Stage::Sign, &answer, &refusal);
            }
            Err(refusal) => check_refusal(Stage::Sign, &answer, &refusal),
        }
    }
    assert!(serde_json::from_str::<String>(&json::quote(&signed)).is_ok_and(|read| read == signed));
}
