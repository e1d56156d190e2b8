// An image's bytes, which stay on this side: a copy of a buffer as a Uint8Array, a Blob as a `Part`. As in host.js, nothing
// that Rust calls throws; a promise may be rejected.
import { messageOf } from "./safe.js";

const NO_IMAGE = "must be a Blob, an ArrayBuffer or a view of one";
/** From here on a copy is a Blob, whose pieces hosts send without copying them once more. */
const LARGE_BYTES = 6 * 1024 * 1024;
/** What is looked at of either end of a Blob, to know it again: a file on disk may be replaced while a retry waits. */
const EDGE_BYTES = 16 * 1024;
/** A copy that `pkg/api.js` has made already. */
const COPIED = Symbol.for("imagen-cloud.copied");

/** Why an image can't be sent. */
export class ImageFault extends Error {}

/** A Blob of anybody's, with what is known of it. All parts of it share this. */
class Whole {
  /** Whether it is the host's own; asked once. */
  own;
  /** Its first bytes, and its last, as they were seen first. */
  #head;
  #tail;

  constructor(blob, size, isCopy) {
    this.blob = blob;
    this.size = size;
    this.isCopy = isCopy;
  }

  async read(from, to) {
    let bytes;
    try {
      bytes = new Uint8Array(await this.blob.slice(from, to).arrayBuffer());
    } catch (cause) {
      throw new ImageFault("can't be read", { cause });
    }
    if (bytes.length !== to - from) throw new ImageFault(`gave ${bytes.length} bytes instead of ${to - from}`);
    return bytes;
  }

  /** A piece as somebody looks at it, by which the Blob is known again. */
  async look(from, to) {
    const bytes = await this.read(from, to);
    if (from === 0) this.#head ??= bytes.slice(0, EDGE_BYTES);
    return bytes;
  }

  /** Fails when it can't be read any more, or is not what it was. Only Chromium and Node see that by themselves. */
  async check() {
    if (this.isCopy) return;
    const { size } = this;
    const ahead = this.#head?.length ?? Math.min(EDGE_BYTES, size);
    const [head, tail] = await Promise.all([this.read(0, ahead), this.read(Math.max(size - EDGE_BYTES, ahead), size)]);
    this.#head ??= head;
    this.#tail ??= tail;
    if (!isSame(head, this.#head) || !isSame(tail, this.#tail)) throw new ImageFault("has changed since it was given");
  }
}

const isSame = (one, other) => one.every((byte, index) => byte === other[index]);

class Part {
  constructor(whole, from, to) {
    this.whole = whole;
    this.from = from;
    this.to = to;
  }

  get size() {
    return this.to - this.from;
  }

  /** What the Blob says of itself. */
  get type() {
    return this.whole.blob.type;
  }

  /** By reference, where the host's `fetch` and XMLHttpRequest know it for a Blob; else its bytes. */
  async body(bytesOnly) {
    const { whole, from, to } = this;
    whole.own ??= isHostsOwn(whole.blob);
    if (bytesOnly || !whole.own) return whole.read(from, to);
    return this.size === whole.size ? whole.blob : whole.blob.slice(from, to);
  }
}

/** The body of a form, whose image stays where it is until it is sent. */
class Form {
  constructor(request, image) {
    this.request = request;
    this.image = image;
  }
}

export const form = (request, image) => new Form(request, image);

/**
 * An image's bytes: a Blob as it is; a copy of a buffer or view, since a caller may reuse its own while a retry waits.
 * A text is the problem with what was given.
 */
export function takeImage(image) {
  try {
    if (ArrayBuffer.isView(image)) return image[COPIED] === true ? image : copied(image.buffer, image);
    if (isBuffer(image)) return copied(image, image);
    if (!isBlob(image)) return NO_IMAGE;
    const { size } = image;
    if (!Number.isSafeInteger(size) || size < 0) return "has no size";
    return partOf(image, size, false);
  } catch (thrown) {
    return messageOf(thrown);
  }
}

const partOf = (blob, size, isCopy) => new Part(new Whole(blob, size, isCopy), 0, size);

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
  return partOf(new Blob([view]), view.length, true);
}

/**
 * Whether the host sends this Blob's bytes, and not the text "[object Blob]": so it does with one of jsdom, of a polyfill or a
 * look-alike. A Response tells by its type, as no Blob's own type has an upper-case letter.
 */
function isHostsOwn(blob) {
  try {
    return blob instanceof Blob && new Response(blob).headers.get("content-type") !== "text/plain;charset=UTF-8";
  } catch {
    return false;
  }
}

export const size = (image) => (image instanceof Part ? image.size : image.length);

/** A piece, without copying a byte. */
export const slice = (image, from, to) =>
  image instanceof Part ? new Part(image.whole, image.from + from, image.from + to) : image.subarray(from, to);

/** A piece's bytes: of a copy at once, of a Blob as a promise. */
export const readPiece = (image, from, to) =>
  image instanceof Part ? pieceOf(image, from, to) : image.subarray(from, to);

function pieceOf(part, from, to) {
  const end = Math.min(part.from + to, part.to);
  return asTheHostSays(part.whole.look(Math.min(part.from + from, end), end));
}

/** All bytes as an ArrayBuffer, of a Blob that is what it was. */
export const wholeImage = async (image) =>
  image instanceof Part ? (await asTheHostSays(wholeOf(image))).buffer : image.buffer;

async function wholeOf({ whole, from, to }) {
  await whole.check();
  return whole.read(from, to);
}

/** Fails with what the host itself says of an image. */
const asTheHostSays = (reading) =>
  reading.catch((fault) => {
    throw fault.cause ?? fault;
  });

/** Fails when the image of a request is no more what it was. */
export async function checkImage(payload) {
  const image = payload instanceof Form ? payload.image : payload;
  if (image instanceof Part) await image.whole.check();
}

/** What is sent of a payload: `body`, and the `type` of a form. `bytesOnly` for who may know no Blobs. */
export async function bodyOf(payload, bytesOnly) {
  if (payload instanceof Part) return { body: await payload.body(bytesOnly) };
  return payload instanceof Form ? formBody(payload, bytesOnly) : { body: payload };
}

/**
 * A form's two parts (RFC 7578). Not by FormData, of which one that is not the host's own is sent as "[object FormData]", as is
 * any by a `fetch` that knows none.
 */
async function formBody({ request, image }, bytesOnly) {
  const boundary = `imagen-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  const part = (head) => `--${boundary}\r\nContent-Disposition: form-data; name=${head}\r\n\r\n`;
  const file = '"image"; filename="image"\r\nContent-Type: application/octet-stream';
  const [before, after] = [`${part('"request"')}${request}\r\n${part(file)}`, `\r\n--${boundary}--\r\n`];
  const content = image instanceof Part ? await image.body(bytesOnly) : image;
  const type = `multipart/form-data; boundary=${boundary}`;
  if (!(content instanceof Uint8Array)) return { type, body: new Blob([before, content, after]) };
  const encoder = new TextEncoder();
  const pieces = [encoder.encode(before), content, encoder.encode(after)];
  const body = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return { type, body };
}
