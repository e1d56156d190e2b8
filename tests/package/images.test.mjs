// What may be an image, what its bytes tell, and that exactly these bytes are sent.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { sync } from "imagen-cloud";
import { aRequest, OWNER, PNG, POST, PUT, scripted, sentTo, sinkFor, uploaded } from "./helpers.mjs";

const padded = () => {
  const bytes = new Uint8Array(PNG.length + 20);
  bytes.set(PNG, 8);
  return bytes;
};
const shared = () => {
  const buffer = new SharedArrayBuffer(PNG.length);
  new Uint8Array(buffer).set(PNG);
  return buffer;
};
const resizable = () => {
  const buffer = new ArrayBuffer(PNG.length, { maxByteLength: PNG.length * 2 });
  new Uint8Array(buffer).set(PNG);
  return buffer;
};

const SOURCES = {
  "a Uint8Array": () => PNG.slice(),
  "an ArrayBuffer": () => PNG.slice().buffer,
  "a view with an offset": () => padded().subarray(8, 8 + PNG.length),
  "a DataView with an offset": () => new DataView(padded().buffer, 8, PNG.length),
  "a SharedArrayBuffer": shared,
  "a view of shared memory": () => new Uint8Array(shared()),
  "a resizable buffer": resizable,
  "a view of a resizable buffer": () => new Uint8Array(resizable()),
  "a Node Buffer": () => Buffer.from(PNG),
  "a small Node Buffer out of the pool": () => Buffer.from("GIF89a, or nearly so"),
  "a Uint8ClampedArray": () => new Uint8ClampedArray(PNG),
  "an Int16Array": () => new Int16Array(PNG.slice(0, PNG.length & ~1).buffer),
  "a Blob": () => new Blob([PNG], { type: "image/png" }),
  "a Blob without a type": () => new Blob([PNG]),
  "a slice of a Blob": () => new Blob([padded()]).slice(8, 8 + PNG.length),
  "a File": () => new File([PNG], "lighthouse.png", { type: "image/png" }),
};

async function bytesOf(source) {
  if (source instanceof Blob) return Buffer.from(await source.arrayBuffer());
  return ArrayBuffer.isView(source)
    ? Buffer.from(new Uint8Array(source.buffer, source.byteOffset, source.byteLength))
    : Buffer.from(new Uint8Array(source));
}

for (const [name, make] of Object.entries(SOURCES)) {
  test(`${name} arrives byte for byte, with its length, at every attempt`, async (t) => {
    const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
    const sink = await sinkFor(t, server);
    const image = make();
    const expected = await bytesOf(image);
    await sink.sync(aRequest({ image }));
    for (const { body, headers } of sentTo(server, PUT)) {
      assert.deepEqual(body, expected);
      assert.equal(headers["content-length"], String(expected.length));
      assert.equal(headers["transfer-encoding"], undefined);
    }
    assert.equal(sentTo(server, PUT).length, 2);
  });
}

const REUSED = {
  "an ArrayBuffer": (bytes) => bytes.buffer,
  "a Uint8Array": (bytes) => bytes,
  "a DataView": (bytes) => new DataView(bytes.buffer),
};

for (const [name, view] of Object.entries(REUSED)) {
  test(`${name} that the caller fills anew at once, or hands over, is sent as it was`, async (t) => {
    for (const spoil of [
      (bytes) => bytes.fill(0),
      (bytes) => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }),
    ]) {
      const server = await scripted(t, { [PUT]: [{ status: 503 }, { status: 0 }, uploaded] });
      const sink = await sinkFor(t, server);
      const bytes = PNG.slice();
      const call = sink.sync(aRequest({ image: view(bytes) }));
      spoil(bytes);
      await call;
      const sent = sentTo(server, PUT);
      assert.equal(sent.length, 3);
      for (const { body } of sent) assert.deepEqual(body, Buffer.from(PNG));
    }
  });
}

test("the free function sends what it was given too, whatever the caller does right after the call", async (t) => {
  const server = await scripted(t);
  const image = PNG.slice();
  const request = aRequest({ image });
  const call = sync({ url: server.url, apiKey: "test-key", ownerUserId: OWNER }, request);
  image.fill(0);
  request.slug = "elsewhere";
  assert.equal((await call).storagePath, "2026-05-11/lighthouse-42.png");
  assert.deepEqual(sentTo(server, PUT)[0].body, Buffer.from(PNG));
});

test("shared memory that changes while a retry waits is sent as it was", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
  const sink = await sinkFor(t, server);
  const buffer = shared();
  const call = sink.sync(aRequest({ image: buffer }));
  new Uint8Array(buffer).fill(1);
  await call;
  for (const { body } of sentTo(server, PUT)) assert.deepEqual(body, Buffer.from(PNG));
});

const FORMATS = { png: "image/png", jpg: "image/jpeg", webp: "image/webp", avif: "image/avif", gif: "image/gif" };

for (const [ext, mimeType] of Object.entries(FORMATS)) {
  test(`a real ${ext} tells its ending, type and size`, async (t) => {
    const server = await scripted(t);
    const sink = await sinkFor(t, server, { requireImage: true });
    const image = await readFile(new URL(`../data/lighthouse.${ext}`, import.meta.url));
    for (const source of [image, new Blob([image])]) {
      server.requests.length = 0;
      const { storagePath } = await sink.sync(aRequest({ image: source }));
      assert.equal(storagePath, `2026-05-11/lighthouse-42.${ext}`);
      assert.equal(sentTo(server, PUT)[0].headers["content-type"], mimeType);
      const { width, height } = JSON.parse(sentTo(server, POST)[0].body);
      assert.deepEqual({ width, height }, { width: 320, height: 240 });
    }
  });
}

test("a JPEG's size is found behind 20 kB of metadata", async (t) => {
  const jpeg = await readFile(new URL("../data/lighthouse.jpg", import.meta.url));
  const length = 20_000;
  const metadata = Buffer.alloc(2 + length);
  metadata.set([0xff, 0xe1, length >> 8, length & 0xff]);
  const bytes = Buffer.concat([jpeg.subarray(0, 2), metadata, jpeg.subarray(2)]);
  for (const image of [bytes, new Blob([bytes])]) {
    const server = await scripted(t);
    await (await sinkFor(t, server)).sync(aRequest({ image, ext: undefined, mimeType: undefined }));
    const { width, height } = JSON.parse(sentTo(server, POST)[0].body);
    assert.deepEqual({ width, height }, { width: 320, height: 240 });
  }
});

test("what the caller says of width, height and ext stands", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const { storagePath } = await sink.sync(aRequest({ width: 640, height: 480, ext: "bin", mimeType: "image/png" }));
  assert.equal(storagePath, "2026-05-11/lighthouse-42.bin");
  const { width, height } = JSON.parse(sentTo(server, POST)[0].body);
  assert.deepEqual({ width, height }, { width: 640, height: 480 });
});

test("bytes of no known kind are taken as declared", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const image = new TextEncoder().encode("<svg/>");
  const { storagePath } = await sink.sync(aRequest({ image, mimeType: "image/svg+xml", ext: "svg" }));
  assert.equal(storagePath, "2026-05-11/lighthouse-42.svg");
  assert.equal(sentTo(server, PUT)[0].headers["content-type"], "image/svg+xml");
});

test("bytes of no known kind and undeclared are image/png", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const { storagePath } = await sink.sync(aRequest({ image: new Uint8Array([1, 2, 3]) }));
  assert.equal(storagePath, "2026-05-11/lighthouse-42.png");
  assert.equal(sentTo(server, PUT)[0].headers["content-type"], "image/png");
});

test("an image cut within its header is no trap", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  for (const ext of Object.keys(FORMATS)) {
    const image = await readFile(new URL(`../data/lighthouse.${ext}`, import.meta.url));
    for (let length = 1; length < 64; length += 1) {
      await sink.sync(aRequest({ image: image.subarray(0, length) }));
    }
  }
});
