// Images whose headers are hard to read, made of ordinary ones.
import { crc32 } from "node:zlib";

const be16 = (number) => Buffer.from([number >> 8, number & 255]);

/** A JPEG's segment. */
export const segment = (kind, content) => Buffer.concat([Buffer.from([0xff, kind]), be16(content.length + 2), content]);

/** A JPEG with something behind its first two bytes. */
export const behindStart = (jpeg, ...parts) => Buffer.concat([jpeg.subarray(0, 2), ...parts, jpeg.subarray(2)]);

/** A JPEG with Content Credentials of 1.8 MB before its frame header. */
export const withCredentials = (jpeg) =>
  behindStart(jpeg, ...Array(30).fill(segment(0xeb, Buffer.alloc(60_000, "c2pa"))));

/** A JPEG with bytes between its segments that belong to none. */
export function withStrayBytes(jpeg, count) {
  const behindFirst = 4 + jpeg.readUInt16BE(4);
  return Buffer.concat([jpeg.subarray(0, behindFirst), Buffer.alloc(count, "stray"), jpeg.subarray(behindFirst)]);
}

/** A box of an ISO base media file. */
export function box(kind, ...contents) {
  const content = Buffer.concat(contents.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(content.length + 8);
  head.write(kind, 4, "latin1");
  return Buffer.concat([head, content]);
}

/** A box whose length is a 64-bit number. */
export function longBox(kind, ...contents) {
  const length = Buffer.alloc(8);
  const short = box(kind, length, ...contents);
  short.writeUInt32BE(1);
  short.writeBigUInt64BE(BigInt(short.length), 8);
  return short;
}

/** A box that goes to the end of the file. */
export function endlessBox(kind, ...contents) {
  const bytes = box(kind, ...contents);
  bytes.writeUInt32BE(0);
  return bytes;
}

/** The kinds and contents of a row of boxes. */
export function boxesOf(bytes) {
  const found = {};
  for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at)) {
    found[bytes.toString("latin1", at + 4, at + 8)] = bytes.subarray(at + 8, at + bytes.readUInt32BE(at));
  }
  return found;
}

/**
 * An AVIF of one item, put together anew. `make` gets its boxes and gives the whole file for a place of its picture's data,
 * which is found by trying.
 */
export function rebuilt(avif, make) {
  const { ftyp, meta, mdat } = boxesOf(avif);
  const inner = boxesOf(meta.subarray(4));
  const boxes = { ftyp: box("ftyp", ftyp), mdat: box("mdat", mdat), inner, ...boxesOf(inner.iprp) };
  const at = make(boxes, 0).indexOf(mdat);
  return make(boxes, at);
}

const be32 = (number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
};

/** The place of an item's data: version 0, offsets and lengths of four bytes, no base, one extent. */
export const located = (at, inner, items = [1]) => {
  const length = inner.iloc.readUInt32BE(inner.iloc.length - 4);
  const places = items.map((item) => Buffer.concat([be16(item), be16(0), be16(1), be32(at), be32(length)]));
  return box("iloc", be32(0), Buffer.from([0x44, 0]), be16(items.length), ...places);
};

/** The content of a full `meta` of one item. */
const metaOf = ({ inner }, at) => [
  be32(0),
  box("hdlr", inner.hdlr),
  box("pitm", inner.pitm),
  located(at, inner),
  box("iinf", inner.iinf),
  box("iprp", inner.iprp),
];

/** An AVIF whose box `meta` has the length 0: to the end of the file. */
export const withEndlessMeta = (avif) =>
  rebuilt(avif, (boxes, at) => Buffer.concat([boxes.ftyp, boxes.mdat, endlessBox("meta", ...metaOf(boxes, at))]));

/** An AVIF whose boxes have lengths of 64 bits. */
export const withLongBoxes = (avif) =>
  rebuilt(avif, (boxes, at) => Buffer.concat([boxes.ftyp, longBox("meta", ...metaOf(boxes, at)), boxes.mdat]));

/** An AVIF with another item than the primary one, of twice its sides, and that one turned. */
export const withLargerItem = (avif) =>
  rebuilt(avif, ({ ftyp, mdat, inner, ipco, ipma }, at) => {
    const { ispe } = boxesOf(ipco);
    const larger = box("ispe", be32(0), be32(2 * ispe.readUInt32BE(4)), be32(2 * ispe.readUInt32BE(8)));
    const entry = box("infe", Buffer.from([2, 0, 0, 0]), be16(2), be16(0), "av01\0");
    const first = inner.iinf.subarray(6);
    const own = ipma.subarray(8);
    const other = Buffer.concat([be16(2), Buffer.from([5, 5, 2, 0x83, 4, 0x86])]);
    const meta = [
      be32(0),
      box("hdlr", inner.hdlr),
      box("iprp", box("ipco", ipco, larger, box("irot", [1])), box("ipma", be32(0), be32(2), own, other)),
      box("pitm", inner.pitm),
      located(at, inner, [1, 2]),
      box("iinf", be32(0), be16(2), first, entry),
    ];
    return Buffer.concat([ftyp, box("meta", ...meta), mdat]);
  });

/** A chunk of a PNG. */
export function chunk(kind, content) {
  const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(kind, "latin1"), content, Buffer.alloc(4)]);
  bytes.writeUInt32BE(content.length);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), bytes.length - 4);
  return bytes;
}

/** EXIF that says how a picture is turned, and no more. */
const oriented = (orientation) =>
  Buffer.from(`II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0${String.fromCharCode(orientation)}\0\0\0`, "latin1");

/** A PNG that is turned by EXIF, behind as many bytes of text as a ComfyUI workflow may have. */
export const withOrientation = (png, orientation, textBytes) =>
  Buffer.concat([
    png.subarray(0, 33),
    chunk("tEXt", Buffer.concat([Buffer.from("workflow\0"), Buffer.alloc(textBytes, "a")])),
    chunk("eXIf", oriented(orientation)),
    png.subarray(33),
  ]);

/** A GIF whose screen is none, or smaller than its first picture. */
export function withScreen(gif, width, height) {
  const bytes = Buffer.from(gif);
  bytes.writeUInt16LE(width, 6);
  bytes.writeUInt16LE(height, 8);
  return bytes;
}

/** A PNG as Apple's tools write it for their devices: with a chunk `CgBI` before all others. */
export const asCgBI = (png) =>
  Buffer.concat([
    png.subarray(0, 8),
    Buffer.from("\0\0\0\x04CgBIP\0\x20\x02\x2b\xd5\xb3\x7f", "latin1"),
    png.subarray(8),
  ]);

/** A file whose line ends were changed on the way. */
export const withUnixLineEnds = (bytes) => Buffer.from(bytes.toString("latin1").replaceAll("\r\n", "\n"), "latin1");
