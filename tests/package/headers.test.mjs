// What images tell of themselves: type, ending and size as browsers show them, however far behind their header stands.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { behindStart, segment, withCredentials, withStrayBytes } from "../support/images.mjs";
import { aRequest, POST, PUT, scripted, sentTo, sinkFor } from "./helpers.mjs";

const read = (name) => readFile(new URL(`../data/${name}`, import.meta.url));
const JPEG = await read("lighthouse.jpg");
const PNG = await read("lighthouse.png");
const known = Object.entries(JSON.parse(await read("headers.json")));
const ENDINGS = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/webp": "webp",
  "image/avif": "avif",
  "image/gif": "gif",
};
const undeclared = { ext: undefined, mimeType: undefined };

/** What arrives of an image: its ending, its type, and the size in its row. */
async function arrived(t, image, fields = {}, options = {}) {
  const server = await scripted(t);
  const sink = await sinkFor(t, server, options);
  const { storagePath } = await sink.sync(aRequest({ ...undeclared, image, ...fields }));
  const { width, height } = JSON.parse(sentTo(server, POST)[0].body);
  const ending = storagePath.slice(storagePath.lastIndexOf(".") + 1);
  return { ending, type: sentTo(server, PUT)[0].headers["content-type"], width, height };
}

/** A Blob that keeps what was read of it. */
function watched(bytes) {
  const blob = new Blob([bytes]);
  const pieces = [];
  const slice = blob.slice;
  blob.slice = (from, to) => {
    pieces.push([from, to]);
    return slice.call(blob, from, to);
  };
  blob.arrayBuffer = () => Promise.reject(new Error("the whole image was read"));
  return { blob, pieces };
}

for (const [name, right] of known) {
  test(`${name} tells its type and size`, async (t) => {
    const bytes = await read(name);
    for (const image of [bytes, new Blob([bytes])]) {
      const told = await arrived(t, image);
      const wanted = right ?? { type: "image/png", width: undefined, height: undefined };
      assert.deepEqual(told, { ending: ENDINGS[wanted.type], ...wanted });
    }
  });
}

test("a JPEG's size is found behind 1.8 MB of Content Credentials, 64 KiB at a time", async (t) => {
  const bytes = withCredentials(JPEG);
  const { blob, pieces } = watched(bytes);
  const told = await arrived(t, blob);
  assert.deepEqual(told, { ending: "jpg", type: "image/jpeg", width: 320, height: 240 });
  assert.ok(pieces.length <= 40, `${pieces.length} pieces`);
  for (const [from, to] of pieces) assert.ok(to - from <= 64 * 1024 && to <= 2 * 1024 * 1024, `${from} to ${to}`);
});

test("a size that lies beyond 2 MiB is left out, and no more is read", async (t) => {
  const bytes = behindStart(JPEG, ...Array(40).fill(segment(0xeb, Buffer.alloc(60_000))));
  const { blob, pieces } = watched(bytes);
  const told = await arrived(t, blob);
  assert.deepEqual(told, { ending: "jpg", type: "image/jpeg", width: undefined, height: undefined });
  // Its end is looked at only to know it again.
  const walked = pieces.filter(([, to]) => to < bytes.length);
  assert.ok(walked.length > 30 || walked.at(-1)[1] > 2_000_000, JSON.stringify(pieces));
  assert.ok(walked.length <= 40 && walked.every(([, to]) => to <= 2 * 1024 * 1024), JSON.stringify(pieces));
});

test("up to 40 stray bytes between two segments hide no size", async (t) => {
  for (let count = 1; count <= 40; count += 13) {
    const { width, height } = await arrived(t, withStrayBytes(JPEG, count));
    assert.deepEqual({ width, height }, { width: 320, height: 240 });
  }
});

test("a PNG may be declared as image/apng, and a JPEG as image/pjpeg", async (t) => {
  assert.equal((await arrived(t, PNG, { mimeType: "image/apng" })).type, "image/png");
  assert.equal((await arrived(t, JPEG, { mimeType: "image/pjpeg" })).type, "image/jpeg");
});

test("what no browser shows is no image where only images are taken", async (t) => {
  for (const name of ["cgbi.png", "unix-line-ends.png"]) {
    const sent = arrived(t, await read(name), {}, { requireImage: true });
    await assert.rejects(sent, { code: "invalid_image", field: "image" });
  }
});

test("unknown bytes with a type of their own are declared as that", async (t) => {
  for (const type of ["image/heic", "text/html", "image/svg+xml"]) {
    assert.equal((await arrived(t, new Blob(["unknown"], { type }))).type, type);
  }
  const told = await arrived(t, new Blob(["unknown"], { type: "image/heic" }), { mimeType: "image/x-raw" });
  assert.equal(told.type, "image/x-raw");
  assert.equal((await arrived(t, new Blob(["unknown"]))).type, "image/png");
  assert.equal((await arrived(t, new Blob([JPEG], { type: "image/png" }))).type, "image/jpeg");
});
