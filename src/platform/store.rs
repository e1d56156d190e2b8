//! The outbox's store: a JavaScript object over IndexedDB, `pkg/store.js`. What it throws has a `code`.

use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::bytes::HostBytes;
use super::fetch::settled;
use super::js::{self, Thrown};
use super::{Added, Store};
use crate::error::{Code, Error, Stage};
use crate::json::Json;
use crate::outbox::{Job, Limits};

/// A store that JavaScript opened.
#[derive(Clone, Debug)]
pub struct HostStore(pub JsValue);

impl HostStore {
    async fn ask(&self, method: &str, arguments: &[JsValue]) -> Result<JsValue, Error> {
        let answer = async { settled(&js::call(&self.0, method, arguments)?).await };
        answer.await.map_err(to_error)
    }
}

/// The columns that the store itself looks at, and the job's text.
fn record(job: &Job) -> JsValue {
    let record = Object::new();
    js::set(&record, "id", &job.id.as_str().into());
    js::set(&record, "storagePath", &job.storage_path.as_str().into());
    js::set(&record, "size", &job.size.into());
    js::set(&record, "text", &job.to_text().into());
    record.into()
}

fn to_error(thrown: JsValue) -> Error {
    let code = js::get(&thrown, "code").ok().and_then(|code| code.as_string());
    let known = [Code::QuotaExceeded, Code::OutboxTooNew];
    let code = known.into_iter().find(|known| code.as_deref() == Some(known.as_str()));
    let code = code.unwrap_or(Code::StorageUnavailable);
    let mut error = Error::new(Stage::Outbox, code, js::message_of(&thrown));
    error.retryable = code == Code::QuotaExceeded;
    error.with_cause(Some(std::rc::Rc::new(js::get(&thrown, "cause").unwrap_or_default())))
}

impl Store for HostStore {
    type Bytes = HostBytes;

    async fn add(&self, job: &Job, image: &HostBytes, limits: &Limits) -> Result<Added, Error> {
        let bytes: Thrown<JsValue> = image.whole().await;
        let bytes = bytes.map_err(|thrown| Error::image("can't be read").with_cause(Some(std::rc::Rc::new(thrown))))?;
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
        Ok(buffer.is_object().then(|| HostBytes::Copy(Uint8Array::new(&buffer))))
    }

    async fn update(&self, job: &Job) -> Result<bool, Error> {
        Ok(self.ask("update", &[record(job)]).await?.is_truthy())
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        self.ask("remove", &[id.into()]).await.map(|_| ())
    }
}
