// What a caller passes as an image. In JavaScript, since js-sys takes for granted that a buffer may be looked at and that there
// is memory for a copy: what throws there would leave the WebAssembly's frames half done. Nothing here throws.
import { messageOf } from "./safe.js";

const NO_IMAGE = "must be a Blob, an ArrayBuffer or a view of one";
/** From here on a copy is a Blob, whose pieces hosts send without copying them once more. */
const LARGE_BYTES = 6 * 1024 * 1024;
/** A copy that `pkg/api.js` has made already. */
const COPIED = Symbol.for("imagen-cloud.copied");

/**
 * An image's bytes: a Blob as it is; a copy of a buffer or view, since a caller may reuse its own while a retry waits.
 * A text is the problem with what was given.
 */
export function takeImage(image) {
  try {
    if (ArrayBuffer.isView(image)) return isCopied(image) ? image : copied(image.buffer, image);
    if (isBuffer(image)) return copied(image, image);
    return isBlob(image) ? image : NO_IMAGE;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

const isCopied = (view) => view instanceof Uint8Array && view[COPIED] === true;

/** By its name, since a buffer may come from another realm: an iframe, or a `vm`. */
const nameOf = (value) => Object.prototype.toString.call(value);
const isBuffer = (image) => ["[object ArrayBuffer]", "[object SharedArrayBuffer]"].includes(nameOf(image));

/** By its methods, since a Blob may come from another realm, a polyfill or jsdom. */
const isBlob = (image) =>
  typeof image === "object" &&
  image !== null &&
  typeof image.slice === "function" &&
  typeof image.arrayBuffer === "function" &&
  typeof image.size === "number";

function copied(buffer, { byteOffset, byteLength }) {
  if (byteLength === 0 && buffer.detached) return "its buffer is detached";
  const view = new Uint8Array(buffer, byteOffset, byteLength);
  // A Blob takes neither shared nor resizable memory.
  const isFixed = nameOf(buffer) === "[object ArrayBuffer]" && !buffer.resizable;
  if (view.length < LARGE_BYTES || !isFixed || typeof Blob !== "function") return view.slice();
  return new Blob([view]);
}
