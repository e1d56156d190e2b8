// Errors that cross a worker's border, as plain data.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { createSink, ImagenCloudError, isImagenCloudError } from "imagen-cloud";
import { createOutbox } from "imagen-cloud/outbox";
import { aRequest, OWNER, POST, PUT, rejection, scripted, sinkFor } from "./helpers.mjs";

const refused = { status: 403, body: { code: "42501", message: "no", details: null, hint: null } };

test("an error becomes plain data with all that is known of it, but for its cause", async (t) => {
  const server = await scripted(t, { [POST]: [refused] });
  const sink = await sinkFor(t, server);
  const error = await rejection(() => sink.sync(aRequest({ imageId: OWNER })));
  const data = error.toJSON();
  assert.deepEqual(data, {
    name: "ImagenCloudError",
    message: error.message,
    stage: "insert",
    code: "forbidden",
    status: 403,
    serverCode: "42501",
    retryable: false,
    attempts: 1,
    storagePath: "2026-05-11/lighthouse-42.png",
    imageId: OWNER,
  });
  assert.equal(Object.getPrototypeOf(data), Object.prototype);
  assert.deepEqual(structuredClone(data), data);
  assert.deepEqual(JSON.parse(JSON.stringify({ error })), { error: data });
  for (const known of [error, data, structuredClone(data)]) assert.ok(isImagenCloudError(known));
  assert.ok(!(data instanceof ImagenCloudError), "it is no Error");
});

test("a cause that can't be copied, or holds what nobody may see, stays behind", async (t) => {
  const server = await scripted(t);
  const secret = { token: "secret", run: () => {} };
  const sink = await sinkFor(t, server, {
    accessToken: () => {
      throw secret;
    },
  });
  const error = await rejection(() => sink.sync(aRequest()), { code: "token_unavailable", cause: secret });
  const data = structuredClone(error.toJSON());
  assert.equal(data.code, "token_unavailable");
  assert.ok(!JSON.stringify(error).includes("secret"));
});

test("errors of the package's own JavaScript become the same data", async () => {
  const error = await rejection(() => createOutbox({}));
  assert.deepEqual(error.toJSON(), {
    name: "ImagenCloudError",
    message: "createOutbox: its first argument must be a sink or a relay",
    stage: "config",
    code: "invalid_config",
    field: "target",
    retryable: false,
    attempts: 0,
  });
});

test("an error of syncMany's outcomes crosses a border too", async (t) => {
  const server = await scripted(t, { [PUT]: [refused] });
  const sink = await sinkFor(t, server);
  const outcomes = await sink.syncMany([aRequest()]);
  const [{ error }] = JSON.parse(JSON.stringify(outcomes));
  assert.equal(error.code, outcomes[0].error.code);
  assert.ok(isImagenCloudError(error));
});

test("an error that a worker posts as data is known on the other side, an Error that it posts is not", async () => {
  const script = `
    const { parentPort } = require("node:worker_threads");
    import(${JSON.stringify(import.meta.resolve("imagen-cloud"))}).then(async ({ createSink }) => {
      const error = await createSink({ url: "no URL", apiKey: "k" }).catch((error) => error);
      parentPort.postMessage({ data: error.toJSON(), error });
    });`;
  const worker = new Worker(script, { eval: true });
  const [{ data, error }] = await once(worker, "message");
  await worker.terminate();
  assert.ok(isImagenCloudError(data));
  assert.deepEqual([data.code, data.field], ["invalid_config", "url"]);
  assert.ok(!isImagenCloudError(error), "a clone of an Error has lost its name");
});

test("an error is known in any realm, and nothing else is", async () => {
  const foreign = runInNewContext(
    `Object.assign(new Error("x"), { name: "ImagenCloudError", stage: "sign", code: "network" })`,
  );
  assert.ok(isImagenCloudError(foreign));
  assert.ok(foreign instanceof ImagenCloudError);
  const hostile = new Proxy({}, { get: () => assert.fail("its own affair") });
  const others = [null, undefined, 0, "ImagenCloudError", {}, { name: "ImagenCloudError" }, new Error("x"), hostile];
  for (const other of others) {
    assert.equal(isImagenCloudError(other), false);
    assert.equal(other instanceof ImagenCloudError, false);
  }
  await assert.rejects(createSink({}), ImagenCloudError);
});

test("where there is no WebAssembly, trying again is no use", async () => {
  const script = `
    const { parentPort } = require("node:worker_threads");
    delete globalThis.WebAssembly;
    import(${JSON.stringify(import.meta.resolve("imagen-cloud"))}).then(async ({ init }) => {
      parentPort.postMessage((await init().catch((error) => error)).toJSON());
    });`;
  const worker = new Worker(script, { eval: true });
  const ended = once(worker, "exit"); // rejects if anything of the host died on the way
  const [[{ code, retryable }]] = await Promise.all([once(worker, "message"), ended]);
  assert.deepEqual([code, retryable], ["load_failed", false]);
});
