// Blobs, promises, buffers and fetches that are not the host's own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { openAsBlob } from "node:fs";
import { appendFile, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createContext, runInContext } from "node:vm";
import Bluebird from "bluebird";
import { Blob as FetchBlob } from "fetch-blob";
import { Blob as FormdataBlob, File as FormdataFile } from "formdata-node";
import { Window } from "happy-dom";
import { createRelay, createSink, sync } from "imagen-cloud";
import { createFakeProject } from "imagen-cloud/testing";
import { JSDOM } from "jsdom";
import fetch2 from "node-fetch";
import { load } from "../../pkg/api.js";
import * as build from "../../pkg/wasm/imagen_cloud.js";
import { aRequest, OWNER, PNG, POST, PUT, rejection, SIGN, scripted, sentTo, sinkFor, uploaded } from "./helpers.mjs";

const webp = new Uint8Array(await readFile(new URL("../data/lighthouse.webp", import.meta.url)));
const { window: dom } = new JSDOM();
const happy = new Window();

/** No more than what the library asks for. */
const lookAlike = (bytes) => ({
  size: bytes.length,
  slice: (from, to) => lookAlike(bytes.slice(from, to)),
  arrayBuffer: async () => bytes.slice().buffer,
});
/** @type {Record<string, (bytes: Uint8Array) => unknown>} */
const BLOBS = {
  "jsdom's Blob": (bytes) => new dom.Blob([bytes]),
  "jsdom's File": (bytes) => new dom.File([bytes], "x.png"),
  "happy-dom's Blob": (bytes) => new happy.Blob([bytes]),
  "fetch-blob's Blob": (bytes) => new FetchBlob([bytes]),
  "formdata-node's Blob": (bytes) => new FormdataBlob([bytes]),
  "formdata-node's File": (bytes) => new FormdataFile([bytes], "x.png"),
  "a look-alike": lookAlike,
  "a look-alike that inherits from Blob": (bytes) =>
    Object.create(Blob.prototype, Object.getOwnPropertyDescriptors(lookAlike(bytes))),
  "the host's own": (bytes) => new Blob([bytes], { type: "text/plain;charset=utf-8" }),
};
const FETCHES = {
  "the host's fetch": undefined,
  "a fetch of the caller's": (...args) => fetch(...args),
  "node-fetch 2": (url, init) => fetch2(url, init),
};

for (const [name, make] of Object.entries(BLOBS)) {
  for (const [by, fetch] of Object.entries(FETCHES)) {
    test(`the bytes of ${name} are what ${by} sends, whole, in pieces and in a form`, async (t) => {
      const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
      const sink = await sinkFor(t, server, { fetch });
      await sink.sync(aRequest({ image: make(PNG) }));
      for (const { body, headers } of sentTo(server, PUT)) {
        assert.deepEqual(body, Buffer.from(PNG));
        assert.deepEqual([headers["content-type"], headers["content-length"]], ["image/png", String(PNG.length)]);
      }
      assert.equal(JSON.parse(sentTo(server, POST)[0].body).width, 320);
      assert.deepEqual(await inPieces(t, { image: make(PNG), fetch }), Buffer.from(PNG));
      assert.deepEqual(await inForm(t, { image: make(PNG), fetch }), Buffer.from(PNG));
    });
  }
}

test("the bytes are sent of a Blob that is put in the place of the host's", async (t) => {
  const server = await scripted(t, { [PUT]: [uploaded, uploaded, uploaded] });
  const sink = await sinkFor(t, server);
  const own = Blob;
  t.after(() => {
    globalThis.Blob = own;
  });
  for (const Class of [own, dom.Blob, FetchBlob]) {
    globalThis.Blob = Class;
    await sink.sync(aRequest({ image: new Class([PNG]) }));
  }
  assert.equal(sentTo(server, PUT).length, 3);
  for (const { body } of sentTo(server, PUT)) assert.deepEqual(body, Buffer.from(PNG));
});

/** What arrives of an upload in pieces. */
async function inPieces(t, { image, fetch }) {
  const pieces = [];
  const server = await scripted(t, ({ method, target, body, headers }) => {
    if (target.startsWith("/rest/")) return { status: 201, body: [JSON.parse(body)] };
    pieces.push(body);
    const offset = { "upload-offset": String(Number(headers["upload-offset"] ?? 0) + body.length) };
    const location = `http://${headers.host}/storage/v1/upload/resumable/x`;
    return method === "POST" ? { status: 201, headers: { location, ...offset } } : { status: 204, headers: offset };
  });
  const sink = await sinkFor(t, server, { fetch, resumableFrom: 1, chunkSize: 1000 });
  await sink.sync(aRequest({ image }));
  assert.ok(pieces.length > 1);
  return Buffer.concat(pieces);
}

/** The image that a form brought to the Worker. */
async function inForm(t, { image, fetch }) {
  const server = await scripted(t, () => ({ body: { storagePath: "x/y.png" } }));
  const relay = await createRelay({ url: server.url, accessToken: () => "a.b.c", maxRetries: 0, fetch });
  await relay.sync(aRequest({ image }));
  relay.free();
  const [{ body, headers }] = server.requests;
  const form = await new Response(body, { headers: { "content-type": headers["content-type"] } }).formData();
  assert.equal(JSON.parse(form.get("request")).slug, "lighthouse");
  assert.deepEqual([form.get("image").name, form.get("image").type], ["image", "application/octet-stream"]);
  return Buffer.from(await form.get("image").arrayBuffer());
}

test("a form's text arrives as it was, whatever is in it", async (t) => {
  const prompt = 'ä "quoted"\r\n--imagen-1\r\n\r\n夜🦊';
  const server = await scripted(t, () => ({ body: { storagePath: "x/y.png" } }));
  const relay = await createRelay({ url: server.url, accessToken: () => "a.b.c", maxRetries: 0 });
  t.after(() => relay.free());
  for (const image of [PNG, new Blob([PNG])]) await relay.sync(aRequest({ image, prompt }));
  for (const { body, headers } of server.requests) {
    const form = await new Response(body, { headers: { "content-type": headers["content-type"] } }).formData();
    assert.equal(JSON.parse(form.get("request")).prompt, prompt);
  }
});

for (const [name, fields] of Object.entries({
  "gives less than its size": { arrayBuffer: async () => new ArrayBuffer(3) },
  "gives more than its size": { arrayBuffer: async () => new ArrayBuffer(PNG.length + 1) },
  "gives no buffer": { arrayBuffer: async () => "png" },
  "has a size that is no number of bytes": { size: 1.5 },
})) {
  test(`a Blob that ${name} is an invalid image`, async (t) => {
    const server = await scripted(t);
    const sink = await sinkFor(t, server);
    const image = { ...lookAlike(PNG), ...fields, slice: () => ({ ...lookAlike(PNG), ...fields }) };
    await rejection(() => sink.sync(aRequest({ image })), { code: "invalid_image", field: "image", retryable: false });
    assert.equal(server.requests.length, 0);
  });
}

// ---- files -----------------------------------------------------------------------------------------------

async function aFile(t, bytes) {
  const folder = await mkdtemp(join(tmpdir(), "imagen-file-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "picked.png");
  await writeFile(file, bytes);
  return file;
}

for (const [name, change] of Object.entries({
  "replaced by another image": (file) => writeFile(file, webp),
  "made longer": (file) => appendFile(file, "more"),
  "made shorter": (file) => writeFile(file, PNG.subarray(0, 100)),
  removed: (file) => rm(file),
})) {
  for (const [by, fetch] of Object.entries(FETCHES)) {
    test(`a file that is ${name} while a retry waits is an invalid image, and final: by ${by}`, async (t) => {
      const file = await aFile(t, PNG);
      const server = await scripted(t, {
        [PUT]: [
          async () => {
            await change(file);
            await utimes(file, 1, 1).catch(() => {}); // also where a file's time is known by the second
            return { status: 503 };
          },
          uploaded,
        ],
      });
      const sink = await sinkFor(t, server, { fetch });
      const call = () => openAsBlob(file).then((image) => sink.sync(aRequest({ image })));
      const expected = { code: "invalid_image", field: "image", retryable: false };
      await rejection(call, { ...expected, storagePath: "2026-05-11/lighthouse-42.png" });
      assert.equal(sentTo(server, PUT).length, 1);
      assert.equal(sentTo(server, POST).length, 0);
    });
  }
}

test("a Blob is read once in a call where the host itself sees a file that changes", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const { slice } = Blob.prototype;
  t.after(() => Object.assign(Blob.prototype, { slice }));
  const read = [];
  Blob.prototype.slice = function (...range) {
    read.push(range);
    return slice.apply(this, range);
  };
  await sink.sync(aRequest({ image: new Blob([PNG]) }));
  assert.equal(read.length, 1, "each is a question to another process in a browser");
});

test("a look-alike that becomes another image while a retry waits is an invalid image", async (t) => {
  let bytes = PNG;
  const image = {
    size: PNG.length,
    slice: (from, to) => lookAlike(bytes.slice(from, to)),
    arrayBuffer: async () => bytes.slice().buffer,
  };
  const other = PNG.slice();
  other[PNG.length - 20] ^= 1;
  const server = await scripted(t, {
    [PUT]: [
      () => {
        bytes = other;
        return { status: 503 };
      },
      uploaded,
    ],
  });
  const sink = await sinkFor(t, server);
  await rejection(() => sink.sync(aRequest({ image })), { code: "invalid_image", retryable: false });
  assert.equal(sentTo(server, PUT).length, 1);
});

// ---- promises ----------------------------------------------------------------------------------------------

/** Only what a promise has to have. */
const thenable = (promise) => ({
  // biome-ignore lint/suspicious/noThenProperty: it is what this is about
  then: (...handlers) => void promise.then(...handlers),
});
const PROMISES = { "bluebird's": (promise) => Bluebird.resolve(promise), "that have only a then": thenable };

for (const [name, wrap] of Object.entries(PROMISES)) {
  test(`promises ${name} are awaited wherever one is handed over`, async (t) => {
    const server = await scripted(t);
    const told = [];
    const sink = await sinkFor(t, server, {
      requireImage: true,
      accessToken: () => wrap(Promise.resolve("a.b.c")),
      fetch: (url, init) =>
        wrap(
          fetch(url, init).then((response) => ({
            status: response.status,
            headers: response.headers,
            text: () => wrap(response.text()),
          })),
        ),
    });
    const blob = (bytes) => ({
      size: bytes.length,
      slice: (from, to) => blob(bytes.slice(from, to)),
      arrayBuffer: () => wrap(Promise.resolve(bytes.slice().buffer)),
    });
    const onProgress = (event) => {
      told.push(event);
      return wrap(Promise.reject(new Error("a callback's own affair")));
    };
    const { storagePath } = await sink.sync(aRequest({ image: blob(webp) }), { onProgress });
    assert.equal(storagePath, `${OWNER}/2026-05-11/lighthouse-42.webp`);
    assert.equal(sentTo(server, PUT)[0].headers["content-type"], "image/webp");
    assert.equal(sentTo(server, PUT)[0].headers.authorization, "Bearer a.b.c");
    assert.equal(JSON.parse(sentTo(server, POST)[0].body).width, 320);
    assert.ok(told.length > 0);
  });
}

test("a fake clock that holds queueMicrotask holds no call", async (t) => {
  const signed = JSON.stringify({ signedURL: "/object/sign/imagen-generated/a.png?token=t" });
  const fetch = async () => ({ status: 200, headers: new Headers(), text: async () => signed });
  const sink = await createSink({ url: "https://project.example", apiKey: "a-key", fetch });
  t.after(() => sink.free());
  t.mock.method(globalThis, "queueMicrotask", () => {});
  assert.match(await sink.signedUrl("a.png", 60), /token=t$/);
});

test("with zone.js, whose Promise takes the host's place, a Blob's head is read", async (t) => {
  const server = await scripted(t);
  const script = `
    await import("zone.js/node");
    const { createSink } = await import("imagen-cloud");
    const { readFile } = await import("node:fs/promises");
    if ((async () => {})() instanceof Promise) throw new Error("zone.js is not in place");
    const sink = await createSink({ url: "${server.url}", apiKey: "k", ownerUserId: "${OWNER}", requireImage: true });
    const image = new Blob([await readFile("tests/data/lighthouse.webp")]);
    const request = { date: "2026-05-11", slug: "lighthouse", seed: 42, prompt: "p", backend: "b", image };
    console.log((await sink.sync(request)).storagePath);`;
  const cwd = new URL("../../", import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { cwd });
  assert.equal(stdout.trim(), "2026-05-11/lighthouse-42.webp");
});

// ---- buffers -----------------------------------------------------------------------------------------------

const LARGE = 7 * 1024 * 1024;
const filled = (buffer) => {
  new Uint8Array(buffer).set(PNG);
  return buffer;
};
const realm = createContext({});
const BUFFERS = {
  "an ArrayBuffer": (size) => filled(new ArrayBuffer(size)),
  "a SharedArrayBuffer": (size) => filled(new SharedArrayBuffer(size)),
  "a growable SharedArrayBuffer": (size) => filled(new SharedArrayBuffer(size, { maxByteLength: size + 9 })),
  "a resizable ArrayBuffer": (size) => filled(new ArrayBuffer(size, { maxByteLength: size + 9 })),
  "another realm's ArrayBuffer": (size) => filled(runInContext(`new ArrayBuffer(${size})`, realm)),
  "another realm's SharedArrayBuffer": (size) => filled(runInContext(`new SharedArrayBuffer(${size})`, realm)),
  "a view of another realm's": (size) => {
    const view = runInContext(`new Uint8Array(${size})`, realm);
    view.set(PNG);
    return view;
  },
};

/** The free functions as they are before the WebAssembly is loaded. */
const unloaded = () =>
  load("imagen-cloud", build, () => readFile(new URL("../../pkg/wasm/imagen_cloud_bg.wasm", import.meta.url)));

for (const [name, make] of Object.entries(BUFFERS)) {
  for (const size of [PNG.length, LARGE]) {
    test(`${name} of ${size} bytes is sent as it was when the call was made`, async (t) => {
      const server = await scripted(t);
      const options = { url: server.url, apiKey: "test-key", ownerUserId: OWNER, resumableFrom: 2 * LARGE };
      const sink = await sinkFor(t, server, options);
      const expected = Buffer.alloc(size);
      expected.set(PNG);
      for (const call of [
        (request) => sink.sync(request),
        (request) => sync(options, request),
        (request) => unloaded().sync(options, request),
      ]) {
        const image = make(size);
        const called = call(aRequest({ image }));
        new Uint8Array(image.buffer ?? image).fill(0);
        await called;
        assert.ok(sentTo(server, PUT).at(-1).body.equals(expected));
      }
    });
  }
}

test("a buffer is copied once, also by the free functions before the WebAssembly is there", async (t) => {
  const project = createFakeProject();
  const options = { ...project.serverOptions, resumableFrom: 2 * LARGE };
  const { slice } = Uint8Array.prototype;
  t.after(() => Object.assign(Uint8Array.prototype, { slice }));
  for (const call of [sync, unloaded().sync]) {
    let copies = 0;
    Uint8Array.prototype.slice = function (...range) {
      if (this.length === LARGE) copies += 1;
      return slice.apply(this, range);
    };
    const fetch = (...args) => {
      Uint8Array.prototype.slice = slice;
      return project.fetch(...args);
    };
    await call({ ...options, fetch }, aRequest({ image: BUFFERS["a SharedArrayBuffer"](LARGE) }));
    assert.equal(copies, 1);
  }
});

// ---- functions without a handle -----------------------------------------------------------------------------

const signed = { body: { signedURL: "/object/sign/imagen-generated/a.png?token=t" } };

test("the_free_functions_take_their_options_as_they_were_at_the_call_while_they_wait", async (t) => {
  const server = await scripted(t, { [SIGN]: [signed] });
  for (const call of [
    (on, options) => on.sync(options, aRequest()),
    (on, options) => on.signedUrl(options, "a.png", 60),
  ]) {
    const options = { url: server.url, apiKey: "test-key", ownerUserId: OWNER };
    const called = call(unloaded(), options);
    Object.assign(options, { url: "https://elsewhere.example", apiKey: "another" });
    await called;
  }
  assert.equal(server.requests.length, 3);
});

for (const [what, now] of [
  ["Infinity", () => Number.POSITIVE_INFINITY],
  ["a time before all time", () => Number.NEGATIVE_INFINITY],
  ["NaN", () => Number.NaN],
  ["a bigint", () => 1_778_486_400_000n],
  ["nothing", () => undefined],
]) {
  test(`a fake clock that gives ${what} holds no call, and leaves the sink whole`, async (t) => {
    const date = "Mon, 11 May 2026 08:00:00 GMT";
    const busy = { status: 503, headers: { "retry-after": date, date }, body: "busy" };
    const server = await scripted(t, { [PUT]: [busy, uploaded] });
    const seen = [];
    const sink = await sinkFor(t, server, { onEvent: (event) => seen.push(event) });
    t.mock.method(Date, "now", now);
    const events = [];
    const { storagePath } = await sink.sync(aRequest({ date: undefined }), {
      onProgress: (event) => events.push(event),
    });
    t.mock.restoreAll();
    assert.match(storagePath, /^\d{4}-\d\d-\d\d\//);
    assert.deepEqual([seen.length, events.at(-1).stage], [4, "done"]);
    assert.ok(
      seen.every(({ ms = 0 }) => Number.isInteger(ms)),
      "three requests and a wait, each with its time",
    );
    await sink.sync(aRequest());
  });
}
