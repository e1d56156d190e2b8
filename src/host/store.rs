//! The outbox's store: a JavaScript object over IndexedDB, `pkg/store.js`. What it throws has a `code`.

use std::rc::Rc;

use js_sys::Array;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::web::HostBytes;
use super::{Added, Store, js};
use crate::error::{Code, Error, Stage};
use crate::json::{Json, to_text};
use crate::outbox::job::{Job, Limits};

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
        max_jobs: u32,
        max_bytes: f64,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch)]
    async fn texts(this: &HostStore) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = image)]
    async fn image_of(this: &HostStore, id: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = update)]
    async fn update_record(this: &HostStore, record: JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(structural, method, catch, js_name = remove)]
    async fn remove_record(this: &HostStore, id: &str) -> Result<JsValue, JsValue>;
}

/// The columns that the store itself looks at, and the job's text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    id: &'a str,
    storage_path: &'a str,
    size: u64,
    text: String,
}

fn record(job: &Job) -> JsValue {
    let Job { id, storage_path, size, .. } = job;
    js::json(&to_text(&Record { id, storage_path, size: *size as u64, text: job.to_text() }))
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
        let added = self.add_record(record(job), bytes, limits.max_jobs, limits.max_bytes).await.map_err(to_error)?;
        Ok(match added.as_string().as_deref() {
            Some("new") => Added::New,
            Some("known") => Added::Known,
            Some("id_taken") => Added::IdTaken,
            Some("path_taken") => Added::PathTaken,
            _ => Added::Full,
        })
    }

    async fn all(&self) -> Result<Vec<Json>, Error> {
        let texts: Array = self.texts().await.map_err(to_error)?.unchecked_into();
        let parse = |text: JsValue| js::parse_json(&text).unwrap_or(Json::Null);
        Ok(texts.iter().map(parse).collect())
    }

    async fn image(&self, id: &str) -> Result<Option<HostBytes>, Error> {
        let buffer = self.image_of(id).await.map_err(to_error)?;
        Ok(buffer.is_object().then(|| HostBytes::stored(&buffer)))
    }

    async fn update(&self, job: &Job) -> Result<bool, Error> {
        Ok(self.update_record(record(job)).await.map_err(to_error)?.is_truthy())
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        self.remove_record(id).await.map(|_| ()).map_err(to_error)
    }
}
