// Many calls at once, freed handles, and callbacks that do what they should not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRelay, createSink, isImagenCloudError } from "imagen-cloud";
import { createFakeProject } from "imagen-cloud/testing";
import { aRequest, OWNER, PNG, POST, PUT, rejection, scripted, sentTo, sinkFor, uploaded } from "./helpers.mjs";

/** A sink that the test itself frees. */
const open = (server) =>
  createSink({ url: server.url, apiKey: "test-key", ownerUserId: OWNER, initialBackoffMs: 1, maxRetries: 3 });

test("100 calls at once over two sinks, one freed while its calls run, all resolve", async (t) => {
  let seen = 0;
  const server = await scripted(t, {
    [PUT]: [
      () => {
        seen += 1;
        return seen % 7 === 0 ? { status: 503 } : uploaded;
      },
    ],
  });
  const sinks = [await open(server), await open(server)];
  const calls = Array.from({ length: 100 }, (_, seed) => sinks[seed % 2].sync(aRequest({ seed })));
  await server.until(() => seen >= 5);
  sinks[0].free();
  const results = await Promise.all(calls);
  assert.deepEqual(
    results.map(({ storagePath }) => storagePath),
    Array.from({ length: 100 }, (_, seed) => `2026-05-11/lighthouse-${seed}.png`),
  );
  assert.equal(new Set(results.map(({ imageId }) => imageId)).size, 100);
  assert.equal(sentTo(server, POST).length, 100);
  sinks[1].free();
});

test("a sink freed right after the call does not harm it", async (t) => {
  const server = await scripted(t);
  const sink = await open(server);
  const call = sink.sync(aRequest());
  sink.free();
  assert.equal((await call).storagePath, "2026-05-11/lighthouse-42.png");
});

test("a freed sink rejects, and freeing it again does no harm", async (t) => {
  const server = await scripted(t);
  const sink = await open(server);
  sink.free();
  sink.free();
  await rejection(() => sink.sync(aRequest()));
  await rejection(() => sink.signedUrl("a/b.png", 60));
  const other = await sinkFor(t, server);
  await other.sync(aRequest());
});

test("a_sink_and_a_relay_end_with_their_block", async (t) => {
  const server = await scripted(t);
  const relay = await createRelay({ url: server.url, ownerUserId: OWNER, accessToken: () => "a.b.c" });
  for (const handle of [await open(server), relay]) {
    handle[Symbol.dispose]();
    const error = await rejection(() => handle.signedUrl("a/b.png", 60));
    assert.match(error.message, /has been freed/);
  }
  assert.equal(server.requests.length, 0);
});

const boom = () => {
  throw new Error("from the callback");
};

test("callbacks that throw do no harm", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
  const sink = await sinkFor(t, server);
  const result = await sink.sync(aRequest(), { onProgress: boom, onRetry: boom });
  assert.equal(result.storagePath, "2026-05-11/lighthouse-42.png");
});

test("callbacks whose promise is rejected do no harm", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
  const sink = await sinkFor(t, server);
  const rejecting = async () => boom();
  await sink.sync(aRequest(), { onProgress: rejecting, onRetry: rejecting });
  await new Promise(setImmediate);
});

test("callbacks that call the sink again do no harm", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
  const sink = await sinkFor(t, server);
  const nested = [];
  const again = () => {
    nested.push(sink.sync(aRequest({ seed: 1000 + nested.length })));
  };
  await sink.sync(aRequest(), { onProgress: again, onRetry: again });
  assert.ok(nested.length >= 3);
  await Promise.all(nested);
});

test("callbacks that free the sink do no harm", async (t) => {
  for (const name of ["onProgress", "onRetry"]) {
    const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
    const sink = await open(server);
    const result = await sink.sync(aRequest(), { [name]: () => sink.free() });
    assert.equal(result.storagePath, "2026-05-11/lighthouse-42.png");
  }
});

test("an accessToken that calls and frees the sink does no harm", async (t) => {
  const server = await scripted(t);
  let nested;
  const sink = await createSink({
    url: server.url,
    apiKey: "test-key",
    ownerUserId: OWNER,
    accessToken: () => {
      nested ??= [sink.signedUrl("a/b.png", 60).catch((error) => error), sink.free()];
      return "token";
    },
  });
  await sink.sync(aRequest());
  assert.ok(isImagenCloudError(await nested[0]));
});

test("progress tells every stage, and what is sent never goes back", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
  const sink = await sinkFor(t, server);
  const told = [];
  await sink.sync(aRequest(), { onProgress: (progress) => told.push({ ...progress }) });
  assert.deepEqual([...new Set(told.map(({ stage }) => stage))], ["upload", "insert", "done"], JSON.stringify(told));
  assert.deepEqual(told.at(-1), { stage: "done", sent: PNG.length, total: PNG.length });
  for (const [index, { sent, total }] of told.entries()) {
    assert.equal(total, PNG.length);
    assert.ok(sent <= total && sent >= (told[index - 1]?.sent ?? 0));
  }
});

test("progress of many images is told once a frame, and at every stage", async (t) => {
  // Time goes by with the uploads: a quarter of a frame each, and at most four frames at once.
  let now = 1_778_486_400_000;
  const upload = () => {
    now += 4;
    return uploaded;
  };
  const server = await scripted(t, {
    [PUT]: [upload],
    [POST]: [({ body }) => ({ status: 201, body: JSON.parse(body) })],
  });
  const sink = await sinkFor(t, server);
  const told = [];
  const onProgress = ({ stage, sent }) => told.push({ stage, sent });
  const requests = Array.from({ length: 200 }, (_, seed) => aRequest({ seed }));
  t.mock.method(Date, "now", () => now);
  const outcomes = await sink.syncMany(requests, { concurrency: 16, onProgress });
  const frames = (200 * 4) / 16;
  assert.ok(outcomes.every(({ ok }) => ok));
  const uploads = told.filter(({ stage }) => stage === "upload");
  assert.ok(uploads.length >= frames / 6, `${uploads.length} events: it is told of while it goes on`);
  assert.ok(uploads.length <= frames + 1, `${uploads.length} events in ${frames} frames`);
  const all = 200 * PNG.length;
  assert.deepEqual(
    told.slice(-2).map(({ stage, sent }) => [stage, sent]),
    [
      ["insert", all],
      ["done", all],
    ],
  );
});

test("a request and options changed after the call are what they were at the call", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
  const options = { url: server.url, apiKey: "test-key", ownerUserId: OWNER, initialBackoffMs: 1 };
  const sink = await createSink(options);
  options.apiKey = "another-key";
  const request = aRequest({ sidecar: { a: [1] } });
  const call = sink.sync(request);
  request.slug = "elsewhere";
  request.prompt = "something else";
  request.sidecar.a.push(2);
  await call;
  sink.free();
  const row = JSON.parse(sentTo(server, POST)[0].body);
  assert.equal(row.storage_path, "2026-05-11/lighthouse-42.png");
  assert.equal(row.prompt, "a lighthouse at dusk");
  assert.deepEqual(row.sidecar, { a: [1] });
  assert.ok(server.requests.every(({ headers }) => headers.apikey === "test-key"));
});

test("what is passed is as it was when the call was made, also before the WebAssembly is loaded", async () => {
  const project = createFakeProject();
  const [first, second] = [project.user, project.createUser()];
  /** An entry that has loaded nothing yet. */
  const fresh = () => import(`../../pkg/node.js?${crypto.randomUUID()}`);
  const request = () => ({
    ...{ date: "2026-05-11", slug: "kept", seed: 1, prompt: "first", backend: "b", image: PNG.slice() },
    sidecar: { nodes: [{ words: "first" }] },
  });
  /** As somebody does who has one object for all users and images. */
  const reuse = (options, given) => {
    Object.assign(options, project.optionsOf(second));
    if (!given) return;
    Object.assign(given, { prompt: "second" });
    given.sidecar.nodes[0].words = "second";
    given.image.fill(0);
  };
  const calls = {
    sync: async ({ sync }, options, given) => {
      const sent = sync(options, given);
      reuse(options, given);
      await sent;
    },
    createSink: async ({ createSink }, options, given) => {
      const made = createSink(options);
      reuse(options);
      await (await made).sync(given);
    },
  };
  for (const [name, call] of Object.entries(calls)) {
    project.clear();
    await call(await fresh(), project.optionsOf(first), request());
    const [{ owner_user_id, prompt, sidecar, storage_path }] = project.rows;
    assert.deepEqual(
      { owner_user_id, prompt, sidecar },
      { owner_user_id: first.id, prompt: "first", sidecar: request().sidecar },
      name,
    );
    assert.deepEqual(project.objects.get(storage_path).bytes, PNG, name);
    const { signedUrl } = await fresh();
    const options = project.optionsOf(first);
    const url = signedUrl(options, storage_path);
    reuse(options);
    assert.match(await url, /token=/, "as the one who may see it");
  }
});
