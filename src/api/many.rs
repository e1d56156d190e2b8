//! `syncMany`, of a sink and of a relay.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

#[cfg(feature = "relay")]
use super::relay::Relay;
use super::{Sink, call, outcomes_of, promise, read, read_request, refuse};
use crate::host::web::Host;
use crate::sync::client::Client;

#[wasm_bindgen]
impl Sink {
    /// The same for many images. Resolves to an outcome each: `{ ok: true, storagePath, imageId }` or
    /// `{ ok: false, error }`.
    #[wasm_bindgen(js_name = syncMany)]
    pub fn sync_many(&self, requests: JsValue, options: JsValue) -> Promise {
        start_sync_many(self.client.clone(), &requests, &options)
    }
}

#[cfg(feature = "relay")]
#[wasm_bindgen]
impl Relay {
    /// The same for many images. Resolves to an outcome each, as `Sink.syncMany`.
    #[wasm_bindgen(js_name = syncMany)]
    pub fn sync_many(&self, requests: JsValue, options: JsValue) -> Promise {
        start_sync_many(self.client.clone(), &requests, &options)
    }
}

/// An animation frame: nobody sees more of the progress of many images at once.
const FRAME_MS: i64 = 16;

fn start_sync_many(client: Rc<Client<Host>>, requests: &JsValue, options: &JsValue) -> Promise {
    let read = || Ok((read::list(requests, "requests")?, read::many_options(options)?));
    match read() {
        Err(error) => refuse(error),
        Ok((requests, options)) => {
            let call = call(&options, FRAME_MS);
            make_room(requests.length());
            let requests = requests.iter().map(|request| read_request(&request, &call, &options)).collect();
            promise(Box::pin(
                async move { outcomes_of(client.sync_many(requests, options.concurrency(), &call).await) },
            ))
        }
    }
}

/// What a request of many takes, with its outcome: rather less than in fact.
const BYTES_A_REQUEST: usize = 512;
/// Fewer requests find room enough as they come.
const MANY_REQUESTS: usize = 1000;

/// Takes the memory for many requests from the host at once. The allocator takes 64 KiB at a time, and each time the host
/// collects its garbage, as if all of the memory were new.
fn make_room(requests: u32) {
    let requests = requests as usize;
    if requests > MANY_REQUESTS {
        let mut room = Vec::<u8>::new();
        // Where there is no room, the call itself will say so.
        let _ = room.try_reserve_exact(requests * BYTES_A_REQUEST);
        core::hint::black_box(&room);
    }
}
