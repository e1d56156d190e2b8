//! A row of `imagen.images`: the insert, and reading it back.

use serde::Deserialize;

use crate::config::Config;
use crate::error::{Code, Error, Stage};
use crate::image::meta::Shipment;
use crate::image::path::escape_segment;
use crate::json::lenient;
use crate::text::join;
use crate::wire::classify::{self, Refusal};
use crate::wire::http::{Method, Request, Response};

/// What an error calls the answer to an insert.
const INSERT_RESPONSE: &str = "insert response";

pub(super) fn table_url(config: &Config) -> String {
    format!("{}/rest/v1/{}", config.url, escape_segment(&config.table))
}

/// Posts one row, or an array of them.
fn post<B>(config: &Config, url: String, json: String, prefer: &str) -> Request<B> {
    Request::new(Method::Post, url)
        .json(json)
        .fresh()
        .header("Accept-Profile", config.schema.as_str())
        .header("Content-Profile", config.schema.as_str())
        .header("Prefer", prefer)
}

/// A row, as far as an answer has of it what is looked at here. A table of one's own may have other types: what is no text counts
/// as not there.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) owner_user_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) storage_path: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) created_at: Option<String>,
}

/// Asks which images the rows are of, and whose, whose column is so.
pub(super) fn look_up<B>(config: &Config, column: &str, condition: &str) -> Request<B> {
    let url = format!("{}?{column}={condition}&select=id,owner_user_id,storage_path", table_url(config));
    Request::new(Method::Get, url).fresh().header("Accept-Profile", config.schema.as_str())
}

/// The rows of an answer to `what`.
fn rows(what: &str, response: &Response) -> Result<Vec<Row>, Refusal> {
    if !response.is_success() {
        return Err(classify::of_response(Stage::Insert, response));
    }
    response.read().ok_or_else(|| {
        let problem = if response.json.is_none() { "not JSON" } else { "no array of rows" };
        Refusal::garbled(Stage::Insert, response, &format!("db insert: parse {what}: {problem}"))
    })
}

/// Inserts the row and asks for it back.
pub fn insert<B>(config: &Config, row: &str) -> Request<B> {
    post(config, table_url(config), row.to_owned(), "return=representation")
}

/// The id of the inserted row.
pub fn read_insert(response: &Response) -> Result<String, Refusal> {
    let garbled = |problem: &str| Refusal::garbled(Stage::Insert, response, &format!("db insert: {problem}"));
    match rows(INSERT_RESPONSE, response)?.into_iter().next() {
        None => Err(garbled("insert returned 0 rows")),
        Some(row) => row.id.ok_or_else(|| garbled("parse insert response: no id")),
    }
}

/// Asks who holds the id of a row that the database refused as a duplicate.
pub fn read_back<B>(config: &Config, image_id: &str) -> Request<B> {
    look_up(config, "id", &format!("eq.{image_id}"))
}

/// The id, if the row that was read back is the shipment's: then an earlier attempt brought it.
pub fn read_holder<B>(shipment: &Shipment<B>, response: &Response) -> Result<String, Refusal> {
    let (mut held, _) = read_there(&[shipment], response)?;
    held.pop().ok_or_else(|| Refusal::last(id_taken(shipment)))
}

/// Of rows that are there, since the database has said so: the ids of those that are the shipments', and of those that are seen. Where
/// none is seen, they are looked for again: they are another user's, or a copy of the database is read that lags behind.
pub fn read_there<B>(shipments: &[&Shipment<B>], response: &Response) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let (held, seen) = read_seen(shipments, response)?;
    match shipments.first() {
        Some(first) if seen.is_empty() => Err(Refusal::passing(id_taken(first))),
        _ => Ok((held, seen)),
    }
}

/// The path in the row that was read back, if there is one.
pub fn read_path(response: &Response) -> Result<Option<String>, Refusal> {
    Ok(rows("read-back", response)?.into_iter().next().and_then(|row| row.storage_path))
}

/// The row's id belongs to somebody else.
pub fn id_taken<B>(shipment: &Shipment<B>) -> Error {
    let message = format!(
        "db insert: 409: the id {} belongs to another row, or another unique key of the table holds these values",
        shipment.image_id
    );
    let mut error = Error::new(Stage::Insert, Code::IdTaken, message);
    error.status = Some(409);
    error.server_code = Some("23505".to_owned());
    error
}

/// Inserts many rows by one statement: all or none, but those whose ids are there already are passed over. `columns` names
/// every column that any row has; a row without one gets the column's default.
pub fn insert_many<B>(config: &Config, rows: &[&str], columns: &str) -> Request<B> {
    let url = format!("{}?on_conflict=id&columns={columns}", table_url(config));
    let prefer = "resolution=ignore-duplicates,return=representation,missing=default";
    post(config, url, format!("[{}]", join(rows, ',')), prefer)
}

/// The ids of the inserted rows.
pub fn read_ids(response: &Response) -> Result<Vec<String>, Refusal> {
    Ok(rows(INSERT_RESPONSE, response)?.into_iter().filter_map(|row| row.id).collect())
}

/// Asks who holds the ids of rows that an insert passed over.
pub fn read_back_many<A, B>(config: &Config, shipments: &[&Shipment<A>]) -> Request<B> {
    let ids = join(shipments.iter().map(|shipment| &shipment.image_id), ',');
    look_up(config, "id", &format!("in.({ids})"))
}

/// The ids of those shipments whose rows are theirs, and of all rows that are seen.
pub fn read_seen<B>(shipments: &[&Shipment<B>], response: &Response) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let rows = rows("read-back", response)?;
    let same =
        |found: &Option<String>, value: &str| found.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(value));
    let is_held = |shipment: &Shipment<B>| {
        rows.iter().any(|row| {
            same(&row.id, &shipment.image_id)
                && same(&row.owner_user_id, &shipment.owner_user_id)
                && row.storage_path.as_deref() == Some(shipment.storage_path.as_str())
        })
    };
    let held =
        shipments.iter().filter(|shipment| is_held(shipment)).map(|shipment| shipment.image_id.clone()).collect();
    Ok((held, rows.into_iter().filter_map(|row| row.id).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::image::path::StoragePath;
    use crate::wire::classify::Remedy;

    const ID: &str = "00000000-0000-4000-8000-00000000002a";

    fn config() -> Config {
        let some = |text: &str| Some(text.to_owned());
        let options = Options {
            url: some("https://x.co"),
            api_key: some("k"),
            schema: some("art"),
            table: some("my images"),
            ..Options::default()
        };
        Config::new(options, false).unwrap()
    }

    fn answer(status: u16, body: &str) -> Response {
        Response { status, body: body.to_owned(), json: crate::json::tests::parse(body), ..Response::default() }
    }

    fn headers<B>(request: &Request<B>) -> Vec<(&str, &str)> {
        request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    #[test]
    fn an_insert_names_both_profiles_and_asks_for_the_row() {
        let request: Request<()> = insert(&config(), "{}");
        assert_eq!((request.method, request.url.as_str()), (Method::Post, "https://x.co/rest/v1/my%20images"));
        let wanted = [
            ("Content-Type", "application/json"),
            ("Accept-Profile", "art"),
            ("Content-Profile", "art"),
            ("Prefer", "return=representation"),
        ];
        assert_eq!(headers(&request), wanted);
    }

    #[test]
    fn a_read_back_asks_for_id_owner_and_path() {
        let request: Request<()> = read_back(&config(), ID);
        let url = format!("https://x.co/rest/v1/my%20images?id=eq.{ID}&select=id,owner_user_id,storage_path");
        assert_eq!((request.method, request.url), (Method::Get, url.clone()));
        assert_eq!(headers(&read_back::<()>(&config(), ID)), [("Accept-Profile", "art")]);
    }

    #[test]
    fn an_inserted_rows_id_is_read() {
        assert_eq!(read_insert(&answer(201, r#"[{"prompt":"p","id":"x"}]"#)).unwrap(), "x");
        let other_types = r#"[{"id":"x","owner_user_id":7,"created_at":1778486400,"storage_path":null}]"#;
        assert_eq!(read_insert(&answer(201, other_types)).unwrap(), "x", "of a table of one's own");
        for (body, words) in [
            ("[]", "insert returned 0 rows"),
            ("[{}]", "no id"),
            ("[{\"id\":1}]", "no id"),
            ("{}", "no array of rows"),
            ("[{\"id\":", "not JSON"),
            ("", "not JSON"),
        ] {
            let error = read_insert(&answer(201, body)).unwrap_err().error;
            assert!(error.message.starts_with("db insert: ") && error.message.contains(words), "{}", error.message);
            assert_eq!((error.code, error.retryable), (Code::BadResponse, true), "{body}");
        }
    }

    #[test]
    fn only_a_row_of_the_same_owner_and_path_is_ours() {
        let shipment = Shipment {
            storage_path: StoragePath::parse("a/b.png").unwrap(),
            image_id: ID.to_owned(),
            owner_user_id: "Owner-1".to_owned(),
            image: (),
            mime_type: String::new(),
            row: String::new(),
            request: String::new(),
        };
        let read = |body: &str| read_holder(&shipment, &answer(200, body)).map_err(|refusal| refusal.error.code);
        let row =
            |owner: &str, path: &str| format!(r#"[{{"id":"{ID}","owner_user_id":{owner},"storage_path":{path}}}]"#);
        assert_eq!(read(&row("\"Owner-1\"", "\"a/b.png\"")).unwrap(), ID);
        assert_eq!(read(&row("\"OWNER-1\"", "\"a/b.png\"")).unwrap(), ID, "PostgreSQL writes a uuid in lower case");
        for (owner, path) in [
            ("\"other\"", "\"a/b.png\""),
            ("\"Owner-1\"", "\"a/B.png\""),
            ("null", "\"a/b.png\""),
            ("\"Owner-1\"", "null"),
        ] {
            assert_eq!(read(&row(owner, path)), Err(Code::IdTaken), "{owner} {path}");
        }
        assert_eq!(read("[]"), Err(Code::IdTaken), "a row that can't be seen is another user's, or not seen yet");
        let remedy = |body: &str| read_holder(&shipment, &answer(200, body)).unwrap_err().remedy;
        assert_eq!((remedy("[]"), remedy(&row("null", "null"))), (Remedy::Wait, Remedy::None));
        for garbled in ["", "{}", "null", "[{"] {
            assert_eq!(read(garbled), Err(Code::BadResponse), "{garbled}");
        }
    }
}
