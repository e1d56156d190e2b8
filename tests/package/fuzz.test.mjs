// Whatever JavaScript comes in, from callers, their callbacks and their `fetch`: a call returns a promise that settles, with
// what it promises or with an ImagenCloudError; the next good call works; and memory does not grow.
// FUZZ_ROUNDS=10000 for a long run; FUZZ_SEED for the one that failed.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { before, test } from "node:test";
import { inspect } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { createSink, createSinkFromEnv, ImagenCloudError, isImagenCloudError, signedUrl, sync } from "imagen-cloud";
import initWasm from "../../pkg/wasm/imagen_cloud.js";
import { until } from "../support/until.mjs";
import { aRequest, OWNER, PATH, PNG } from "./helpers.mjs";

const rounds = Number(process.env.FUZZ_ROUNDS ?? 250);
const seed = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31));
const patienceMs = 20_000;
const UUID = /^[0-9a-f-]{36}$/;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

/** A server where everything goes well. */
const goodFetch = async (url, { body }) => {
  if (url.includes("/object/sign/")) {
    const { paths } = JSON.parse(body);
    const signedURL = "/object/sign/b/x?token=t";
    return Response.json(paths ? paths.map(() => ({ error: null, signedURL })) : { signedURL });
  }
  if (url.includes("/storage/")) return Response.json({ Key: "b/x" });
  const rows = JSON.parse(body);
  return Response.json([rows].flat(), { status: 201 });
};
const goodOptions = (fields) => ({
  url: "https://abcd.supabase.co",
  apiKey: "test-key",
  ownerUserId: OWNER,
  maxRetries: 0,
  timeoutMs: 50,
  fetch: goodFetch,
  ...fields,
});
/** Everything ends soon, also what would wait for ever. */
const goodCall = (fields) => ({ deadlineMs: 200, ...fields });

// ---- what nobody expects ---------------------------------------------------------------------------------

const thrower = () => {
  throw thrower;
};
/** What is thrown where an error is expected. */
const hostile = new Proxy(() => {}, Object.fromEntries(Reflect.ownKeys(Reflect).map((trap) => [trap, thrower])));
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};
const cycle = () => {
  const value = { list: [] };
  value.list.push(value);
  return value;
};
const deep = () => {
  let value = {};
  for (let depth = 0; depth < 20_000; depth++) value = { value };
  return value;
};
const detached = (make) => {
  const given = make(new ArrayBuffer(64));
  const buffer = given.buffer ?? given;
  structuredClone(buffer, { transfer: [buffer] });
  return given;
};
const shrunk = () => {
  const buffer = new ArrayBuffer(64, { maxByteLength: 128 });
  const view = new Uint8Array(buffer, 32, 16);
  buffer.resize(8);
  return view;
};
const blobLike = (fields) => ({
  size: 4,
  slice: () => new Blob(["abcd"]),
  arrayBuffer: async () => PNG.buffer,
  ...fields,
});
class Subclass extends Uint8Array {
  get length() {
    throw new Error("length");
  }
  slice() {
    return hostile;
  }
}

/** Named, so that a failure can be read. */
const oddities = {
  hostile: () => hostile,
  revoked,
  cycle,
  deep,
  detachedBuffer: () => detached((buffer) => buffer),
  detachedView: () => detached((buffer) => new Uint8Array(buffer)),
  detachedDataView: () => detached((buffer) => new DataView(buffer)),
  shrunk,
  shared: () => new SharedArrayBuffer(64),
  sharedView: () => new Uint8Array(new SharedArrayBuffer(64)),
  growable: () => new SharedArrayBuffer(64, { maxByteLength: 128 }),
  subclass: () => new Subclass(8),
  floats: () => new Float64Array([Number.NaN, 1]),
  otherRealm: () => runInNewContext("new Uint8Array([137, 80, 78, 71])"),
  fakeArrayBuffer: () => Object.create(ArrayBuffer.prototype),
  fakeBlob: () => Object.create(Blob.prototype),
  blobOfNothing: () => blobLike({ slice: () => undefined }),
  blobThatThrows: () => blobLike({ slice: thrower, arrayBuffer: thrower }),
  blobThatRejects: () => blobLike({ slice: () => ({ arrayBuffer: () => Promise.reject(hostile) }) }),
  blobOfHostiles: () => blobLike({ slice: () => ({ arrayBuffer: async () => hostile }) }),
  blobOfTooMuch: () => blobLike({ slice: () => ({ arrayBuffer: async () => new ArrayBuffer(20_000_000) }) }),
  blobWithoutEnd: () => blobLike({ size: Number.POSITIVE_INFINITY }),
  blobOfLess: () => blobLike({ size: -1 }),
  blobOfNaN: () => blobLike({ size: Number.NaN }),
  manyBytes: () => blobLike({ size: 2 ** 53 }),
  blob: () => new Blob([PNG]),
  aborted: () => AbortSignal.abort(hostile),
  soonAborted: () => AbortSignal.timeout(1),
  signalThatThrows: () => ({ aborted: false, addEventListener: thrower }),
  signalThatIsSilent: () => ({ aborted: false, addEventListener: () => {}, removeEventListener: thrower }),
  // biome-ignore lint/suspicious/noThenProperty: what it is for
  thenable: () => ({ then: thrower }),
  // biome-ignore lint/suspicious/noThenProperty: what it is for
  thenableForEver: () => ({ then: () => {} }),
  rejected: () => {
    const promise = Promise.reject(hostile);
    promise.catch(() => {});
    return promise;
  },
  throwing: () => thrower,
  throwingLater: () => async () => thrower(),
  givingHostile: () => () => hostile,
  toPrimitive: () => ({ [Symbol.toPrimitive]: thrower, toString: thrower, toJSON: thrower }),
  symbol: () => Symbol("symbol"),
  otherRealmObject: () => runInNewContext("({ a: [1, { b: null }] })"),
  date: () => new Date(Number.NaN),
  classes: () => class {},
  longText: () => "x".repeat(200_000),
  hugeList: () => new Array(2 ** 32 - 1),
  manyMembers: () => Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`key ${index}`, index])),
};

const named = (name, make) => ({ [fc.toStringMethod]: () => name, make });
const oddity = fc.constantFrom(...Object.entries(oddities).map(([name, make]) => named(name, make)));
/** UTF-16 as it comes, halves of pairs too. */
const halves = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd800, max: 0xdfff })), { maxLength: 12 })
  .map((units) => String.fromCharCode(...units));
const plain = fc
  .oneof(
    fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      withBoxedValues: true,
    }),
    fc.bigInt(),
    fc.double(),
    fc.maxSafeInteger(),
    fc.constantFrom(
      2 ** 31,
      2 ** 31 - 1,
      2 ** 53,
      2n ** 63n,
      -(2n ** 63n),
      -0,
      Number.MAX_VALUE,
      "..",
      "/",
      "a/../b",
      "\0",
      "",
    ),
    fc.string({ unit: "binary" }),
    halves,
  )
  .map((value) => ({ [fc.toStringMethod]: () => fc.stringify(value), make: () => value }));
const anyValue = fc.oneof(oddity, plain);

/** Where a value is put: as it is, or behind a getter that gives something else every time, or throws. */
const place = fc.record({
  value: anyValue,
  second: anyValue,
  how: fc.constantFrom("plain", "plain", "getter", "throws", "turns"),
});
const put = (target, name, { value, second, how }) => {
  if (how === "plain")
    return Object.defineProperty(target, name, {
      enumerable: true,
      configurable: true,
      writable: true,
      value: value.make(),
    });
  let reads = 0;
  const get = {
    getter: () => value.make(),
    throws: () => {
      throw value.make();
    },
    turns: () => (reads++ % 2 === 0 ? value : second).make(),
  }[how];
  return Object.defineProperty(target, name, { enumerable: true, configurable: true, get });
};
/** An object with some of its fields turned odd; or something else altogether. */
const spoilt = (names) =>
  fc.record({
    instead: fc.option(anyValue, { freq: 12 }),
    fields: fc.dictionary(fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...names) }, fc.string(), halves), place, {
      maxKeys: 3,
    }),
    proxied: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
  });
const spoil = (good, { instead, fields, proxied }) => {
  if (instead !== null) return instead.make();
  for (const [name, how] of Object.entries(fields)) put(good, name, how);
  return proxied ? new Proxy(good, {}) : good;
};

const requestNames = [
  "date",
  "slug",
  "seed",
  "image",
  "ext",
  "mimeType",
  "prompt",
  "backend",
  "model",
  "steps",
  "width",
  "height",
  "latencyMs",
  "costUsdEstimate",
  "sidecar",
  "columns",
  "imageId",
  "__proto__",
];
const optionNames = [
  "url",
  "apiKey",
  "ownerUserId",
  "accessToken",
  "bucket",
  "schema",
  "table",
  "pathPrefix",
  "cacheControl",
  "requireImage",
  "thumbnail",
  "onEvent",
  "resumableFrom",
  "chunkSize",
  "fetch",
  "dangerouslyAllowSecretKeyInBrowser",
  "maxRetries",
  "initialBackoffMs",
  "maxBackoffMs",
];
const callNames = ["signal", "onProgress", "onRetry", "download", "thumbnail", "concurrency"];

// ---- what must hold --------------------------------------------------------------------------------------

/** What a call comes to; fails when it throws, never settles, or is rejected with anything but our error. */
async function settled(call) {
  let promise;
  try {
    promise = call();
  } catch (thrown) {
    assert.fail(`threw ${inspect(thrown)}`);
  }
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve("late"), patienceMs);
  });
  const outcome = await Promise.race([
    promise.then(
      (value) => ({ value }),
      (error) => ({ error }),
    ),
    late,
  ]);
  clearTimeout(timer);
  assert.notEqual(outcome, "late", "never settled");
  if ("error" in outcome) checkError(outcome.error);
  return outcome;
}

function checkError(error) {
  if (!(error instanceof ImagenCloudError && isImagenCloudError(error))) assert.fail(`not ours: ${inspect(error)}`);
  assert.match(error.code, /^[a-z_]+$/);
  assert.match(error.stage, /^(config|request|upload|insert|sign)$/);
  assert.ok(error.code !== "load_failed", error.message);
  assert.equal(typeof error.message, "string");
  assert.equal(typeof error.retryable, "boolean");
  assert.ok(error.message.length < 2000, `${error.message.length} characters`);
}

function checkSynced({ storagePath, imageId }) {
  assert.equal(typeof storagePath, "string");
  assert.ok(!storagePath.split("/").some((segment) => ["", ".", ".."].includes(segment)), storagePath);
  assert.match(imageId, UUID);
}

const checkUrl = (url) => assert.ok(URL.canParse(url), url);

async function goodSync() {
  const { storagePath } = await sync(goodOptions({ timeoutMs: 30_000 }), aRequest());
  assert.equal(storagePath, PATH);
}

const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

let memory;
before(async () => {
  await goodSync();
  ({ memory } = await initWasm());
});

/** The bytes that live after a collection. */
function live() {
  collectGarbage();
  return { wasm: memory.buffer.byteLength, heap: process.memoryUsage().heapUsed };
}

/**
 * Runs a property; each failure says its seed, and the values as they were made. The same values come twice: what a rare large
 * one needs for a moment is there after the first time, so memory that grows the second time is kept by something. The host lets
 * go of some of it only later: that is waited for.
 */
async function holds(arbitraries, run) {
  const used = [];
  let round = 0;
  const once = async (...values) => {
    await run(...values);
    if (++round % 100 === 0) {
      await goodSync();
      await new Promise(setImmediate);
      assert.deepEqual(unhandled, [], "a rejection that nobody handles");
    }
  };
  for (let time = 0; time < 2; time++) {
    await fc.assert(fc.asyncProperty(...arbitraries, once), { numRuns: rounds, seed });
    await goodSync();
    used.push(live());
  }
  const [first, again] = used;
  if (process.env.FUZZ_ROUNDS) console.log(inspect(used));
  assert.ok(again.wasm <= first.wasm + 2 ** 18, `wasm memory grew with seed ${seed}: ${inspect(used)}`);
  await until(
    () => live().heap <= first.heap + 8 * 2 ** 20,
    `the heap to be no larger than before, with seed ${seed}: ${inspect(used)}`,
  );
}

test("any request is synced or refused", async () => {
  await holds([spoilt(requestNames), spoilt(callNames)], async (request, call) => {
    const outcome = await settled(() => sync(goodOptions(), spoil(aRequest(), request), spoil(goodCall(), call)));
    if (outcome.value) checkSynced(outcome.value);
  });
});

test("any options and any environment make a sink or are refused", async () => {
  await holds(
    [
      spoilt(optionNames),
      spoilt(["SUPABASE_URL", "SUPABASE_PUBLIC_URL", "SUPABASE_SERVICE_KEY", "IMAGEN_OWNER_USER_ID"]),
    ],
    async (options, env) => {
      const { value: sink } = await settled(() => createSink(spoil(goodOptions(), options)));
      if (sink) {
        const outcome = await settled(() => sink.sync(aRequest(), goodCall()));
        if (outcome.value) checkSynced(outcome.value);
        sink.free();
      }
      const good = { SUPABASE_URL: "https://abcd.supabase.co", SUPABASE_SERVICE_KEY: "k", IMAGEN_OWNER_USER_ID: OWNER };
      const outcome = await settled(() => createSinkFromEnv(spoil(good, env)));
      outcome.value?.free();
    },
  );
});

test("many requests each have an outcome, and any paths are signed or refused", async () => {
  const sink = await createSink(goodOptions());
  const requests = fc.array(spoilt(requestNames), { maxLength: 4 });
  await holds(
    [requests, spoilt(callNames), anyValue, anyValue, fc.array(anyValue, { maxLength: 3 })],
    async (many, call, path, ttl, paths) => {
      const outcome = await settled(() =>
        sink.syncMany(
          many.map((one) => spoil(aRequest(), one)),
          spoil(goodCall(), call),
        ),
      );
      if (outcome.value) {
        assert.equal(outcome.value.length, many.length);
        for (const { ok, error, ...synced } of outcome.value) ok ? checkSynced(synced) : checkError(error);
      }
      await settled(() => sink.syncMany(path.make(), goodCall()));
      for (const given of [path.make(), PATH]) {
        const signed = await settled(() => signedUrl(goodOptions(), given, ttl.make(), spoil(goodCall(), call)));
        if (signed.value) checkUrl(signed.value);
      }
      const signed = await settled(() => sink.signedUrls([PATH, ...paths.map((one) => one.make())], 60, goodCall()));
      for (const url of signed.value ?? []) checkUrl(url);
    },
  );
  sink.free();
});

/** What a fetch gives that is none of the host's: each part may be anything. */
const answer = fc.record({
  instead: fc.option(anyValue, { freq: 5 }),
  status: fc.oneof(
    fc.constantFrom(200, 201, 204, 400, 401, 409, 429, 503),
    fc.integer(),
    fc.double(),
    fc.constant("200"),
  ),
  headers: fc.dictionary(
    fc.constantFrom("retry-after", "date", "location", "upload-offset"),
    fc.oneof(halves, fc.string(), fc.nat().map(String)),
  ),
  body: fc.oneof(
    fc.json(),
    fc.string(),
    fc.constantFrom(
      '{"Key":"b/x"}',
      '[{"id":"x"}]',
      "[]",
      "null",
      "1e999",
      '{"statusCode":1e999}',
      "[".repeat(5000) + "]".repeat(5000),
      '"\\ud800"',
    ),
  ),
  text: fc.option(anyValue, { freq: 6 }),
});
const answered = ({ instead, status, headers, body, text }) => {
  if (instead !== null) return instead.make();
  return {
    status,
    headers: { get: (name) => headers[name] ?? null },
    text: async () => (text === null ? body : text.make()),
  };
};

test("whatever a fetch, an access token or a callback gives, a call ends", async () => {
  const answers = fc.array(answer, { minLength: 1, maxLength: 6 });
  await holds([answers, fc.option(anyValue), fc.boolean()], async (replies, token, resumable) => {
    let next = 0;
    const fetch = () => answered(replies[next++ % replies.length]);
    const options = goodOptions({ fetch, maxRetries: 1, initialBackoffMs: 0, maxBackoffMs: 5 });
    if (resumable) Object.assign(options, { resumableFrom: 1, chunkSize: 5000 });
    if (token !== null) options.accessToken = () => token.make();
    const onRetry = () => token?.make();
    const synced = await settled(() => sync(options, aRequest(), goodCall({ onRetry, onProgress: onRetry })));
    if (synced.value) assert.equal(synced.value.storagePath, PATH);
    const signed = await settled(() => signedUrl(options, PATH, 60, goodCall()));
    if (signed.value) assert.equal(typeof signed.value, "string");
  });
});

/** Has texts of that length come from all sides: each is refused. */
async function refuseTexts(length) {
  const endless = "x".repeat(length);
  for (const name of ["slug", "prompt", "sidecar"]) {
    const value = name === "sidecar" ? { endless } : endless;
    const { error } = await settled(() => sync(goodOptions(), aRequest({ [name]: value })));
    assert.deepEqual([error.code, error.field.split(".")[0]], ["invalid_request", name]);
  }
  const fetch = async () => new Response(endless);
  const failing = async () => {
    throw new Error(endless);
  };
  for (const [options, code] of [
    [{ fetch }, "bad_response"],
    [{ fetch: failing }, "network"],
    [{ accessToken: () => endless }, "token_unavailable"],
  ]) {
    const { error } = await settled(() => sync(goodOptions({ timeoutMs: 30_000, ...options }), aRequest()));
    assert.equal(error.code, code);
  }
}

test("texts without end do not fill the WebAssembly's memory", async () => {
  // What these calls need themselves is there after the first time, for texts that are a little too long.
  await refuseTexts(2 ** 25 + 1);
  const before = memory.buffer.byteLength;
  await refuseTexts(2 ** 26);
  assert.equal(memory.buffer.byteLength, before);
  await goodSync();
});
