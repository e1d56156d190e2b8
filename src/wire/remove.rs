//! The removal of one image, as a state machine without IO: it says the next request, and reads its answer.
//!
//! First the row is read, then object and thumbnail go, then the row: until the end it names what is left. An empty answer to
//! a DELETE proves nothing, since row-level security leaves out what it keeps: what an answer leaves out is looked at.

use serde::{Deserialize, Serialize};

use super::object::{self, Object};
use super::rows::{self, Row, table_url};
use crate::config::Config;
use crate::error::{Code, Error, Stage};
use crate::image::path::{StoragePath, escape_query, escape_segment};
use crate::json;
use crate::text::{canonical_id, join};
use crate::wire::classify::{self, Refusal};
use crate::wire::http::{Method, Request, Response};

/// An image as its caller names it, or as it was removed. Of both the id counts, and the path where no row has that id: an
/// upload may have left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRef {
    /// Its row's.
    pub image_id: Option<String>,
    /// Its object's, below the bucket.
    #[serde(default)]
    pub storage_path: Option<String>,
}

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The Worker does all of it.
    Hand,
    FindById,
    FindByPath,
    RemoveObjects,
    /// Looks at an object that was left out.
    LookAt(StoragePath),
    RemoveRows,
    /// Looks for the rows that were left out.
    FindLeft,
    /// Whether the other rows that named the object have gone meanwhile, by somebody who still saw this one.
    FindOthers,
}

/// Rows that go by one request at most: their ids stand in its URL.
const ROWS_AT_ONCE: usize = 100;

/// A row that was looked for.
struct Found {
    id: String,
    owner_user_id: Option<String>,
    storage_path: String,
}

/// An image on its way out.
pub struct Removal {
    image: ImageRef,
    path: Option<StoragePath>,
    /// Whether all rows go that name the path, and not one that has an id.
    by_path: bool,
    /// The ids of the rows that go.
    rows: Vec<String>,
    is_shared: bool,
    /// The next one stands last.
    steps: Vec<Step>,
}

impl Removal {
    /// Refuses what can be refused before anything is sent.
    pub fn new(config: &Config, image: ImageRef) -> Result<Self, Error> {
        config.check_owner()?;
        let id = |id: String| canonical_id(&id).ok_or_else(|| Error::field("imageId", "is no UUID"));
        let image = ImageRef { image_id: image.image_id.map(id).transpose()?, ..image };
        let path = image.storage_path.as_deref().map(StoragePath::parse).transpose()?;
        let is_foreign =
            |path: &StoragePath| config.folder_of_owner().is_some_and(|folder| !path.as_str().starts_with(&folder));
        if path.as_ref().is_some_and(is_foreign) {
            return Err(Error::field("storagePath", "is not in the user's own folder"));
        }
        let step = match (&image.image_id, &path) {
            (None, None) => {
                let problem = "is missing, and storagePath too: one of them says which image is meant";
                return Err(Error::field("imageId", problem));
            }
            _ if !config.target.is_project() => Step::Hand,
            (Some(_), _) => Step::FindById,
            _ => Step::FindByPath,
        };
        let by_path = image.image_id.is_none();
        Ok(Self { image, path, by_path, rows: Vec::new(), is_shared: false, steps: vec![step] })
    }

    /// Of an object alone, where no row names it.
    pub fn of_object(path: StoragePath) -> Self {
        let image = ImageRef { image_id: None, storage_path: Some(path.as_str().to_owned()) };
        let steps = vec![Step::FindOthers];
        Self { image, path: Some(path), by_path: true, rows: Vec::new(), is_shared: false, steps }
    }

    /// The image, as far as it is known; once it is done, what was removed.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// The next request; nothing once it is done.
    pub fn next<B>(&self, config: &Config) -> Option<Request<B>> {
        let step = self.steps.last()?;
        let path = || self.path.as_ref().map(StoragePath::as_str).unwrap_or_default();
        let find = |column: &str, condition: &str| rows::look_up(config, column, condition);
        let ids = || format!("in.({})", join(&self.rows, ','));
        Some(match step {
            Step::Hand => self.hand(config),
            Step::FindById => find("id", &format!("eq.{}", self.image.image_id.as_deref().unwrap_or_default())),
            Step::FindByPath | Step::FindOthers => find("storage_path", &format!("eq.{}", escape_query(path()))),
            Step::FindLeft => find("id", &ids()),
            Step::RemoveObjects => {
                let url = format!("{}/storage/v1/object/{}", config.url, escape_segment(&config.bucket));
                let paths = join(self.objects().iter().map(|path| json::quote(path.as_str())), ',');
                Request::new(Method::Delete, url).json(format!("{{\"prefixes\":[{paths}]}}")).fresh()
            }
            Step::LookAt(left) => object::info(config, left),
            Step::RemoveRows => {
                let owner = config.owner_id().map(|owner| format!("&owner_user_id=eq.{}", escape_query(owner)));
                let owner = owner.unwrap_or_default();
                let url = format!("{}?id={}{owner}&select=id", table_url(config), ids());
                Request::new(Method::Delete, url)
                    .fresh()
                    .header("Accept-Profile", config.schema.as_str())
                    .header("Content-Profile", config.schema.as_str())
                    .header("Prefer", "return=representation")
            }
        })
    }

    /// The request to the Worker.
    fn hand<B>(&self, config: &Config) -> Request<B> {
        let path = self.path.as_ref().map(|path| format!("?storagePath={}", escape_query(path.as_str())));
        let id = self.image.image_id.as_ref().map(|id| format!("/{id}"));
        let which = format!("{}{}", id.unwrap_or_default(), path.unwrap_or_default());
        Request::new(Method::Delete, format!("{}/api/images{which}", config.url)).fresh()
    }

    /// The image's object and its thumbnail's.
    fn objects(&self) -> Vec<StoragePath> {
        let Some(path) = &self.path else { return Vec::new() };
        [Some(path.clone()), path.thumbnail()].into_iter().flatten().collect()
    }

    /// Takes the answer to the last request, and plans what follows of it.
    pub fn read(&mut self, config: &Config, response: &Response) -> Result<(), Refusal> {
        let next = match self.steps.last() {
            None => return Ok(()),
            Some(Step::Hand) => self.read_handed(response)?,
            Some(Step::FindById) => {
                let found = found(response)?.into_iter().next();
                self.take_row(config, found)?
            }
            Some(Step::FindByPath) => self.take_rows(config, found(response)?)?,
            Some(Step::RemoveObjects) => {
                let gone: Vec<Object> = list(response)?;
                let is_left =
                    |path: &StoragePath| !gone.iter().any(|object| object.name.as_deref() == Some(path.as_str()));
                self.objects().into_iter().filter(is_left).map(Step::LookAt).collect()
            }
            Some(Step::LookAt(_)) if object::read_info(Stage::Remove, response)? => return Err(stays("object")),
            Some(Step::LookAt(_)) => Vec::new(),
            Some(Step::RemoveRows) => {
                let gone: Vec<Row> = list(response)?;
                let is_gone = |id: &String| {
                    gone.iter().any(|row| row.id.as_ref().is_some_and(|gone| gone.eq_ignore_ascii_case(id)))
                };
                if self.rows.iter().all(is_gone) { Vec::new() } else { vec![Step::FindLeft] }
            }
            Some(Step::FindLeft) if !found(response)?.is_empty() => return Err(stays("row")),
            Some(Step::FindLeft) => Vec::new(),
            Some(Step::FindOthers) if found(response)?.is_empty() => vec![Step::RemoveObjects],
            Some(Step::FindOthers) => Vec::new(),
        };
        self.steps.pop();
        self.steps.extend(next);
        Ok(())
    }

    /// The row that has the id: it says which object is its.
    fn take_row(&mut self, config: &Config, row: Option<Found>) -> Result<Vec<Step>, Refusal> {
        if let Some(row) = row {
            if !is_mine(config, &row) {
                return Err(anothers());
            }
            self.path = Some(StoragePath::parse(&row.storage_path).map_err(Refusal::last)?);
            self.image.storage_path = Some(row.storage_path);
            self.rows.push(row.id);
        }
        Ok(if self.path.is_some() { vec![Step::FindByPath] } else { Vec::new() })
    }

    /// The rows that name the object: of an image that is meant by its path all of the owner's go.
    fn take_rows(&mut self, config: &Config, named: Vec<Found>) -> Result<Vec<Step>, Refusal> {
        if self.by_path {
            self.rows.clear();
        }
        for row in named {
            if self.by_path && is_mine(config, &row) {
                self.rows.push(row.id);
            } else if !self.rows.contains(&row.id) {
                self.is_shared = true;
            }
        }
        // That there are none of the owner's left is what was asked for, once some have gone.
        if self.image.image_id.is_none() && self.is_shared && self.rows.is_empty() {
            return Err(anothers());
        }
        self.image.image_id = self.image.image_id.take().or_else(|| self.rows.first().cloned());
        if self.rows.len() > ROWS_AT_ONCE {
            // The others when these have gone, and the object before the last of them.
            self.rows.truncate(ROWS_AT_ONCE);
            return Ok(vec![Step::FindByPath, Step::RemoveRows]);
        }
        let rows = (!self.rows.is_empty()).then_some(Step::RemoveRows);
        let steps = match self.is_shared {
            true => [rows.is_some().then_some(Step::FindOthers), rows],
            false => [rows, Some(Step::RemoveObjects)],
        };
        Ok(steps.into_iter().flatten().collect())
    }

    /// What the Worker has removed, as far as it knows.
    fn read_handed(&mut self, response: &Response) -> Result<Vec<Step>, Refusal> {
        if !response.is_success() {
            return Err(classify::of_worker(Stage::Remove, response));
        }
        self.image = response.read().ok_or_else(|| garbled(response, "no imageId"))?;
        Ok(Vec::new())
    }
}

/// Whether a row is of the configuration's owner, if it has one.
fn is_mine(config: &Config, row: &Found) -> bool {
    let is_owners = |owner| row.owner_user_id.as_ref().is_some_and(|told| told.eq_ignore_ascii_case(owner));
    config.owner_id().is_none_or(is_owners)
}

fn found(response: &Response) -> Result<Vec<Found>, Refusal> {
    let whole =
        |row: Row| Some(Found { id: row.id?, owner_user_id: row.owner_user_id, storage_path: row.storage_path? });
    let rows: Option<_> = list(response)?.into_iter().map(whole).collect();
    rows.ok_or_else(|| garbled(response, "a row without id and path"))
}

/// Something is there that was to go: nobody has refused it, and it stays.
fn stays(what: &str) -> Refusal {
    let message = format!(
        "remove: the {what} is still there: it was written by the server, or a policy keeps it from being removed. \
         Remove it where the service key is"
    );
    Refusal::last(Error::new(Stage::Remove, Code::Forbidden, message))
}

fn anothers() -> Refusal {
    Refusal::last(Error::new(Stage::Remove, Code::Forbidden, "remove: the image is another user's"))
}

fn list<'de, T: Deserialize<'de>>(response: &'de Response) -> Result<Vec<T>, Refusal> {
    if !response.is_success() {
        return Err(classify::of_response(Stage::Remove, response));
    }
    response.read().ok_or_else(|| garbled(response, "no array"))
}

fn garbled(response: &Response, problem: &str) -> Refusal {
    Refusal::garbled(Stage::Remove, response, &format!("remove: parse response: {problem}"))
}
