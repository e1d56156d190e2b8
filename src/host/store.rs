//! The outbox's store: a JavaScript object over IndexedDB, `pkg/store.js`. What it throws has a `code`.

use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::web::HostBytes;
use super::{Added, Store, js};
use crate::error::{Code, Error, Stage};
use crate::json::{Json, ObjectText};
use crate::outbox::job::{Job, Limits};

/// A store that JavaScript opened.
#[derive(Clone, Debug)]
pub struct HostStore(pub JsValue);

impl HostStore {
    async fn ask(&self, method: &str, arguments: &[JsValue]) -> Result<JsValue, Error> {
        let arguments = arguments.iter().collect::<Array>();
        JsFuture::from(js::ask(&self.0, method, arguments)).await.map_err(to_error)
    }
}

/// The columns that the store itself looks at, and the job's text.
fn record(job: &Job) -> JsValue {
    let mut record = ObjectText::default();
    record.text("id", &job.id);
    record.text("storagePath", &job.storage_path);
    record.raw("size", &(job.size as u64).to_string());
    record.text("text", &job.to_text());
    js::json(&record.finish())
}

fn to_error(thrown: JsValue) -> Error {
    let code = js::text(&thrown, "code");
    let known = [Code::QuotaExceeded, Code::OutboxTooNew];
    let code = known.into_iter().find(|known| code.as_deref() == Some(known.as_str()));
    let code = code.unwrap_or(Code::StorageUnavailable);
    let mut error = Error::new(Stage::Outbox, code, js::message_of(&thrown));
    error.retryable = code == Code::QuotaExceeded;
    error.with_cause(Some(Rc::new(js::value(&thrown, "cause"))))
}

impl Store for HostStore {
    type Bytes = HostBytes;

    async fn add(&self, job: &Job, image: &HostBytes, limits: &Limits) -> Result<Added, Error> {
        let bytes = JsFuture::from(js::whole_image(&image.0)).await;
        let bytes = bytes.map_err(|thrown| Error::image("can't be read").with_cause(Some(Rc::new(thrown))))?;
        let arguments = [record(job), bytes, limits.max_jobs.into(), limits.max_bytes.into()];
        let added = self.ask("add", &arguments).await?.as_string();
        Ok(match added.as_deref() {
            Some("new") => Added::New,
            Some("known") => Added::Known,
            Some("id_taken") => Added::IdTaken,
            Some("path_taken") => Added::PathTaken,
            _ => Added::Full,
        })
    }

    async fn all(&self) -> Result<Vec<Json>, Error> {
        let texts: Array = self.ask("texts", &[]).await?.unchecked_into();
        let parse = |text: JsValue| text.as_string().and_then(|text| js::parse_json(&text)).unwrap_or(Json::Null);
        Ok(texts.iter().map(parse).collect())
    }

    async fn image(&self, id: &str) -> Result<Option<HostBytes>, Error> {
        let buffer = self.ask("image", &[id.into()]).await?;
        Ok(buffer.is_object().then(|| HostBytes(Uint8Array::new(&buffer).into())))
    }

    async fn update(&self, job: &Job) -> Result<bool, Error> {
        Ok(self.ask("update", &[record(job)]).await?.is_truthy())
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        self.ask("remove", &[id.into()]).await.map(|_| ())
    }
}
