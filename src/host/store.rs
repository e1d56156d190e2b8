//! The outbox's store: a JavaScript object over IndexedDB, `pkg/store.js`. What it throws has a `code`.

use std::rc::Rc;

use js_sys::Array;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::web::HostBytes;
use super::{Added, Amended, Outlook, Query, Store, Stored, js};
use crate::error::{Code, Error, Stage};
use crate::json::{Json, to_text};
use crate::outbox::job::{Job, Limits, Which};

#[wasm_bindgen]
extern "C" {
    /// A store that JavaScript opened: what `pkg/store.js` exports under this name. All its methods give promises.
    #[wasm_bindgen(typescript_type = "import(\"../store.js\").Store")]
    #[derive(Clone, Debug)]
    pub type HostStore;

    #[wasm_bindgen(structural, method, catch, js_name = add)]
    async fn add_record(
        this: &HostStore,
        record: JsValue,
        image: JsValue,
        removal_id: &str,
        max_jobs: u32,
        max_bytes: f64,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = supersede)]
    async fn supersede_record(
        this: &HostStore,
        record: JsValue,
        id: &str,
        revision: Option<f64>,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch)]
    async fn page(
        this: &HostStore,
        index: &str,
        after: Option<Vec<f64>>,
        until: f64,
        most: u32,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = outlook)]
    async fn outlook_of_all(this: &HostStore) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = stored)]
    async fn stored_of(this: &HostStore, id: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = known)]
    async fn known_of(this: &HostStore, ids: Vec<String>, places: Vec<f64>) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = image)]
    async fn image_of(this: &HostStore, id: &str, place: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = commit)]
    async fn commit_records(
        this: &HostStore,
        records: Array,
        gone: Vec<String>,
        places: Vec<f64>,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = amend)]
    async fn amend_record(this: &HostStore, record: JsValue, revision: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = shelve)]
    async fn shelve_records(this: &HostStore, ids: Vec<String>) -> Result<JsValue, JsValue>;
}

/// The columns that the store itself looks at, and the job's text. Without a time it does not wait.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    /// Nothing of a job that has no place yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    id: &'a str,
    storage_path: Paths<'a>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_set_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspect: Option<u32>,
    text: String,
}

/// Of most jobs one, as every version before had it.
#[derive(Serialize)]
#[serde(untagged)]
enum Paths<'a> {
    One(&'a str),
    All(Vec<&'a str>),
}

fn record(job: &Job) -> JsValue {
    let paths: Vec<&str> = job.paths().collect();
    let waits = job.is_waiting();
    js::json(&to_text(&Record {
        seq: (job.position > 0).then_some(job.position),
        id: &job.id,
        storage_path: if let [path] = *paths { Paths::One(path) } else { Paths::All(paths) },
        size: job.size,
        not_before: waits.then_some(job.not_before_ms),
        wait_set_at: (waits && job.wait_set_ms > 0).then_some(job.wait_set_ms),
        suspect: (waits && job.is_suspect).then_some(1),
        text: job.to_text(),
    }))
}

/// A record, of which the store makes a list: id, position, time, revision and text.
fn stored(record: &JsValue) -> Option<Stored> {
    let record: &Array = record.dyn_ref()?;
    let number = |at| record.get(at).as_f64().unwrap_or_default();
    let json = js::parse_json(&record.get(4));
    Some(Stored {
        id: record.get(0).as_string()?,
        position: number(1) as u64,
        not_before_ms: number(2) as i64,
        revision: number(3) as u64,
        json: json.unwrap_or(Json::Null),
    })
}

/// A place, or a word on why there is none.
fn read_added(added: &JsValue) -> Option<Added> {
    match (added.as_f64(), added.as_string().as_deref()) {
        (Some(position), _) => Some(Added::New(position as u64)),
        (_, Some("known")) => Some(Added::Known),
        (_, Some("id_taken")) => Some(Added::IdTaken),
        (_, Some("path_taken")) => Some(Added::PathTaken),
        _ => None,
    }
}

/// Jobs as JavaScript has them: their ids, and their places.
fn lists(jobs: &[Which]) -> (Vec<String>, Vec<f64>) {
    jobs.iter().map(|job| (job.id.clone(), job.position as f64)).unzip()
}

fn flags(list: JsValue) -> Vec<bool> {
    list.unchecked_into::<Array>().iter().map(|flag| flag.is_truthy()).collect()
}

fn to_error(thrown: JsValue) -> Error {
    let code = js::text(&thrown, "code");
    let code = match code.as_deref() {
        Some("quota_exceeded") => Code::QuotaExceeded,
        Some("outbox_too_new") => Code::OutboxTooNew,
        _ => Code::StorageUnavailable,
    };
    let mut error = Error::new(Stage::Outbox, code, js::message_of(&thrown));
    error.retryable = code == Code::QuotaExceeded;
    error.with_cause(Some(Rc::new(js::value(&thrown, "cause"))))
}

impl Store for HostStore {
    type Bytes = HostBytes;

    async fn add(&self, job: &Job, image: &HostBytes, limits: &Limits) -> Result<Added, Error> {
        let bytes = image.whole().await;
        let bytes = bytes.map_err(|thrown| Error::image("can't be read").with_cause(Some(Rc::new(thrown))))?;
        let removal_id = Job::removal_id(&job.id);
        let added = self.add_record(record(job), bytes, &removal_id, limits.max_jobs, limits.max_bytes as f64);
        let added = added.await.map_err(to_error)?;
        Ok(read_added(&added).unwrap_or(Added::Full))
    }

    async fn supersede(&self, removal: &Job, id: &str, revision: Option<u64>) -> Result<Option<Added>, Error> {
        let revision = revision.map(|revision| revision as f64);
        let added = self.supersede_record(record(removal), id, revision).await.map_err(to_error)?;
        Ok(read_added(&added))
    }

    async fn waiting(&self, query: Query, most: usize) -> Result<Vec<Stored>, Error> {
        let (index, after, until) = match query {
            Query::Due { after, until_ms } => {
                ("due", after.map(|(time, position)| vec![time as f64, position as f64]), until_ms)
            }
            Query::WaitSince(since) => ("waitSetAt", Some(vec![since as f64]), None),
            Query::Suspects => ("suspect", None, None),
        };
        let until = until.map_or(f64::INFINITY, |until_ms| until_ms as f64);
        let page = self.page(index, after, until, most as u32).await.map_err(to_error)?;
        Ok(page.unchecked_into::<Array>().iter().filter_map(|record| stored(&record)).collect())
    }

    async fn outlook(&self) -> Result<Outlook, Error> {
        let outlook: Array = self.outlook_of_all().await.map_err(to_error)?.unchecked_into();
        let waiting = outlook.get(0).as_f64().unwrap_or_default() as u32;
        Ok(Outlook { waiting, next_due_ms: outlook.get(1).as_f64().map(|ms| ms as i64) })
    }

    async fn job(&self, id: &str) -> Result<Option<Stored>, Error> {
        Ok(stored(&self.stored_of(id).await.map_err(to_error)?))
    }

    async fn known(&self, jobs: &[Which]) -> Result<Vec<bool>, Error> {
        let (ids, places) = lists(jobs);
        Ok(flags(self.known_of(ids, places).await.map_err(to_error)?))
    }

    async fn image(&self, job: &Which) -> Result<Option<HostBytes>, Error> {
        let buffer = self.image_of(&job.id, job.position as f64).await.map_err(to_error)?;
        Ok(buffer.is_object().then(|| HostBytes::stored(&buffer)))
    }

    async fn commit(&self, changed: &[&Job], gone: &[Which]) -> Result<Vec<bool>, Error> {
        let records = changed.iter().map(|job| record(job)).collect();
        let (ids, places) = lists(gone);
        Ok(flags(self.commit_records(records, ids, places).await.map_err(to_error)?))
    }

    async fn amend(&self, job: &Job, revision: u64) -> Result<Amended, Error> {
        let amended = self.amend_record(record(job), revision as f64).await.map_err(to_error)?;
        Ok(match amended.as_string().as_deref() {
            Some("stored") => Amended::Stored,
            Some("path_taken") => Amended::PathTaken,
            _ => Amended::Outdated,
        })
    }

    async fn shelve(&self, ids: &[String]) -> Result<(), Error> {
        self.shelve_records(ids.to_vec()).await.map(|_| ()).map_err(to_error)
    }
}
