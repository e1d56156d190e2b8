//! The connection to the Worker.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use super::{connect, error, start_signed_url, start_sync};
use crate::config::Target;
use crate::host::web::Host;
use crate::sync::client::Client;

/// A configured connection to the Worker, which has the project's key. Safe to use for any number of calls at once.
#[wasm_bindgen]
pub struct Relay {
    pub(super) client: Rc<Client<Host>>,
}

#[wasm_bindgen]
impl Relay {
    /// Checks the options; throws an `ImagenCloudError`. `draw` makes small pictures.
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue, draw: JsValue) -> Result<Relay, JsValue> {
        connect(&options, &draw, Target::Worker).map(|client| Self { client }).map_err(error::to_js)
    }

    /// The owner of all rows; empty if none is set.
    #[wasm_bindgen(getter, js_name = ownerUserId)]
    pub fn owner_user_id(&self) -> String {
        self.client.owner().map(|owner| owner.id.clone()).unwrap_or_default()
    }

    /// The same as it was given.
    #[wasm_bindgen(getter, js_name = ownerAsGiven)]
    pub fn owner_as_given(&self) -> String {
        self.client.owner().map(|owner| owner.as_given.clone()).unwrap_or_default()
    }

    /// Hands an image over. Resolves to `{ storagePath, imageId }`, with `queued: true` while it is on its way.
    pub fn sync(&self, request: JsValue, options: JsValue) -> Promise {
        start_sync(Ok(self.client.clone()), &request, &options)
    }

    /// A URL that answers with the image under `storage_path`.
    #[wasm_bindgen(js_name = signedUrl)]
    pub fn signed_url(&self, storage_path: JsValue, ttl_seconds: JsValue, options: JsValue) -> Promise {
        start_signed_url(Ok(self.client.clone()), &storage_path, &ttl_seconds, &options)
    }
}
