//! An image's bytes, which stay on JavaScript's side: a copy of a buffer, or a Blob, which may be anybody's.

use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::slice;
use std::rc::Rc;

use js_sys::{Array, Error, Number, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, Response};

use super::time::settled;
use super::{js, place};
use crate::error::Cause;
use crate::wire::http::{Failure, Payload};

#[wasm_bindgen(module = "/src/host/image.js")]
extern "C" {
    /// A text is the problem with what was given.
    #[wasm_bindgen(js_name = takeImage)]
    fn take_image(image: &JsValue) -> JsValue;
}

#[wasm_bindgen]
extern "C" {
    /// A Blob of anybody's: web-sys takes for granted that `arrayBuffer` does not throw, and gives a Promise.
    #[wasm_bindgen(extends = Blob)]
    #[derive(Clone, Debug)]
    type AnyBlob;
    #[wasm_bindgen(structural, method, catch, js_name = arrayBuffer)]
    fn array_buffer(this: &AnyBlob) -> Result<JsValue, JsValue>;

    /// js-sys has it without the receiver.
    #[wasm_bindgen(catch, js_namespace = Reflect)]
    fn get(target: &JsValue, name: &str, receiver: &JsValue) -> Result<JsValue, JsValue>;

    /// js-sys takes for granted that there is memory for it, and that a buffer is one.
    #[wasm_bindgen(extends = Uint8Array)]
    pub(super) type Bytes;
    #[wasm_bindgen(constructor, catch, js_class = "Uint8Array")]
    pub(super) fn new(buffer_or_length: &JsValue) -> Result<Bytes, JsValue>;
}

/// What is looked at of either end of a Blob, to know it again: a file on disk may be replaced while a retry waits.
const EDGE_BYTES: u64 = 16 * 1024;

/// A handle to an image's bytes.
#[derive(Clone, Debug)]
pub struct HostBytes(Image);

#[derive(Clone, Debug)]
enum Image {
    Copy(Uint8Array),
    Part(Part),
}

/// A piece of a Blob.
#[derive(Clone, Debug)]
struct Part {
    whole: Rc<Whole>,
    from: u64,
    to: u64,
}

/// A Blob with what is known of it. All parts of it share this.
#[derive(Debug)]
struct Whole {
    blob: AnyBlob,
    size: u64,
    /// Made of a caller's buffer, so that it stays what it is.
    is_copy: bool,
    /// Whether it is the host's own.
    is_own: Cell<Option<bool>>,
    /// Whether it may have changed without the host's saying so.
    is_doubtful: Cell<bool>,
    /// Its first bytes, and its last, as they were seen first.
    head: RefCell<Option<Uint8Array>>,
    tail: RefCell<Option<Uint8Array>>,
    /// All of it, where somebody wanted that.
    #[cfg(feature = "outbox")]
    all: RefCell<Option<Uint8Array>>,
}

/// Why an image can't be sent.
pub(super) struct Fault {
    problem: String,
    cause: Option<JsValue>,
}

impl Fault {
    fn unreadable(cause: JsValue) -> Self {
        Self { problem: "can't be read".to_owned(), cause: Some(cause) }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Image(fault.problem, fault.cause.map(|cause| Rc::new(cause) as Cause))
    }
}

/// What the host itself says.
impl From<Fault> for JsValue {
    fn from(fault: Fault) -> Self {
        fault.cause.unwrap_or_else(|| Error::new(&fault.problem).into())
    }
}

impl Whole {
    /// Pieces of it, read side by side.
    async fn read(&self, pieces: &[Range<u64>]) -> Result<Vec<Uint8Array>, Fault> {
        let begin = |piece: &Range<u64>| {
            // Chromium's page stands still while another process makes the slice.
            if *piece == (0..self.size) {
                return self.blob.array_buffer();
            }
            let slice = self.blob.slice_with_f64_and_f64(piece.start as f64, piece.end as f64)?;
            slice.unchecked_into::<AnyBlob>().array_buffer()
        };
        let refused = |thrown: JsValue| Promise::reject(&thrown).into();
        let reading: Array = pieces.iter().map(|piece| begin(piece).unwrap_or_else(refused)).collect();
        let read = settled(&Promise::all(&reading)).await.map_err(Fault::unreadable)?;
        let mut all = Vec::with_capacity(pieces.len());
        for (buffer, piece) in read.unchecked_into::<Array>().iter().zip(pieces) {
            let bytes: Uint8Array = Bytes::new(&buffer).map_err(Fault::unreadable)?.unchecked_into();
            let (got, wanted) = (bytes.length(), piece.end - piece.start);
            if u64::from(got) != wanted {
                return Err(Fault { problem: format!("gave {got} bytes instead of {wanted}"), cause: None });
            }
            all.push(bytes);
        }
        Ok(all)
    }

    async fn read_one(&self, from: u64, to: u64) -> Result<Uint8Array, Fault> {
        #[cfg(feature = "outbox")]
        if let Some(all) = &*self.all.borrow() {
            return Ok(all.subarray(from as u32, to as u32));
        }
        Ok(self.read(slice::from_ref(&(from..to))).await?.pop().unwrap_or_else(|| Uint8Array::new_with_length(0)))
    }

    /// A piece as somebody looks at it, by which the Blob is known again.
    async fn look(&self, from: u64, to: u64) -> Result<Uint8Array, Fault> {
        let bytes = self.read_one(from, to).await?;
        if from == 0 && self.head.borrow().is_none() {
            let is_short = u64::from(bytes.length()) <= EDGE_BYTES;
            self.head.replace(Some(if is_short { bytes.clone() } else { bytes.slice(0, EDGE_BYTES as u32) }));
        }
        Ok(bytes)
    }

    /// Fails when it can't be read any more, or is not what it was. Where the host sees that by itself it is looked at only after
    /// something went wrong: each look is a question to another process.
    async fn check(&self) -> Result<(), Fault> {
        if self.is_copy || !self.is_doubtful.get() && self.is_own() {
            return Ok(());
        }
        let known = self.head.borrow().as_ref().map(|head| u64::from(head.length()));
        let ahead = known.unwrap_or(self.size.min(EDGE_BYTES));
        let behind = self.size.saturating_sub(EDGE_BYTES).max(ahead);
        let edges = self.read(&[0..ahead, behind..self.size]).await?;
        for (seen, edge) in [&self.head, &self.tail].into_iter().zip(edges) {
            let mut seen = seen.borrow_mut();
            let first = seen.get_or_insert_with(|| edge.clone());
            if first.to_vec() != edge.to_vec() {
                return Err(Fault { problem: "has changed since it was given".to_owned(), cause: None });
            }
        }
        Ok(())
    }

    /// Whether the host sends this Blob's bytes, and not the text "[object Blob]": so it does with one of jsdom, of a
    /// polyfill or a look-alike.
    fn is_own(&self) -> bool {
        let is_own = self.is_own.get().unwrap_or_else(|| {
            // To try each of them would be a stream each.
            self.blob.is_instance_of::<Blob>() && (is_real_and_sent(&self.blob) || is_sent(&self.blob))
        });
        self.is_own.set(Some(is_own));
        is_own
    }
}

/// A Response tells by its type, as no Blob's own type has an upper-case letter.
fn is_sent(blob: &Blob) -> bool {
    let type_of = |sent: Response| sent.headers().get("content-type");
    let found = Response::new_with_opt_blob(Some(blob)).and_then(type_of);
    found.is_ok_and(|found| found.as_deref() != Some("text/plain;charset=UTF-8"))
}

thread_local! {
    /// The global Blob when it was last asked about, and the answer.
    static SENDS_REAL_ONES: RefCell<(JsValue, bool)> = const { RefCell::new((JsValue::UNDEFINED, false)) };
}

/// Whether it was made by the global Blob, and the host sends what that makes. The getter of the size refuses all else, also
/// what only inherits from it. Some tests put a Blob of their own in its place.
fn is_real_and_sent(blob: &Blob) -> bool {
    let class = js::value(&js_sys::global(), "Blob");
    let prototype = js::value(&class, "prototype");
    let is_real = prototype.is_object() && get(&prototype, "size", blob).is_ok_and(|size| size.as_f64().is_some());
    is_real
        && SENDS_REAL_ONES.with_borrow_mut(|(known, sends)| {
            if *known != class {
                (*sends, *known) = (Blob::new().is_ok_and(|blob| is_sent(&blob)), class);
            }
            *sends
        })
}

impl Part {
    fn size(&self) -> u64 {
        self.to - self.from
    }

    /// By reference, where the host's `fetch` and XMLHttpRequest know it for a Blob; else its bytes.
    async fn content(&self, bytes_only: bool) -> Result<JsValue, Fault> {
        let Self { whole, from, to } = self;
        if bytes_only || !whole.is_own() {
            return whole.read_one(*from, *to).await.map(JsValue::from);
        }
        if self.size() == whole.size {
            return Ok(whole.blob.clone().into());
        }
        let slice = whole.blob.slice_with_f64_and_f64(*from as f64, *to as f64);
        slice.map(JsValue::from).map_err(Fault::unreadable)
    }
}

impl HostBytes {
    /// Takes what a caller passes as an image. The error is the problem with it.
    pub fn new(image: &JsValue) -> Result<Self, String> {
        let taken = take_image(image);
        if let Some(problem) = taken.as_string() {
            return Err(problem);
        }
        let is_copy = taken != *image;
        let blob: AnyBlob = match taken.dyn_into::<Uint8Array>() {
            Ok(copy) => return Ok(Self(Image::Copy(copy))),
            Err(blob) => blob.unchecked_into(),
        };
        let size = js::number(&blob, "size")
            .filter(|size| (0.0..=Number::MAX_SAFE_INTEGER).contains(size) && size.fract() == 0.0);
        let size = size.ok_or("has no size")? as u64;
        let (is_own, is_doubtful) = (Cell::default(), Cell::new(!place::sees_changed_files()));
        let whole = Rc::new(Whole {
            blob,
            size,
            is_copy,
            is_own,
            is_doubtful,
            head: RefCell::default(),
            tail: RefCell::default(),
            #[cfg(feature = "outbox")]
            all: RefCell::default(),
        });
        Ok(Self(Image::Part(Part { whole, from: 0, to: size })))
    }

    /// Bytes that the store gave back.
    #[cfg(feature = "outbox")]
    pub(super) fn stored(buffer: &JsValue) -> Self {
        Self(Image::Copy(Uint8Array::new(buffer)))
    }

    pub(super) fn size(&self) -> u64 {
        match &self.0 {
            Image::Copy(copy) => copy.length().into(),
            Image::Part(part) => part.size(),
        }
    }

    /// A piece, without copying a byte.
    pub(super) fn slice(&self, Range { start: from, end: to }: Range<u64>) -> Self {
        Self(match &self.0 {
            Image::Copy(copy) => Image::Copy(copy.subarray(from as u32, to as u32)),
            Image::Part(part) => {
                let (from, to) = (part.from + from, part.from + to);
                Image::Part(Part { whole: part.whole.clone(), from, to })
            }
        })
    }

    /// What a Blob says of itself.
    pub(super) fn own_type(&self) -> Option<String> {
        match &self.0 {
            Image::Copy(_) => None,
            Image::Part(part) => js::text(&part.whole.blob, "type"),
        }
    }

    /// The bytes of a piece, as far as there are any.
    pub(super) async fn read(&self, piece: Range<u32>) -> Result<Vec<u8>, JsValue> {
        let bytes = match &self.0 {
            Image::Copy(copy) => copy.subarray(piece.start, piece.end),
            Image::Part(part) => {
                let to = part.to.min(part.from + u64::from(piece.end));
                part.whole.look(to.min(part.from + u64::from(piece.start)), to).await?
            }
        };
        Ok(bytes.to_vec())
    }

    /// Reads a Blob whole: each piece would be a question to another process.
    #[cfg(feature = "outbox")]
    pub(super) async fn load(&self) {
        if let Image::Part(Part { whole, .. }) = &self.0
            && let Ok(all) = whole.read_one(0, whole.size).await
        {
            whole.all.replace(Some(all));
        }
    }

    /// All bytes as an `ArrayBuffer`, which every browser can store; Safari can't always store a `Blob`.
    #[cfg(feature = "outbox")]
    pub(super) async fn whole(&self) -> Result<JsValue, JsValue> {
        let bytes = match &self.0 {
            Image::Copy(copy) => copy.clone(),
            Image::Part(Part { whole, from, to }) => {
                whole.check().await?;
                whole.read_one(*from, *to).await?
            }
        };
        Ok(bytes.buffer().into())
    }

    /// As the host takes it: a Blob by reference where it may, else bytes.
    pub(super) async fn content(&self, bytes_only: bool) -> Result<JsValue, Fault> {
        match &self.0 {
            Image::Copy(copy) => Ok(copy.into()),
            Image::Part(part) => part.content(bytes_only).await,
        }
    }
}

/// The Blobs of a request.
fn blobs_of(payload: &Payload<HostBytes>) -> impl Iterator<Item = &Whole> {
    payload.files().filter_map(|HostBytes(file)| match file {
        Image::Part(part) => Some(&*part.whole),
        Image::Copy(_) => None,
    })
}

/// Fails when an image of a request is no more what it was.
pub(super) async fn check(payload: &Payload<HostBytes>) -> Result<(), Failure> {
    for whole in blobs_of(payload) {
        whole.check().await?;
    }
    Ok(())
}

/// Has the images of a request looked at from now on: they may be why the request has failed.
pub(super) fn doubt(payload: &Payload<HostBytes>) {
    blobs_of(payload).for_each(|whole| whole.is_doubtful.set(true));
}
