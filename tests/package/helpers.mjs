// What most tests of this folder start from.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { inspect } from "node:util";
import { createSink, ImagenCloudError, isImagenCloudError } from "imagen-cloud";
import { createFakeProject } from "imagen-cloud/testing";
import { startScripted } from "../support/scripted.mjs";

export const OWNER = "7d6f2b8e-1111-4222-8333-444455556666";
export const PNG = new Uint8Array(await readFile(new URL("../data/lighthouse.png", import.meta.url)));
export const PATH = "2026-05-11/lighthouse-42.png";
export const PUT = "PUT /storage/v1/object/";
export const POST = "POST /rest/v1/";
export const GET = "GET /rest/v1/";
export const SIGN = "POST /storage/v1/object/sign/";

/** Waits that a test need not wait for. */
export const FAST = { initialBackoffMs: 1, maxBackoffMs: 60_000 };

/** Storage's answer to an upload. */
export const uploaded = { body: { Key: `imagen-generated/${PATH}`, Id: "0ce4b621-b37b-4057-a96f-40d837b0a8d7" } };
/** PostgREST's answer to an insert: the row as it was sent. */
export const inserted = (request) => ({ status: 201, body: [JSON.parse(request.body)] });
/** PostgREST's answer to a row whose id is there already. */
export const duplicate = {
  status: 409,
  body: {
    code: "23505",
    message: 'duplicate key value violates unique constraint "images_pkey"',
    details: null,
    hint: null,
  },
};
/** Storage's way of refusing: HTTP 400, with the real status in the body. */
export const storageError = (statusCode, error, message, code) => ({
  status: 400,
  body: { statusCode, error, message, ...(code && { code }) },
});

/** A scripted server for one test, by default one where everything goes well; closed when the test ends. */
export async function scripted(t, script = {}) {
  const routes = { [PUT]: [uploaded], [POST]: [inserted], ...script };
  const server = await startScripted(typeof script === "function" || Array.isArray(script) ? script : routes);
  t.after(() => server.close());
  return server;
}

/** A sink of a project in memory, that does not wait long between attempts; freed when the test ends. */
export async function fakeSink(t, options = {}) {
  const project = createFakeProject();
  const sink = await createSink({ ...project.options, ...FAST, ...options });
  t.after(() => sink.free());
  return { project, sink };
}

/** A sink for the server that does not wait long between attempts; freed when the test ends. */
export async function sinkFor(t, server, options = {}) {
  const defaults = {
    url: server.url,
    apiKey: "test-key",
    ownerUserId: OWNER,
    ...FAST,
  };
  const sink = await createSink({ ...defaults, ...options });
  t.after(() => sink.free());
  return sink;
}

/** Has the timers of `fromMs` and more end only when the test says how much time has passed since they were set; for one test. */
export function holdTimers(t, fromMs) {
  const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  t.after(() => Object.assign(globalThis, real));
  const held = new Map();
  globalThis.setTimeout = (run, ms, ...given) => {
    if (!(ms >= fromMs)) return real.setTimeout(run, ms, ...given);
    const timer = {};
    held.set(timer, { ms, run: () => run(...given) });
    return timer;
  };
  globalThis.clearTimeout = (timer) => {
    if (!held.delete(timer)) real.clearTimeout(timer);
  };
  return {
    passes(time) {
      for (const [timer, { ms, run }] of held) if (ms <= time && held.delete(timer)) run();
    },
  };
}

/** A request that is all right, with some fields changed. */
export function aRequest(fields = {}) {
  return {
    date: "2026-05-11",
    slug: "lighthouse",
    seed: 42,
    image: PNG,
    prompt: "a lighthouse at dusk",
    backend: "flux",
    ...fields,
  };
}

/** What `call` is rejected with; fails when it throws at once, resolves, or is rejected with anything else. */
export async function rejection(call, expected = {}) {
  let promise;
  assert.doesNotThrow(() => {
    promise = call();
  }, "a promise is returned, whatever goes in");
  const error = await promise.then(
    (value) => assert.fail(`resolved with ${inspect(value)}`),
    (reason) => reason,
  );
  assert.ok(error instanceof ImagenCloudError, inspect(error));
  assert.ok(error instanceof Error);
  assert.ok(isImagenCloudError(error));
  assert.equal(error.name, "ImagenCloudError");
  assert.equal(typeof error.retryable, "boolean");
  for (const [name, value] of Object.entries(expected)) {
    assert.deepEqual(error[name], value, `${name} of ${inspect(error)}`);
  }
  return error;
}

/** The requests of one route, such as {@link PUT}. */
export function sentTo(server, route) {
  return server.requests.filter(({ method, target }) => `${method} ${target}`.startsWith(route));
}
