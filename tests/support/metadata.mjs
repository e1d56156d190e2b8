// Picture files with what programs write into them, made of ordinary ones.
import { crc32, deflateSync } from "node:zlib";
import { behindStart, segment } from "./images.mjs";

const be32 = (number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
};

function chunk(kind, content) {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), content]);
  return Buffer.concat([be32(content.length), body, be32(crc32(body))]);
}

/** A PNG with chunks behind its header. */
const behindHeader = (png, chunks) => Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)]);

/** A PNG with texts by their names; `kind` is `tEXt`, of bytes as they are in UTF-8, or `iTXt`, or `zTXt`. */
export function pngWith(png, texts, kind = "tEXt") {
  const chunks = Object.entries(texts).map(([name, text]) => {
    const head = Buffer.from(`${name}\0`, "latin1");
    const bytes = Buffer.from(text);
    if (kind === "zTXt") return chunk(kind, Buffer.concat([head, Buffer.of(0), deflateSync(bytes)]));
    if (kind === "iTXt") return chunk(kind, Buffer.concat([head, Buffer.of(0, 0, 0, 0), bytes]));
    return chunk(kind, Buffer.concat([head, bytes]));
  });
  return behindHeader(png, chunks);
}

/** A text of CBOR. */
export const cborText = (text) =>
  Buffer.concat([text.length < 24 ? Buffer.of(0x60 + text.length) : Buffer.of(0x78, text.length), Buffer.from(text)]);

/** A PNG with a box of Content Credentials around these bytes. */
export const pngWithBox = (png, ...parts) =>
  behindHeader(png, [chunk("caBX", Buffer.concat([be32(16), Buffer.from("jumb"), ...parts]))]);

const [ASCII, LONG, RATIONAL, UNDEFINED] = [2, 4, 5, 7];

/** EXIF's own format, TIFF, in big-endian: an IFD of `fields`, each `[tag, type, bytes, count]`, at an offset. */
function ifd(fields, offset) {
  let next = offset + 2 + fields.length * 12 + 4;
  const [entries, values] = [[], []];
  for (const [tag, type, bytes, count] of fields) {
    const entry = Buffer.alloc(12);
    entry.writeUInt16BE(tag, 0);
    entry.writeUInt16BE(type, 2);
    entry.writeUInt32BE(count ?? bytes.length, 4);
    if (bytes.length <= 4) bytes.copy(entry, 8);
    else {
      entry.writeUInt32BE(next, 8);
      values.push(bytes);
      next += bytes.length;
    }
    entries.push(entry);
  }
  const length = Buffer.alloc(2);
  length.writeUInt16BE(fields.length);
  return Buffer.concat([length, ...entries, be32(0), ...values]);
}

/** Numbers of EXIF's fractions, one after another. */
export const fractions = (...numbers) => Buffer.concat(numbers.map(be32));

const degrees = (value) => {
  const whole = Math.floor(value);
  const minutes = Math.floor((value - whole) * 60);
  const seconds = Math.round(((value - whole) * 60 - minutes) * 6000);
  return fractions(whole, 1, minutes, 1, seconds, 100);
};

/**
 * EXIF with a comment in UTF-16, texts of the first directory by their tags, and a place, of which `parts` makes an angle's fractions
 * and `halves` are the letters.
 */
export function exifOf({ comment, order = "be", ascii = {}, place }) {
  const texts = Object.entries(ascii).map(([tag, text]) => [Number(tag), ASCII, Buffer.from(`${text}\0`)]);
  const pointers = [...(comment === undefined ? [] : [0x8769]), ...(place ? [0x8825] : [])];
  const main = (offsets) => ifd([...texts, ...pointers.map((tag, i) => [tag, LONG, be32(offsets[i]), 1])], 8);
  const rest = [];
  let at = 8 + main(pointers.map(() => 0)).length;
  const offsets = [];
  const add = (make) => {
    offsets.push(at);
    rest.push(make(at));
    at += rest.at(-1).length;
  };
  if (comment !== undefined) {
    const utf16 = Buffer.from(comment, "utf16le");
    if (order === "be") utf16.swap16();
    add((offset) => ifd([[0x9286, UNDEFINED, Buffer.concat([Buffer.from("UNICODE\0"), utf16])]], offset));
  }
  if (place) {
    const { latitude, longitude, parts = degrees, halves = ["N", "S", "E", "W"] } = place;
    const half = (names, value) => Buffer.from(names[value < 0 ? 1 : 0]);
    const angle = (value) => parts(Math.abs(value));
    const fields = [
      [1, ASCII, half(halves, latitude)],
      [2, RATIONAL, angle(latitude), angle(latitude).length / 8],
      [3, ASCII, half(halves.slice(2), longitude)],
      [4, RATIONAL, angle(longitude), angle(longitude).length / 8],
    ];
    add((offset) => ifd(fields, offset));
  }
  return Buffer.concat([Buffer.from("MM\0\x2a", "latin1"), be32(8), main(offsets), ...rest]);
}

/** A JPEG with EXIF. */
export const jpegWith = (jpeg, exif) =>
  behindStart(jpeg, segment(0xe1, Buffer.concat([Buffer.from("Exif\0\0"), exif])));

/** A WebP with EXIF at its end. */
export function webpWith(webp, exif) {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(exif.length);
  const whole = Buffer.concat([webp, Buffer.from("EXIF"), size, exif, Buffer.alloc(exif.length % 2)]);
  whole.writeUInt32LE(whole.length - 8, 4);
  return whole;
}
