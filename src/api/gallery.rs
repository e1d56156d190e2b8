//! `remove`, of a sink and of a relay.

use std::rc::Rc;

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;

#[cfg(feature = "relay")]
use super::relay::Relay;
use super::{Sink, call, outcomes_of, promise, read, refuse, start, stop_of, to_js};
use crate::host::web::Host;
use crate::sync::client::Client;

#[wasm_bindgen]
impl Sink {
    /// Removes an image, or each of many. Resolves to `{ imageId, storagePath }`, of many to an outcome each.
    pub fn remove(&self, images: JsValue, options: JsValue) -> Promise {
        start_remove(self.client.clone(), &images, &options)
    }
}

#[cfg(feature = "relay")]
#[wasm_bindgen]
impl Relay {
    /// Has the Worker remove an image, or each of many, as `Sink.remove`.
    pub fn remove(&self, images: JsValue, options: JsValue) -> Promise {
        start_remove(self.client.clone(), &images, &options)
    }
}

fn start_remove(client: Rc<Client<Host>>, images: &JsValue, options: &JsValue) -> Promise {
    if Array::is_array(images) {
        return start_remove_many(client, images, options);
    }
    let read = || Ok((read::image_ref(images)?, read::remove_options(options)?));
    match read() {
        Err(error) => refuse(error),
        Ok((image, options)) => {
            let call = call(&options, 0.0);
            let running = call.clone();
            let work = async move { client.remove(image, &running).await.map(|removed| to_js(&removed)) };
            start(call, options.signal, Box::pin(work))
        }
    }
}

fn start_remove_many(client: Rc<Client<Host>>, images: &JsValue, options: &JsValue) -> Promise {
    let read = || Ok((read::list(images, "images")?, read::remove_options(options)?));
    match read() {
        Err(error) => refuse(error),
        Ok((images, options)) => {
            let call = call(&options, 0.0);
            let images = images.iter().map(|image| read::image_ref(&image)).collect();
            promise(Box::pin(async move {
                let stopped = Box::pin(stop_of(&call, &options));
                let outcomes = client.remove_many(images, options.concurrency(), &call, stopped).await;
                outcomes_of(outcomes)
            }))
        }
    }
}
