// What a picture says of itself: how it was made, and where. ExifReader reads the file's containers, and this the texts in them.
import * as exifreader from "exifreader";
import { credentialsIn } from "./credentials.js";
import { readers } from "./programs.js";
import { textsIn } from "./texts.js";

// Node has the CommonJS build, bundlers the modules.
const { load } = exifreader.default ?? exifreader;

/** Bytes that are unpacked of all compressed parts of a file together: more is no prompt. */
const MAX_UNPACKED = 16 * 1024 * 1024;

export async function readMetadata(image) {
  const bytes = await bytesOf(image);
  const tags = await tagsOf(bytes);
  const made = madeBy(textsIn(tags));
  const credentials = credentialsIn(bytes);
  const place = placeIn(tags);
  return { ...made, ...(credentials && { credentials }), ...(place && { place }) };
}

async function bytesOf(image) {
  if (ArrayBuffer.isView(image)) return new Uint8Array(image.buffer, image.byteOffset, image.byteLength).slice();
  if (typeof image?.arrayBuffer === "function") return new Uint8Array(await image.arrayBuffer());
  if (Object.prototype.toString.call(image) === "[object ArrayBuffer]") return new Uint8Array(image);
  throw new TypeError("imagen-cloud/metadata: the image is no Blob, ArrayBuffer or view of one");
}

/** None where there is nothing to be read, or nothing that can be. */
async function tagsOf(bytes) {
  try {
    const decompress = { maxDecompressedSize: MAX_UNPACKED, deflate: unpacker("deflate") };
    return await load(bytes.buffer, { expanded: true, async: true, decompress });
  } catch {
    return {};
  }
}

/** Unpacks one part after another, until they have been too much together: each may be a thousand times as long as it is packed. */
function unpacker(format) {
  let room = MAX_UNPACKED;
  let before = Promise.resolve();
  const unpack = async (packed) => {
    const pieces = [];
    const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream(format)).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Uint8Array(await new Blob(pieces).arrayBuffer());
      room -= value.byteLength;
      if (room < 0) {
        await reader.cancel();
        throw new RangeError("too much is packed in the file");
      }
      pieces.push(value);
    }
  };
  return (packed) => {
    const unpacked = before.then(() => (room < 0 ? Promise.reject(new RangeError("no more room")) : unpack(packed)));
    before = unpacked.catch(() => undefined);
    return unpacked;
  };
}

/** What the first reader has found that knows these texts. */
function madeBy(texts) {
  for (const read of readers) {
    try {
      const found = read(texts);
      if (found) return withoutGaps(found);
    } catch {
      // Not as its program writes it.
    }
  }
  return {};
}

/** EXIF's before XMP's, which ExifReader has worked out. */
function placeIn({ exif = {}, gps = {} }) {
  const isInExif = exif.GPSLatitude !== undefined && exif.GPSLongitude !== undefined;
  const latitude = isInExif ? degreesOf(exif.GPSLatitude, exif.GPSLatitudeRef) : gps.Latitude;
  const longitude = isInExif ? degreesOf(exif.GPSLongitude, exif.GPSLongitudeRef) : gps.Longitude;
  return Number.isFinite(latitude) && Number.isFinite(longitude) ? { latitude, longitude } : undefined;
}

const SIGNS = { N: 1, E: 1, S: -1, W: -1 };

/**
 * Degrees, minutes and seconds as fractions. Some programs leave out the later ones, or write them as not known: 0/0. Who does not say
 * which half of the earth is meant has named no place.
 */
function degreesOf({ value }, half) {
  const numbers = [value].flat(2);
  const part = (at) => {
    const [above, below] = numbers.slice(2 * at, 2 * at + 2);
    return at > 0 && (above === undefined || below === 0) ? 0 : above / below;
  };
  const letter = String(half?.value ?? "").trim()[0];
  return SIGNS[letter?.toUpperCase()] * (part(0) + part(1) / 60 + part(2) / 3600);
}

const withoutGaps = (found) =>
  Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined && value !== ""));
