//! An image's bytes, which stay on JavaScript's side.

use js_sys::{ArrayBuffer, SharedArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::js::{self, Thrown};

/// A handle to an image's bytes.
#[derive(Clone, Debug)]
pub enum HostBytes {
    /// A `Blob` or `File`, by reference.
    Blob(JsValue),
    /// A copy of a buffer or view, since a caller may reuse its own while a retry waits.
    Copy(Uint8Array),
}

impl HostBytes {
    /// Takes what a caller passes as an image. The error is the problem with it.
    pub(crate) fn new(image: &JsValue) -> Result<Self, String> {
        if !image.is_object() {
            return Err("must be a Blob, an ArrayBuffer or a view of one".to_owned());
        }
        let view = if image.is_instance_of::<ArrayBuffer>() || image.is_instance_of::<SharedArrayBuffer>() {
            js::construct("Uint8Array", core::slice::from_ref(image))
        } else if ArrayBuffer::is_view(image) {
            view_of(image)
        } else if is_blob(image) {
            return Ok(Self::Blob(image.clone()));
        } else {
            return Err("must be a Blob, an ArrayBuffer or a view of one".to_owned());
        };
        let copy = view.and_then(|view| js::call(&view, "slice", &[])).map_err(|thrown| js::message_of(&thrown))?;
        let copy: Uint8Array = copy.unchecked_into();
        if copy.length() == 0 && is_detached(image) {
            return Err("its buffer is detached".to_owned());
        }
        Ok(Self::Copy(copy))
    }

    pub(super) fn size(&self) -> f64 {
        match self {
            Self::Blob(blob) => js::get(blob, "size").ok().and_then(|size| size.as_f64()).unwrap_or_default(),
            Self::Copy(bytes) => bytes.length().into(),
        }
    }

    /// A piece, without copying a byte.
    pub(super) fn slice(&self, from: f64, to: f64) -> Self {
        match self {
            Self::Blob(blob) => Self::Blob(js::call(blob, "slice", &[from.into(), to.into()]).unwrap_or_default()),
            Self::Copy(bytes) => Self::Copy(bytes.subarray(from as u32, to as u32)),
        }
    }

    pub(super) async fn first(&self, count: u32) -> Thrown<Vec<u8>> {
        match self {
            Self::Blob(blob) => {
                let start = js::call(blob, "slice", &[0.into(), count.into()])?;
                let buffer = super::fetch::settled(&js::call(&start, "arrayBuffer", &[])?).await?;
                Ok(Uint8Array::new(&buffer).to_vec())
            }
            Self::Copy(bytes) => Ok(bytes.subarray(0, count).to_vec()),
        }
    }

    /// All bytes as an `ArrayBuffer`, which every browser can store; Safari can't always store a `Blob`.
    pub(super) async fn whole(&self) -> Thrown<JsValue> {
        match self {
            Self::Blob(blob) => super::fetch::settled(&js::call(blob, "arrayBuffer", &[])?).await,
            Self::Copy(bytes) => Ok(bytes.buffer().into()),
        }
    }

    /// What `fetch` takes as a body.
    pub(super) fn body(&self) -> JsValue {
        match self {
            Self::Blob(blob) => blob.clone(),
            Self::Copy(bytes) => bytes.into(),
        }
    }
}

/// The bytes that any view shows.
fn view_of(view: &JsValue) -> Thrown<JsValue> {
    let part = |name| js::get(view, name);
    js::construct("Uint8Array", &[part("buffer")?, part("byteOffset")?, part("byteLength")?])
}

/// By its methods, since a `Blob` may come from another realm or a polyfill.
fn is_blob(value: &JsValue) -> bool {
    let has = |name| js::get(value, name).is_ok_and(|method| method.is_function());
    has("slice") && has("arrayBuffer") && js::get(value, "size").is_ok_and(|size| size.as_f64().is_some())
}

fn is_detached(image: &JsValue) -> bool {
    let buffer = js::get(image, "buffer").ok().filter(|buffer| buffer.is_object());
    js::get(buffer.as_ref().unwrap_or(image), "detached").is_ok_and(|detached| detached.is_truthy())
}
