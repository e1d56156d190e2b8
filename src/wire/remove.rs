//! The removal of one image, as a state machine without IO: it says the next request, and reads its answer.
//!
//! First the row is read, then object and thumbnail go, then the row: until the end it names what is left. An empty answer to
//! a DELETE proves nothing, since row-level security leaves out what it keeps: what an answer leaves out is looked at.

use serde::{Deserialize, Serialize};

use super::object::{self, Object};
use super::rows::{self, Row, table_url};
use crate::config::Config;
use crate::error::{Code, Error, Stage};
use crate::image::path::{StoragePath, escape_query};
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
    /// The same where none is seen: a copy of the database may be read that lags behind, and what removes goes to the original.
    RemoveUnseen,
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
    /// How often the rows may be looked for once more before the object goes.
    looks_left: u32,
}

/// Enough for what goes wrong by chance; where all goes wrong, a removal ends all the same.
const LOOKS: u32 = 2;

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
        Ok(Self { image, path, by_path, rows: Vec::new(), is_shared: false, steps: vec![step], looks_left: LOOKS })
    }

    /// Of an object alone, where no row names it.
    pub fn of_object(path: StoragePath) -> Self {
        let image = ImageRef { image_id: None, storage_path: Some(path.as_str().to_owned()) };
        let steps = vec![Step::FindOthers];
        Self { image, path: Some(path), by_path: true, rows: Vec::new(), is_shared: false, steps, looks_left: 0 }
    }

    /// The last request is made again. Was it to remove the object, another image may have come to its path while that was waited
    /// for: the rows that name it are looked for again.
    pub fn again(&mut self) {
        if self.looks_left > 0 && self.steps.last() == Some(&Step::RemoveObjects) {
            self.looks_left -= 1;
            self.steps = vec![Step::FindByPath];
        }
    }

    /// The image, as far as it is known; once it is done, what was removed.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }

    /// The next request; nothing once it is done.
    pub fn next<B>(&self, config: &Config) -> Option<Request<B>> {
        let step = self.steps.last()?;
        let by_id = || ("id", format!("eq.{}", self.image.image_id.as_deref().unwrap_or_default()));
        let by_path = || {
            let path = self.path.as_ref().map(StoragePath::as_str).unwrap_or_default();
            ("storage_path", format!("eq.{}", escape_query(path)))
        };
        let by_ids = || ("id", format!("in.({})", join(&self.rows, ',')));
        let find = |(column, condition): (&str, String)| rows::look_up(config, column, &condition);
        Some(match step {
            Step::Hand => self.hand(config),
            Step::FindById => find(by_id()),
            Step::FindByPath | Step::FindOthers => find(by_path()),
            Step::FindLeft => find(by_ids()),
            Step::RemoveObjects => object::remove(config, &self.objects()),
            Step::LookAt(left) => object::info(config, left),
            Step::RemoveRows => remove_rows(config, by_ids()),
            Step::RemoveUnseen => remove_rows(config, if self.by_path { by_path() } else { by_id() }),
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
            Some(Step::RemoveUnseen) => self.take_unseen(found(response)?)?,
            // A copy of the database may still have those that have just gone.
            Some(Step::FindOthers) if found(response)?.iter().all(|row| self.rows.contains(&row.id)) => {
                vec![Step::RemoveObjects]
            }
            Some(Step::FindOthers) => Vec::new(),
        };
        self.steps.pop();
        self.steps.extend(next);
        Ok(())
    }

    /// The row that has the id: it says which object is its.
    fn take_row(&mut self, config: &Config, row: Option<Found>) -> Result<Vec<Step>, Refusal> {
        let Some(row) = row else { return Ok(vec![Step::RemoveUnseen]) };
        if !is_mine(config, &row) {
            return Err(anothers());
        }
        self.be_at(&row)?;
        self.rows.push(row.id);
        Ok(vec![Step::FindByPath])
    }

    /// A row says where the object is.
    fn be_at(&mut self, row: &Found) -> Result<(), Refusal> {
        self.path = Some(StoragePath::parse(&row.storage_path).map_err(Refusal::last)?);
        self.image.storage_path = Some(row.storage_path.clone());
        Ok(())
    }

    /// The rows that have gone and were not seen before: their object goes after them, unless others name it.
    fn take_unseen(&mut self, gone: Vec<Found>) -> Result<Vec<Step>, Refusal> {
        if let Some(row) = gone.first() {
            self.be_at(row)?;
            self.image.image_id.get_or_insert_with(|| row.id.clone());
            self.rows = gone.into_iter().map(|row| row.id).collect();
            return Ok(vec![Step::FindOthers]);
        }
        Ok(match &self.path {
            Some(_) if self.by_path => vec![Step::RemoveObjects],
            Some(_) => vec![Step::FindByPath],
            None => Vec::new(),
        })
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
        if self.by_path && self.rows.is_empty() && !self.is_shared {
            return Ok(vec![Step::RemoveUnseen]);
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

/// Removes those rows of the owner's, and asks for them.
fn remove_rows<B>(config: &Config, (column, condition): (&str, String)) -> Request<B> {
    let owner = config.owner_id().map(|owner| format!("&owner_user_id=eq.{}", escape_query(owner)));
    let owner = owner.unwrap_or_default();
    let url = format!("{}?{column}={condition}{owner}&select=id,storage_path", table_url(config));
    Request::new(Method::Delete, url)
        .fresh()
        .header("Accept-Profile", config.schema.as_str())
        .header("Content-Profile", config.schema.as_str())
        .header("Prefer", "return=representation")
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
