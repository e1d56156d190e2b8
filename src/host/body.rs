//! What is sent of a request: a text, an image as its host takes it, or a form of both.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::Blob;

use super::image::{Bytes, HostBytes};
use super::js;
use super::thrown::failure_of;
use crate::wire::http::{Failure, Payload};

/// What is sent of a payload.
pub(super) struct Body {
    /// A text, a Blob, bytes, or `undefined`.
    pub(super) content: JsValue,
    /// The type of a form.
    pub(super) content_type: Option<String>,
}

/// The body of a request; `bytes_only` for who may know no Blobs.
pub(super) async fn body_of(payload: &Payload<HostBytes>, bytes_only: bool) -> Result<Body, Failure> {
    let content = match payload {
        Payload::Empty => JsValue::UNDEFINED,
        Payload::Json(text) => text.into(),
        Payload::Image(image) => image.content(bytes_only).await?,
        Payload::Form(request, files) => {
            let mut contents = Vec::with_capacity(files.len());
            for (name, file) in files {
                contents.push((*name, file.content(bytes_only).await?));
            }
            return form(request, &contents).map_err(failure_of);
        }
    };
    Ok(Body { content, content_type: None })
}

/// A form's parts (RFC 7578). Not by FormData, of which one that is not the host's own is sent as "[object FormData]", as is
/// any by a `fetch` that knows none.
fn form(request: &str, files: &[(&str, JsValue)]) -> Result<Body, JsValue> {
    let letters = js::random_bytes::<24>().unwrap_or_default().map(|byte| char::from(b'a' + byte % 16));
    let boundary = format!("imagen-{}", String::from_iter(letters));
    let part = |head: &str| format!("--{boundary}\r\nContent-Disposition: form-data; name={head}\r\n\r\n");
    let mut text = part("\"request\"") + request;
    let pieces = Array::new();
    for (name, content) in files {
        let file = format!("\"{name}\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream");
        pieces.push(&Uint8Array::from((text + "\r\n" + &part(&file)).as_bytes()));
        pieces.push(content);
        text = String::new();
    }
    pieces.push(&Uint8Array::from(format!("{text}\r\n--{boundary}--\r\n").as_bytes()));
    let bytes: Option<Vec<Uint8Array>> = pieces.iter().map(|piece| piece.dyn_into().ok()).collect();
    let content = match bytes {
        None => Blob::new_with_blob_sequence(&pieces)?.into(),
        Some(bytes) => {
            let whole = Bytes::new(&bytes.iter().map(|piece| f64::from(piece.length())).sum::<f64>().into())?;
            bytes.iter().fold(0, |from, piece| {
                whole.set(piece, from);
                from + piece.length()
            });
            whole.into()
        }
    };
    Ok(Body { content, content_type: Some(format!("multipart/form-data; boundary={boundary}")) })
}
