// Bad input is a rejected promise with an ImagenCloudError that names the field, before anything is sent.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createSink, signedUrl, sync } from "imagen-cloud";
import { startScripted } from "../support/scripted.mjs";
import { aRequest, OWNER, PNG, rejection } from "./helpers.mjs";

let server;
before(async () => {
  server = await startScripted();
});
after(() => server.close());

const good = () => ({ url: server.url, apiKey: "test-key", ownerUserId: OWNER, maxRetries: 0 });
const cycle = () => {
  const value = { list: [] };
  value.list.push(value);
  return value;
};
const detached = () => {
  const buffer = PNG.slice().buffer;
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
};
const detachedView = () => {
  const view = PNG.slice();
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
};

const badOptions = {
  "an unknown option": { bukket: "x", field: "bukket", message: /bucket/ },
  "an unknown option like no other": { zzzzzzzzzzzzzz: 1, field: "zzzzzzzzzzzzzz" },
  "another library's name of the url": { supabaseUrl: "x", field: "supabaseUrl", message: /did you mean url\?/ },
  "another library's name of the key": { key: "x", field: "key", message: /did you mean apiKey\?/ },
  "yet another name of the key": { supabaseKey: "x", field: "supabaseKey", message: /did you mean apiKey\?/ },
  "a key with a line break behind it": { apiKey: "test-key\n", message: /line break/ },
  "a key with the header's scheme": { apiKey: "Bearer test-key", message: /Leave it out/ },
  "a missing url": { url: undefined },
  "an empty url": { url: "" },
  "a url that is a number": { url: 42 },
  "a url without a scheme": { url: "abcd.supabase.co" },
  "a url of another scheme": { url: "ftp://abcd.supabase.co" },
  "a url without a host": { url: "https://" },
  "a url with a query": { url: "https://abcd.supabase.co?x=1" },
  "a url with a user and a password": { url: "https://me:secret@abcd.supabase.co" },
  "a missing key": { apiKey: undefined },
  "an empty key": { apiKey: "" },
  "a key that is no text": { apiKey: {} },
  "a key that no header can hold": { apiKey: "test\nkey" },
  "a key outside of Latin-1": { apiKey: "schlüssel-🗝" },
  "an owner that is no text": { ownerUserId: 7 },
  "a NUL in the owner": { ownerUserId: "a\0b" },
  "an access token that is no function": { accessToken: "eyJ" },
  "a fetch that is no function": { fetch: "fetch" },
  "a bucket with a slash": { bucket: "a/b" },
  "a bucket that is a dot segment": { bucket: ".." },
  "a schema with a slash": { schema: "a/b" },
  "a schema that no header can hold": { schema: "a\r\nb" },
  "a table with a slash": { table: "a/b" },
  "a prefix that leaves the bucket": { pathPrefix: "../other" },
  "a prefix with a leading slash": { pathPrefix: "/user" },
  "a prefix with an empty segment": { pathPrefix: "a//b" },
  "a prefix that is no text": { pathPrefix: 1 },
  "a lone surrogate in the prefix": { pathPrefix: "a\ud800" },
  "retries that are NaN": { maxRetries: Number.NaN },
  "retries that are no integer": { maxRetries: 1.5 },
  "retries without end": { maxRetries: Number.POSITIVE_INFINITY },
  "retries that are text": { maxRetries: "2" },
  "a first wait below 0": { initialBackoffMs: -1 },
  "a first wait that is NaN": { initialBackoffMs: Number.NaN },
  "a longest wait that is NaN": { maxBackoffMs: Number.NaN },
  "a timeout that is NaN": { timeoutMs: Number.NaN },
  "a timeout below 0": { timeoutMs: -1 },
  "a timeout past every timer": { timeoutMs: 1e300 },
  "a cache-control that no header can hold": { cacheControl: "max-age=1\r\nx: y" },
  "a small picture of no pixels": { thumbnail: { side: 0 }, field: "thumbnail.side" },
  "a small picture that is large": { thumbnail: { side: 2501 }, field: "thumbnail.side" },
  "a small picture of a type that no canvas writes": { thumbnail: { type: "image/gif" }, field: "thumbnail.type" },
  "a small picture that is no object": { thumbnail: true, field: "thumbnail" },
  "a small picture with another name for its side": { thumbnail: { size: 9 }, field: "thumbnail.size" },
  "a switch that is no boolean": { requireImage: "yes" },
};

for (const [name, { field, message = /./, ...options }] of Object.entries(badOptions)) {
  test(`${name} is an invalid option`, async () => {
    const expected = { code: "invalid_config", stage: "config", field: field ?? Object.keys(options)[0], attempts: 0 };
    const first = await rejection(() => createSink({ ...good(), ...options }), expected);
    assert.match(first.message, message);
    assert.ok(first.message.includes(expected.field), first.message);
    assert.equal(first.retryable, false);
    await rejection(() => sync({ ...good(), ...options }, aRequest()), expected);
    await rejection(() => signedUrl({ ...good(), ...options }, "a/b.png"), expected);
    assert.equal(server.requests.length, 0);
  });
}

for (const options of [undefined, null, 42, "https://abcd.supabase.co", []]) {
  test(`options that are ${JSON.stringify(options) ?? "undefined"} are an invalid configuration`, async () => {
    await rejection(() => createSink(options), { code: "invalid_config", stage: "config" });
    await rejection(() => sync(options, aRequest()), { code: "invalid_config", stage: "config" });
  });
}

const badFields = {
  "an unknown field": { promt: "x", field: "promt", message: /prompt/ },
  "a date that is no text": { date: 20260511 },
  "an empty date": { date: "" },
  "a date that leaves the bucket": { date: "../2026" },
  "a date that starts with a slash": { date: "/2026-05-11" },
  "a slug that is a number": { slug: 42 },
  "a slug that is an object": { slug: {} },
  "a slug that is a String object's lookalike": { slug: ["lighthouse"] },
  "an empty slug": { slug: "" },
  "a slug that leaves the bucket": { slug: "../../other-bucket/x" },
  "a slug that leaves its folder": { slug: "a/../b" },
  "a slug with a dot segment": { slug: "./b" },
  "a slug with an empty segment": { slug: "a//b" },
  "a slug with a leading slash": { slug: "/etc/x" },
  "a slug with a backslash": { slug: "..\\x" },
  "a slug with a control character": { slug: "a\u0007b" },
  "a slug with a DEL": { slug: "a\u007fb" },
  "a slug with a NUL": { slug: "a\0b" },
  "a slug with a lone surrogate": { slug: "a\udfff" },
  "a slug of over 255 bytes": { slug: "x".repeat(256) },
  "a slug of over 255 bytes in fewer characters": { slug: "ä".repeat(128) },
  "a slug with a letter of another alphabet": { slug: "Café 夜", message: /'é', which Storage does not take/ },
  "a slug with an emoji": { slug: "a🦊b", message: /'🦊'/ },
  "a slug with a percent sign": { slug: "100%", message: /'%'/ },
  "a slug with a hash": { slug: "no #1", message: /'#'/ },
  "a date with a letter of another alphabet": { date: "5月" },
  "an ext with a percent sign": { ext: "p%6eg" },
  "a path of over 1018 bytes": { slug: Array(5).fill("a".repeat(240)).join("/"), message: /1018 is the limit/ },
  "an ext with a slash": { ext: "png/../../x" },
  "an ext that is no text": { ext: 1 },
  "a missing seed": { seed: undefined },
  "a seed that is text": { seed: "42" },
  "a seed that is no integer": { seed: 1.5 },
  "a seed that is NaN": { seed: Number.NaN },
  "a seed that is infinite": { seed: Number.POSITIVE_INFINITY },
  "a number past 2^53 as a seed": { seed: 2 ** 53, message: /bigint/i },
  "a number below -2^53 as a seed": { seed: -(2 ** 53), message: /bigint/i },
  "ComfyUI's largest seed": { seed: 2n ** 64n - 1n, message: /ComfyUI.*BigInt\.asIntN.*sidecar/ },
  "another name of the image": { blob: new Blob(["x"]), field: "blob", message: /did you mean image\?/ },
  "another name of the type": { contentType: "image/png", field: "contentType", message: /did you mean mimeType\?/ },
  "a bigint above int64 as a seed": { seed: 2n ** 63n },
  "a bigint below int64 as a seed": { seed: -(2n ** 63n) - 1n },
  "a missing prompt": { prompt: undefined },
  "a prompt that is no text": { prompt: 5 },
  "a prompt with a NUL": { prompt: "a\0b" },
  "a prompt with a lone surrogate": { prompt: "a\ud83d b" },
  "a missing backend": { backend: undefined },
  "a backend with a NUL": { backend: "\0" },
  "a model with a lone surrogate": { model: "\udc00" },
  "a model that is no text": { model: 1 },
  "steps that are NaN": { steps: Number.NaN },
  "steps that are no integer": { steps: 1.5 },
  "steps below 0": { steps: -1 },
  "steps past int4": { steps: 2 ** 31 },
  "steps that are text": { steps: "4" },
  "a width that is infinite": { width: Number.POSITIVE_INFINITY },
  "a width past int4": { width: 1e12 },
  "a height below 0": { height: -5 },
  "a height that is no integer": { height: 0.5 },
  "a latency that is NaN": { latencyMs: Number.NaN },
  "a latency past int4": { latencyMs: 2 ** 32 },
  "a cost that is NaN": { costUsdEstimate: Number.NaN },
  "a cost that is infinite": { costUsdEstimate: Number.NEGATIVE_INFINITY },
  "a cost that is text": { costUsdEstimate: "0.1" },
  "columns that are a list": { columns: [] },
  "a column of ours": {
    columns: { fine: 1, owner_user_id: "x" },
    message: /^columns.owner_user_id: is a column of imagen.images itself/,
  },
  "a column whose name would have to be quoted": { columns: { "a b": 1 }, message: /^columns.a b: must be a name/ },
  "a column that JSON does not know": { columns: { a: 1n } },
  "a sidecar that is a list": { sidecar: [] },
  "a sidecar that is text": { sidecar: "{}" },
  "a sidecar with a cycle": { sidecar: cycle() },
  "a sidecar with a bigint": { sidecar: { a: { b: 1n } } },
  "a sidecar with a function": { sidecar: { a: [() => 1] } },
  "a sidecar with a symbol": { sidecar: { a: Symbol("a") } },
  "a sidecar with a Map": { sidecar: { a: new Map([["b", 1]]) } },
  "a sidecar that is a Map": { sidecar: new Map([["b", 1]]) },
  "a sidecar with a NaN": { sidecar: { a: Number.NaN } },
  "a sidecar with a NUL": { sidecar: { a: "\0" } },
  "a sidecar with a lone surrogate": { sidecar: { a: "\ud800" } },
  "a sidecar with a lone surrogate in a key": { sidecar: { "\ud800": 1 } },
  "an image id that is no UUID": { imageId: "42" },
  "an image id that is no text": { imageId: 42 },
};

for (const [name, { field, message = /./, ...fields }] of Object.entries(badFields)) {
  test(`${name} is an invalid request`, async () => {
    const names = field ?? Object.keys(fields)[0];
    const error = await rejection(() => sync(good(), aRequest(fields)), {
      code: "invalid_request",
      stage: "request",
      retryable: false,
      attempts: 0,
    });
    assert.equal(error.field?.split(/[.[]/)[0], names, `field ${error.field} of ${error.message}`);
    assert.match(error.message, message);
    assert.equal(server.requests.length, 0);
  });
}

const badImages = {
  "an image of 0 bytes": { image: new Uint8Array() },
  "a Blob of 0 bytes": { image: new Blob([]) },
  "a detached buffer": { image: detached() },
  "a view of a detached buffer": { image: detachedView() },
  "bytes of another type than declared": { image: PNG, mimeType: "image/jpeg" },
  "a Blob's bytes of another type than declared": { image: new Blob([PNG]), mimeType: "image/webp" },
  "text where an image is required": { image: new TextEncoder().encode("no image"), options: { requireImage: true } },
};

for (const [name, { options, ...fields }] of Object.entries(badImages)) {
  test(`${name} is an invalid image`, async () => {
    const error = await rejection(() => sync({ ...good(), ...options }, aRequest(fields)), {
      code: "invalid_image",
      stage: "request",
      retryable: false,
    });
    assert.ok(["image", "mimeType"].includes(error.field), `field ${error.field}`);
    assert.equal(server.requests.length, 0);
  });
}

for (const image of [undefined, null, "data:image/png;base64,", 42, {}, [137, 80, 78, 71]]) {
  test(`an image that is ${JSON.stringify(image) ?? "undefined"} is refused`, async () => {
    const error = await rejection(() => sync(good(), aRequest({ image })), { stage: "request", field: "image" });
    assert.match(error.code, /^invalid_(request|image)$/);
    assert.equal(server.requests.length, 0);
  });
}

for (const request of [undefined, null, 42, "request", []]) {
  test(`a request that is ${JSON.stringify(request) ?? "undefined"} is refused`, async () => {
    await rejection(() => sync(good(), request), { code: "invalid_request", stage: "request" });
  });
}

const badCallOptions = {
  "an unknown call option": { onProgres: () => {}, message: /onProgress/ },
  "a signal that is none": { signal: {} },
  "a deadline that is NaN": { deadlineMs: Number.NaN },
  "a deadline below 0": { deadlineMs: -1 },
  "a deadline that is text": { deadlineMs: "100" },
  "an onRetry that is no function": { onRetry: 1 },
  "an onProgress that is no function": { onProgress: {} },
};

for (const [name, { message = /./, ...options }] of Object.entries(badCallOptions)) {
  test(`${name} is an invalid request`, async () => {
    const error = await rejection(() => sync(good(), aRequest(), options), { field: Object.keys(options)[0] });
    assert.match(error.code, /^invalid_(request|config)$/);
    assert.match(error.message, message);
    assert.equal(server.requests.length, 0);
  });
}

test("a signal in the place of the options is refused: it would stop nothing", async () => {
  const { signal } = new AbortController();
  for (const call of [() => sync(good(), aRequest(), signal), () => signedUrl(good(), "a/b.png", 60, signal)]) {
    const error = await rejection(call, { code: "invalid_config" });
    assert.match(error.message, /must be an object, \{ signal \}/);
  }
  assert.equal(server.requests.length, 0);
});

const badPaths = [undefined, null, 42, "", "../x.png", "a/../b.png", "/a.png", "a//b.png", "a\\b.png", "a\0.png"];
for (const path of badPaths) {
  test(`a storage path that is ${JSON.stringify(path) ?? "undefined"} is refused before it is signed`, async () => {
    await rejection(() => signedUrl(good(), path, 60), { code: "invalid_request", field: "storagePath", attempts: 0 });
    assert.equal(server.requests.length, 0);
  });
}

for (const ttl of [Number.NaN, "60", 1.5, Number.POSITIVE_INFINITY, 2 ** 60]) {
  test(`a ttl that is ${String(ttl)} (${typeof ttl}) is refused before it is signed`, async () => {
    await rejection(() => signedUrl(good(), "a/b.png", ttl), { code: "invalid_request", field: "ttlSeconds" });
    assert.equal(server.requests.length, 0);
  });
}

test("a name is told back at 64 characters at most", async () => {
  for (const length of [40, 2 ** 18, 2 ** 19]) {
    const name = "promt".repeat(length / 5 + 1).slice(0, length);
    for (const call of [() => createSink({ ...good(), [name]: 1 }), () => sync(good(), aRequest({ [name]: 1 }))]) {
      const error = await rejection(call, { field: length > 64 ? `${name.slice(0, 63)}…` : name });
      assert.ok(error.message.length < 200, error.message);
    }
  }
  const deep = { ["k".repeat(2 ** 18)]: { ["l".repeat(2 ** 18)]: Number.NaN } };
  const { field, message } = await rejection(() => sync(good(), aRequest({ sidecar: deep })));
  assert.equal(field, `sidecar.${"k".repeat(55)}…`);
  assert.ok(message.length < 200, message);
  const mimeType = `image/${"x".repeat(2 ** 18)}`;
  assert.ok((await rejection(() => sync(good(), aRequest({ mimeType })))).message.length < 200);
  assert.equal(server.requests.length, 0);
});

test("a getter that throws is a rejection, not an exception", async () => {
  const request = Object.defineProperty(aRequest(), "prompt", {
    enumerable: true,
    get() {
      throw new Error("from the getter");
    },
  });
  await rejection(() => sync(good(), request), { code: "invalid_request" });
  const options = Object.defineProperty(good(), "bucket", {
    enumerable: true,
    get() {
      throw new Error("from the getter");
    },
  });
  await rejection(() => createSink(options), { code: "invalid_config" });
  assert.equal(server.requests.length, 0);
});

test("an owner that is no UUID is refused before anything is sent, unless the table is one's own", async () => {
  const options = { ...good(), ownerUserId: "somebody" };
  const error = await rejection(() => sync(options, aRequest()), { code: "invalid_request", field: "ownerUserId" });
  assert.match(error.message, /auth\.users\.id/);
  assert.equal(server.requests.length, 0);
  await rejection(() => sync({ ...options, table: "pictures" }, aRequest()), { stage: "upload" });
  server.requests.length = 0;
});

test("a prefix that Storage does not take is refused before anything is sent", async () => {
  const options = { ...good(), pathPrefix: "bücher" };
  await rejection(() => sync(options, aRequest()), { code: "invalid_request", field: "pathPrefix" });
  assert.equal(server.requests.length, 0);
});

test("what one of many asks for in vain costs the others nothing", async () => {
  const sink = await createSink(good());
  const [outcome] = await sink.syncMany([aRequest({ slug: "夜" })]);
  assert.deepEqual([outcome.error.code, outcome.error.field], ["invalid_request", "slug"]);
  sink.free();
  assert.equal(server.requests.length, 0);
});

test("without an owner nothing is sent", async () => {
  const { ownerUserId: _, ...options } = good();
  await rejection(() => sync(options, aRequest()), { field: "ownerUserId" });
  assert.equal(server.requests.length, 0);
});

test("a list that can't be read is a rejection, and harms no later call", async () => {
  const sink = await createSink(good());
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  const throwing = Object.defineProperty([], 0, {
    get() {
      throw new Error("from the list");
    },
  });
  const endless = new Array(2 ** 32 - 1);
  for (const list of [proxy, throwing, endless]) {
    await rejection(() => sink.syncMany(list), { code: "invalid_request", field: "requests" });
    await rejection(() => sink.signedUrls(list), { code: "invalid_request", field: "storagePaths" });
  }
  assert.deepEqual(await sink.syncMany([]), []);
  sink.free();
  assert.equal(server.requests.length, 0);
});

test("options and a sidecar with a list that says it is endless are refused at once", async () => {
  const endless = new Array(2 ** 32 - 1);
  /** Lists of lists: two to the power of a hundred of them, and no more than a hundred. */
  let shared = [];
  for (let depth = 0; depth < 100; depth++) shared = [shared, shared];
  for (const list of [endless, shared]) {
    await rejection(() => createSink({ ...good(), bucket: list }), { code: "invalid_config", field: "bucket" });
    const { sync } = await import(`../../pkg/node.js?${crypto.randomUUID()}`); // nothing is loaded yet
    const error = await rejection(() => sync(good(), aRequest({ sidecar: { list } })), { code: "invalid_request" });
    assert.match(error.field, /^sidecar/);
  }
  assert.equal(server.requests.length, 0);
});

test("a concurrency past all bounds is one that there is memory for", async () => {
  const sink = await createSink(good());
  const [outcome] = await sink.syncMany([{}], { concurrency: 2 ** 31 - 1 });
  assert.equal(outcome.error.code, "invalid_request");
  sink.free();
});
