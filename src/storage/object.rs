//! One object in one request.

use super::object_url;
use crate::config::Config;
use crate::error::Stage;
use crate::http::{Method, Request, Response};
use crate::refusal::{self, Refusal};
use crate::request::Shipment;

/// Stores the image under its path. A PUT is an upsert, so it may be repeated.
pub fn upload<B: Clone>(config: &Config, shipment: &Shipment<B>) -> Request<B> {
    let request = Request::new(Method::Put, object_url(config, "object", &shipment.storage_path))
        .image(shipment.image.clone(), &shipment.mime_type)
        .header("x-upsert", "true");
    match &config.cache_control {
        Some(value) => request.header("cache-control", value.as_str()),
        None => request,
    }
}

/// The stored object's name. A 2xx without Storage's JSON is a gateway's word, not Storage's.
pub fn read_upload(response: &Response) -> Result<String, Refusal> {
    if !response.is_success() {
        return Err(refusal::of_response(Stage::Upload, response));
    }
    let key = response.json.as_ref().and_then(|answer| answer.text("Key"));
    key.map(str::to_owned)
        .ok_or_else(|| Refusal::garbled(Stage::Upload, response, "storage upload: parse upload response: no Key"))
}
