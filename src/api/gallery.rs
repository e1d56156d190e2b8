//! `list` and `remove`, of a sink and of a relay.

use std::rc::Rc;

use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;

#[cfg(feature = "relay")]
use super::relay::Relay;
use super::{Sink, call, outcomes_of, promise, read, refuse, to_js};
use crate::error::Code;
use crate::host::web::Host;
use crate::sync::client::Client;
use crate::text::join;

#[wasm_bindgen]
impl Sink {
    /// A page of images, the newest first. Resolves to `{ images, before }`.
    pub fn list(&self, options: JsValue) -> Promise {
        start_list(self.client.clone(), &options)
    }

    /// Removes an image, or each of many. Resolves to `{ imageId, storagePath }`, of many to an outcome each.
    pub fn remove(&self, images: JsValue, options: JsValue) -> Promise {
        start_remove(self.client.clone(), &images, &options)
    }
}

#[cfg(feature = "relay")]
#[wasm_bindgen]
impl Relay {
    /// A page of the user's images, as `Sink.list`.
    pub fn list(&self, options: JsValue) -> Promise {
        start_list(self.client.clone(), &options)
    }

    /// Has the Worker remove an image, or each of many, as `Sink.remove`.
    pub fn remove(&self, images: JsValue, options: JsValue) -> Promise {
        start_remove(self.client.clone(), &images, &options)
    }
}

#[wasm_bindgen(module = "/src/api/read.js")]
extern "C" {
    /// The images of a page's text, or `undefined` if it is none. `links` are of its rows, and then of their small pictures, if those
    /// are wanted; so many rows are the page's.
    #[wasm_bindgen(js_name = imagesOf)]
    fn images_of(text: &str, count: u32, links: &JsValue, columns: &str) -> JsValue;
}

fn start_list(client: Rc<Client<Host>>, options: &JsValue) -> Promise {
    match read::gallery::list_options(options, !client.target().is_project()) {
        Err(error) => refuse(error),
        Ok((query, options)) => {
            let call = call(&options, 0);
            let work = async move {
                let (page, links) = client.list(&query, &call).await?;
                let links: JsValue = match &query.link {
                    Some(link) => {
                        let url = |url: Option<String>| url.map_or(JsValue::NULL, |url| link.saved(url).into());
                        links.into_iter().map(url).collect::<Array>().into()
                    }
                    None => JsValue::UNDEFINED,
                };
                let images = images_of(&page.text, page.paths.len() as u32, &links, &join(&query.columns, ','));
                if images.is_undefined() {
                    return Err(call.stopped(Code::BadResponse, "no page of images"));
                }
                let listed = Object::new();
                let before = page.before.map_or(JsValue::NULL, JsValue::from);
                for (name, value) in [("images", images), ("before", before)] {
                    drop(Reflect::set(&listed, &name.into(), &value));
                }
                Ok(listed.into())
            };
            promise(Box::pin(work))
        }
    }
}

fn start_remove(client: Rc<Client<Host>>, images: &JsValue, options: &JsValue) -> Promise {
    if Array::is_array(images) {
        return start_remove_many(client, images, options);
    }
    let read = || Ok((read::gallery::image_ref(images)?, read::gallery::remove_options(options)?));
    match read() {
        Err(error) => refuse(error),
        Ok((image, options)) => {
            let call = call(&options, 0);
            let work = async move { client.remove(image, &call).await.map(|removed| to_js(&removed)) };
            promise(Box::pin(work))
        }
    }
}

fn start_remove_many(client: Rc<Client<Host>>, images: &JsValue, options: &JsValue) -> Promise {
    let read = || Ok((read::list(images, "images")?, read::gallery::remove_options(options)?));
    match read() {
        Err(error) => refuse(error),
        Ok((images, options)) => {
            let call = call(&options, 0);
            let images = images.iter().map(|image| read::gallery::image_ref(&image)).collect();
            promise(Box::pin(
                async move { outcomes_of(client.remove_many(images, options.concurrency(), &call).await) },
            ))
        }
    }
}
