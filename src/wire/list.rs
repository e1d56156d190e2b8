//! Pages of rows, the newest first. A page begins behind the row that the one before ended with: by the server's own text of
//! `created_at`, which has more digits than a `Date`, and by the id, since the rows of one bulk insert share their time.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::rows::{Row, table_url};
use crate::base64;
use crate::config::Config;
use crate::error::{Error, Stage};
use crate::image::columns;
use crate::image::path::{StoragePath, escape_query};
use crate::image::row::COLUMNS;
use crate::text::{canonical_id, join};
use crate::wire::classify::{self, Refusal};
use crate::wire::http::{Method, Request, Response};
use crate::wire::link::Link;

/// Rows of one page at most: with their links they are two requests, and their texts fit into one answer.
const MAX_ROWS: u32 = 500;
/// Ids of one page: they stand in its URL.
const MAX_IDS: usize = 100;
const UUID_LENGTH: usize = 36;
const DEFAULT_ROWS: u32 = 24;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Rows of the page, at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub before: Option<String>,
    /// Whose rows; left out it is the configuration's.
    pub owner: Option<String>,
    /// Only the rows of these ids.
    pub ids: Option<Vec<String>>,
    /// Columns of the caller's own.
    pub columns: Vec<String>,
    /// What links to the images are to give; without it there are none.
    pub link: Option<Link>,
    /// Whether links to the small pictures are wanted as well.
    pub thumbnails: bool,
}

/// A page as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The answer's own text: an array of rows, of which the last may be the next page's. The Worker's holds images.
    pub text: String,
    /// The storage paths of the page's rows.
    pub paths: Vec<StoragePath>,
    /// Where the next page begins.
    pub before: Option<String>,
    /// Where it would begin after fewer rows than were asked for: the end, unless the server gives no more at once.
    pub doubt: Option<String>,
}

/// A page as the Worker gives it, whose images are nothing to look at here.
#[derive(Deserialize)]
struct Images {
    #[serde(rename = "images")]
    _images: Vec<IgnoredAny>,
    #[serde(default)]
    before: Option<String>,
}

/// Where a page ended.
struct Cursor {
    created_at: String,
    id: String,
}

impl Cursor {
    /// An opaque text, fit for a URL.
    fn to_text(&self) -> String {
        let text = base64::encode(format!("{}{}", self.id, self.created_at).as_bytes());
        let for_url = |digit| match digit {
            '+' => '-',
            '/' => '_',
            other => other,
        };
        text.chars().filter(|digit| *digit != '=').map(for_url).collect()
    }

    /// Refuses what no page has given.
    fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(base64::decode_url(text)?).ok()?;
        let (id, created_at) = text.split_at_checked(UUID_LENGTH)?;
        let is_time = |c: u8| c.is_ascii_digit() || matches!(c, b'T' | b':' | b'.' | b'+' | b'-' | b' ');
        let is_sound = (10..=40).contains(&created_at.len()) && created_at.bytes().all(is_time);
        let (created_at, id) = (created_at.to_owned(), canonical_id(id)?);
        is_sound.then_some(Self { created_at, id })
    }
}

impl Query {
    /// Refuses what can be refused before anything is sent.
    pub fn check(&self) -> Result<(), Error> {
        if self.limit.is_some_and(|limit| !(1..=MAX_ROWS).contains(&limit)) {
            return Err(Error::field("limit", &format!("must be 1 to {MAX_ROWS}")));
        }
        if self.before.as_deref().is_some_and(|before| Cursor::parse(before).is_none()) {
            return Err(Error::field("before", "is none that a list has given"));
        }
        // Whoever has no name at hand asks for nobody's images, and not for all of them.
        if self.owner.as_deref() == Some("") {
            return Err(Error::field("owner", "is empty. Leave it out, or name one"));
        }
        let ids = self.ids.as_deref().unwrap_or_default();
        if ids.len() > MAX_IDS || ids.iter().any(|id| canonical_id(id).is_none()) {
            return Err(Error::field("ids", &format!("must be UUIDs, {MAX_IDS} at most")));
        }
        if self.thumbnails && self.link.is_none() {
            return Err(Error::field("thumbnail", "asks for links, and signedUrl for none"));
        }
        self.columns.iter().try_for_each(|column| columns::check_name(column))
    }

    /// The same from another place on, and no row of it: its page says only whether there are any.
    pub fn probe(&self, before: String) -> Self {
        Self { before: Some(before), limit: Some(0), ..self.clone() }
    }

    fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_ROWS)
    }

    /// Asks the database, for one row more than the page has: whether there is another page.
    pub fn request<B>(&self, config: &Config) -> Request<B> {
        if !config.target.is_project() {
            return self.hand(config);
        }
        // As text: JSON would round a seed.
        let columns = COLUMNS.iter().map(|column| if *column == "seed" { "seed::text" } else { column });
        let columns = join(columns.chain(self.columns.iter().map(String::as_str)), ',');
        let mut url = format!("{}?select={columns}", table_url(config));
        if let Some(owner) = self.owner.as_deref().or(config.owner_id()) {
            url.push_str(&format!("&owner_user_id=eq.{}", escape_query(owner)));
        }
        if let Some(ids) = &self.ids {
            // In the one way of writing that a list of PostgREST's knows.
            url.push_str(&format!("&id=in.({})", join(ids.iter().filter_map(|id| canonical_id(id)), ',')));
        }
        if let Some(Cursor { created_at, id }) = self.before.as_deref().and_then(Cursor::parse) {
            // The first condition alone says it to the index.
            let at = escape_query(&created_at);
            url.push_str(&format!("&created_at=lte.{at}&or=(created_at.lt.%22{at}%22,id.gt.{id})"));
        }
        url.push_str(&format!("&order=created_at.desc,id.asc&limit={}", self.limit() + 1));
        Request::new(Method::Get, url).fresh().header("Accept-Profile", config.schema.as_str())
    }

    /// Asks the Worker, which gives the links as well.
    fn hand<B>(&self, config: &Config) -> Request<B> {
        let mut url = format!("{}/api/images?limit={}", config.url, self.limit());
        let columns = Some(join(&self.columns, ',')).filter(|columns| !columns.is_empty());
        for (name, value) in [("before", &self.before), ("columns", &columns)] {
            if let Some(value) = value {
                url.push_str(&format!("&{name}={}", escape_query(value)));
            }
        }
        if let Some(link) = &self.link {
            url.push_str(&format!("&{}", link.query()));
        }
        if self.thumbnails {
            url.push_str("&thumbnail=true");
        }
        Request::new(Method::Get, url).fresh()
    }

    /// The page.
    pub fn read(&self, config: &Config, response: &Response) -> Result<Page, Refusal> {
        let garbled = |problem: &str| Refusal::garbled(Stage::List, response, &format!("list: {problem}"));
        let text = response.body.clone();
        if !config.target.is_project() {
            if !response.is_success() {
                return Err(classify::of_worker(Stage::List, response));
            }
            let Images { before, .. } = response.read().ok_or_else(|| garbled("no images"))?;
            return Ok(Page { text, before, ..Page::default() });
        }
        if !response.is_success() {
            return Err(classify::of_response(Stage::List, response));
        }
        let rows: Vec<Row> = response.read().ok_or_else(|| garbled("no array of rows"))?;
        let limit = self.limit() as usize;
        let path = |row: &Row| StoragePath::parse(row.storage_path.as_deref().unwrap_or_default());
        let paths: Result<Vec<_>, _> = rows.iter().take(limit).map(path).collect();
        let paths = paths.map_err(|_| garbled("a row without its path"))?;
        let has_more = rows.len() > limit;
        let last = if has_more { rows.get(limit.saturating_sub(1)) } else { rows.last() };
        let cursor = |row: &Row| {
            let (created_at, id) = (row.created_at.clone()?, row.id.clone()?);
            Some(Cursor { created_at, id }.to_text())
        };
        let end = last.map(|row| cursor(row).ok_or_else(|| garbled("a row without its time"))).transpose()?;
        let (before, doubt) =
            if has_more { (end, None) } else { (None, end.filter(|_| !self.is_answered(rows.len()))) };
        Ok(Page { text, paths, before, doubt })
    }

    /// Whether so many rows are all that there can be.
    fn is_answered(&self, rows: usize) -> bool {
        self.ids.as_ref().is_some_and(|ids| rows >= ids.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;

    const ID: &str = "00000000-0000-4000-8000-00000000002a";
    const AT: &str = "2026-05-11T08:00:00.123456+00:00";

    fn config(owner: &str) -> Config {
        let some = |text: &str| Some(text.to_owned());
        let options =
            Options { url: some("https://x.co"), api_key: some("k"), owner_user_id: some(owner), ..Options::default() };
        Config::new(options, false).unwrap()
    }

    fn answer(rows: usize) -> Response {
        let row = |number: usize| {
            serde_json::json!({ "id": format!("00000000-0000-4000-8000-{number:012}"),
            "created_at": AT, "storage_path": format!("a/{number}.png") })
        };
        let body = (0..rows).map(row).collect::<serde_json::Value>().to_string();
        Response { status: 200, json: crate::json::tests::parse(&body), body, ..Response::default() }
    }

    #[test]
    fn a_page_begins_behind_the_last_row_of_the_one_before_to_the_microsecond() {
        let query = Query { limit: Some(2), ..Query::default() };
        let page = query.read(&config(""), &answer(3)).unwrap();
        assert_eq!(page.paths.len(), 2);
        let next = Query { before: page.before, ..query.clone() };
        next.check().unwrap();
        let url = next.request::<()>(&config("")).url;
        let at = "2026-05-11T08%3A00%3A00.123456%2B00%3A00";
        let wanted = format!(
            "&created_at=lte.{at}&or=(created_at.lt.%22{at}%22,id.gt.00000000-0000-4000-8000-000000000001)\
             &order=created_at.desc,id.asc&limit=3"
        );
        assert!(url.ends_with(&wanted), "{url}");
        let last = query.read(&config(""), &answer(2)).unwrap();
        assert!(last.before.is_none() && last.doubt.is_some(), "perhaps there are no more");
        assert_eq!(query.read(&config(""), &answer(0)).unwrap().doubt, None, "behind nothing there is nothing");
        let ids = Some(vec![ID.to_owned()]);
        assert_eq!(Query { ids, ..query }.read(&config(""), &answer(1)).unwrap().doubt, None, "no more were asked for");
    }

    #[test]
    fn only_the_owners_rows_are_asked_for_and_the_seed_as_text() {
        let url = |query: Query, owner: &str| query.request::<()>(&config(owner)).url;
        let url_of_all = url(Query::default(), "");
        assert!(!url_of_all.contains("owner_user_id=eq.") && url_of_all.contains("seed::text"), "{url_of_all}");
        assert!(url(Query::default(), ID).contains(&format!("&owner_user_id=eq.{ID}")));
        let owner = Some("b".to_owned());
        assert!(url(Query { owner, ..Query::default() }, ID).contains("&owner_user_id=eq.b"));
        let ids = ["{00000000-0000-4000-8000-00000000002A}", "urn:uuid:00000000-0000-4000-8000-00000000002b"];
        let ids = Some(ids.map(str::to_owned).to_vec());
        let asked = format!("&id=in.({ID},00000000-0000-4000-8000-00000000002b)");
        assert!(url(Query { ids, ..Query::default() }, "").contains(&asked), "in the database's way of writing");
        let columns = vec!["project_id".to_owned()];
        assert!(url(Query { columns, ..Query::default() }, ID).contains(",created_at,project_id&"));
    }

    #[test]
    fn what_no_list_gave_is_refused_with_its_field() {
        let fault = |query: Query| query.check().err().and_then(|error| error.field.clone());
        let some = |text: &str| Some(text.to_owned());
        let encoded = |text: &str| some(&base64::encode(text.as_bytes()).replace('=', ""));
        for before in
            [some(""), some("x"), encoded(ID), encoded(&format!("{ID}),id.gt.0,x.eq.0")), encoded(&format!("7{AT}"))]
        {
            assert_eq!(fault(Query { before, ..Query::default() }).as_deref(), Some("before"));
        }
        for limit in [0, 501] {
            assert_eq!(fault(Query { limit: Some(limit), ..Query::default() }).as_deref(), Some("limit"));
        }
        assert_eq!(
            fault(Query { owner: some(""), ..Query::default() }).as_deref(),
            Some("owner"),
            "and not everybody's"
        );
        let ids = Some(vec!["7".to_owned()]);
        assert_eq!(fault(Query { ids, ..Query::default() }).as_deref(), Some("ids"));
        for column in ["seed", "a b", "1a", "", "a,b", "\u{e4}"] {
            let columns = vec![column.to_owned()];
            let field = fault(Query { columns, ..Query::default() }).unwrap();
            assert!(field.starts_with("columns."), "{field}");
        }
    }

    #[test]
    fn what_is_no_page_is_no_empty_one() {
        for body in ["", "{}", "null", "<html>", "[{}]", r#"[{"storage_path":"../x"}]"#] {
            let response = Response {
                status: 200,
                json: crate::json::tests::parse(body),
                body: body.to_owned(),
                ..Response::default()
            };
            assert!(Query::default().read(&config(""), &response).is_err(), "{body}");
        }
    }
}
