//! A row of `imagen.images`: the insert, and reading it back.

use crate::config::Config;
use crate::error::{Code, Error, Stage};
use crate::http::{Method, Request, Response};
use crate::json::Json;
use crate::path::escape_segment;
use crate::refusal::{self, Refusal};
use crate::request::Shipment;

fn table_url(config: &Config) -> String {
    format!("{}/rest/v1/{}", config.url, escape_segment(&config.table))
}

/// Inserts the row and asks for it back.
pub fn insert<B>(config: &Config, row: &str) -> Request<B> {
    Request::new(Method::Post, table_url(config))
        .json(row.to_owned())
        .header("Accept-Profile", config.schema.as_str())
        .header("Content-Profile", config.schema.as_str())
        .header("Prefer", "return=representation")
}

/// The id of the inserted row.
pub fn read_insert(response: &Response) -> Result<String, Refusal> {
    if !response.is_success() {
        return Err(refusal::of_response(Stage::Insert, response));
    }
    let garbled = |problem: &str| Refusal::garbled(Stage::Insert, response, &format!("db insert: {problem}"));
    match &response.json {
        None => Err(garbled("parse insert response: not JSON")),
        Some(Json::Array(rows)) => match rows.first() {
            None => Err(garbled("insert returned 0 rows")),
            Some(row) => row.text("id").map(str::to_owned).ok_or_else(|| garbled("parse insert response: no id")),
        },
        Some(_) => Err(garbled("parse insert response: no array of rows")),
    }
}

/// Asks who holds the id of a row that the database refused as a duplicate.
pub fn read_back<B>(config: &Config, image_id: &str) -> Request<B> {
    let url = format!("{}?id=eq.{image_id}&select=id,owner_user_id,storage_path", table_url(config));
    Request::new(Method::Get, url).header("Accept-Profile", config.schema.as_str())
}

/// The id, if the row that was read back is the shipment's: then an earlier attempt brought it.
pub fn read_holder<B>(shipment: &Shipment<B>, response: &Response) -> Result<String, Refusal> {
    if !response.is_success() {
        return Err(refusal::of_response(Stage::Insert, response));
    }
    let Some(Json::Array(rows)) = &response.json else {
        return Err(Refusal::garbled(Stage::Insert, response, "db insert: parse read-back: no array of rows"));
    };
    let is_ours = |row: &Json| {
        let same_owner = row.text("owner_user_id").is_some_and(|o| o.eq_ignore_ascii_case(&shipment.owner_user_id));
        same_owner && row.text("storage_path") == Some(shipment.storage_path.as_str())
    };
    if rows.iter().any(is_ours) {
        return Ok(shipment.image_id.clone());
    }
    let message = format!(
        "db insert: 409: the id {} belongs to another row, or another unique key of the table holds these values",
        shipment.image_id
    );
    let mut error = Error::new(Stage::Insert, Code::IdTaken, message);
    error.status = Some(409);
    error.server_code = Some("23505".to_owned());
    Err(Refusal::last(error))
}
