// The relay before a scripted Worker: what it sends, what it makes of odd answers, and that it tells no secret.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { createRelay } from "imagen-cloud";
import { createOutbox, createRelay as createRelayOfOutboxes } from "imagen-cloud/outbox";
import { aRequest, OWNER, PNG, rejection, scripted, sentTo } from "./helpers.mjs";

const IMAGE_ID = "492a7ae8-3ccb-4682-b40c-92195f198c67";
const PLACE = `${OWNER}/2026-05-11/lighthouse-42.png`;
const TOKEN = "opaque-token-of-the-user";
const SYNC = "POST /api/sync";
const LINK = "GET /api/signed-url";
const TICKETS = "POST /api/tickets";
const COMMIT = "POST /api/tickets/eyJ0aWNrZXQ.x.y/commit";
const TUS = "/storage/v1/upload/resumable/sign";
const landed = { status: 201, body: { storagePath: PLACE, imageId: IMAGE_ID } };
const problem = (status, code, more = {}) => ({
  status,
  headers: { "content-type": "application/problem+json", ...more.headers },
  body: { type: "about:blank", title: "x", status, detail: "why", code, requestId: "r", ...more.body },
});

async function relayFor(t, server, options = {}) {
  const defaults = { url: server.url, accessToken: () => TOKEN, ownerUserId: OWNER, initialBackoffMs: 1 };
  const relay = await createRelay({ ...defaults, ...options });
  t.after(() => relay.free());
  return relay;
}

/** The parts of a form, as anybody reads them. */
async function formOf({ headers, body }) {
  const form = await new Response(body, { headers: { "content-type": headers["content-type"] } }).formData();
  return { names: [...form.keys()], request: JSON.parse(form.get("request")), image: form.get("image") };
}

/** A Worker and a Storage that take an image by ticket. */
function ticketing(changes = {}) {
  let ticket = 0;
  const issue = ({ headers }) => {
    ticket += 1;
    const resumableUrl = `http://${headers.host}${TUS}`;
    const place = { bucket: "incoming-bucket", path: `${OWNER}/.incoming/${IMAGE_ID}`, resumableUrl };
    const secrets = { ticket: "eyJ0aWNrZXQ.x.y", token: `eyJ0b2tlbg.${ticket}.z`, uploadUrl: "https://x/?token=eyJ" };
    return { status: 201, body: { ...landed.body, ...place, ...secrets, expiresAt: 1 } };
  };
  const offset = (request) => {
    const from = Number(request.headers["upload-offset"] ?? 0);
    return { status: 204, headers: { "upload-offset": String(from + request.body.length) } };
  };
  const create = (request) => {
    const { headers } = offset(request);
    return { status: 201, headers: { ...headers, location: `http://elsewhere${TUS}/dXBsb2Fk` } };
  };
  return {
    [TICKETS]: [issue],
    [`POST ${TUS}`]: [create],
    [`PATCH ${TUS}/`]: [offset],
    [COMMIT]: [landed],
    ...changes,
  };
}

const inPieces = { resumableFrom: 1, chunkSize: 10_000 };

test("a small image is one form, and the bytes are whatever was given", async (t) => {
  for (const image of [PNG, new Blob([PNG]), new Blob([PNG], { type: "text/html" }), PNG.buffer.slice(0)]) {
    const server = await scripted(t, { [SYNC]: [landed] });
    const relay = await relayFor(t, server);
    const request = aRequest({ image, imageId: IMAGE_ID, seed: -9223372036854775808n, costUsdEstimate: 0, steps: 4 });
    assert.deepEqual(await relay.sync({ ...request, sidecar: { seed: 1 } }), landed.body);
    const [sent, ...more] = server.requests;
    assert.equal(more.length, 0);
    assert.equal(sent.headers.authorization, `Bearer ${TOKEN}`);
    assert.equal(sent.headers.apikey, undefined);
    const form = await formOf(sent);
    assert.deepEqual(form.names.sort(), ["image", "request"]);
    assert.ok(form.image instanceof File);
    assert.deepEqual(new Uint8Array(await form.image.arrayBuffer()), PNG);
    assert.deepEqual(form.request, {
      imageId: IMAGE_ID,
      date: "2026-05-11",
      slug: "lighthouse",
      seed: "-9223372036854775808",
      ext: "png",
      mimeType: "image/png",
      prompt: "a lighthouse at dusk",
      backend: "flux",
      model: "",
      steps: 4,
      width: 0,
      height: 0,
      latencyMs: 0,
      costUsdEstimate: 0,
      sidecar: { seed: 1 },
    });
  }
});

test("a 202 is a success that says so", async (t) => {
  const server = await scripted(t, { [SYNC]: [{ status: 202, body: { ...landed.body, queued: true } }] });
  const relay = await relayFor(t, server);
  assert.deepEqual(await relay.sync(aRequest()), { ...landed.body, imageId: (await idsOf(server))[0], queued: true });
  const [outcome] = await relay.syncMany([aRequest()]);
  assert.deepEqual(outcome, { ok: true, storagePath: PLACE, imageId: (await idsOf(server))[1], queued: true });
});

async function idsOf(server) {
  const forms = await Promise.all(sentTo(server, SYNC).map(formOf));
  return forms.map(({ request }) => request.imageId);
}

test("an image that is made anew at every attempt keeps its id", async (t) => {
  const server = await scripted(t, { [SYNC]: [{ status: 0 }, problem(503, "busy"), { status: 200 }, landed] });
  const relay = await relayFor(t, server, { maxRetries: 5 });
  const told = [];
  await relay.sync(aRequest(), { onRetry: ({ code }) => told.push(code) });
  assert.deepEqual(told, ["network", "unavailable", "bad_response"]);
  assert.equal(new Set(await idsOf(server)).size, 1);
});

test("Retry-After is obeyed, and one that is too long ends the call", async (t) => {
  const busy = (seconds) => problem(503, "busy", { headers: { "retry-after": String(seconds) } });
  const server = await scripted(t, { [SYNC]: [busy(1), landed, busy(60)] });
  const relay = await relayFor(t, server);
  const waits = [];
  await relay.sync(aRequest(), { onRetry: ({ waitMs }) => waits.push(waitMs) });
  assert.deepEqual(waits, [1000]);
  await rejection(() => relay.sync(aRequest()), { code: "unavailable", retryAfterMs: 60_000, retryable: true });
});

test("a refused token is asked for once more, at every attempt anew", async (t) => {
  const server = await scripted(t, { [SYNC]: [problem(401, "unauthorized"), problem(503, "busy"), landed] });
  let count = 0;
  const accessToken = () => {
    count += 1;
    return `token-${count}`;
  };
  const relay = await relayFor(t, server, { accessToken });
  await relay.sync(aRequest());
  const bearers = server.requests.map(({ headers }) => headers.authorization);
  assert.deepEqual(bearers, ["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
  server.play({ [SYNC]: [problem(401, "unauthorized")] });
  await rejection(() => relay.sync(aRequest()), { code: "unauthorized", status: 401, attempts: 2, retryable: false });
});

test("a large image goes by ticket, straight to Storage, and without the user's token", async (t) => {
  const server = await scripted(t, ticketing());
  const relay = await relayFor(t, server, inPieces);
  const progress = [];
  const result = await relay.sync(aRequest({ imageId: IMAGE_ID }), { onProgress: (event) => progress.push(event) });
  assert.deepEqual(result, landed.body);
  const [asked] = sentTo(server, TICKETS);
  const committed = sentTo(server, COMMIT)[0];
  assert.equal(JSON.parse(asked.body).size, PNG.length);
  assert.deepEqual(JSON.parse(committed.body), JSON.parse(asked.body));
  const pieces = server.requests.filter(({ target }) => target.startsWith(TUS));
  for (const { headers } of pieces) {
    assert.equal(headers["x-signature"], "eyJ0b2tlbg.1.z");
    assert.equal(headers.authorization ?? headers.apikey, undefined);
  }
  const [path] = /(?<=objectName )[^,]+/.exec(pieces[0].headers["upload-metadata"]);
  assert.equal(atob(path), `${OWNER}/.incoming/${IMAGE_ID}`);
  assert.deepEqual(Buffer.concat(pieces.map(({ body }) => body)), Buffer.from(PNG));
  assert.deepEqual([...new Set(progress.map(({ stage }) => stage))], ["upload", "insert", "done"]);
  assert.deepEqual(progress.at(-1), { stage: "done", sent: PNG.length, total: PNG.length });
});

test("an expired ticket is renewed, a lost commit is asked again", async (t) => {
  const commits = [problem(410, "ticket_expired"), { status: 0 }, landed];
  const server = await scripted(t, ticketing({ [COMMIT]: commits }));
  const relay = await relayFor(t, server, inPieces);
  await relay.sync(aRequest());
  assert.equal(server.requests.filter(({ target }) => target === "/api/tickets").length, 2);
  assert.equal(sentTo(server, COMMIT).length, 3);
  assert.equal(sentTo(server, `POST ${TUS}`).length, 1, "the upload is not made again");
});

describe("a bad answer is told as what it is:", () => {
  const cases = {
    "HTML to a form": [{}, { [SYNC]: [{ body: "<html>" }] }, "upload", "bad_response"],
    "a path that is no text": [{}, { [SYNC]: [{ status: 201, body: { storagePath: 1 } }] }, "upload", "bad_response"],
    "no answer": [{}, { [SYNC]: [{ status: 0 }] }, "upload", "network"],
    "half a ticket": [
      inPieces,
      { [TICKETS]: [{ status: 201, body: { ticket: "eyJ0aWNrZXQ.x.y" } }] },
      "upload",
      "bad_response",
    ],
    "a commit without a path": [inPieces, { [COMMIT]: [{ status: 201, body: {} }] }, "insert", "bad_response"],
    "another's id": [inPieces, { [COMMIT]: [problem(409, "id_taken")] }, "insert", "id_taken"],
    "a wrong field": [
      {},
      { [SYNC]: [problem(400, "invalid_request", { body: { field: "slug" } })] },
      "upload",
      "invalid_request",
    ],
    "a page of a foreign origin": [{}, { [SYNC]: [problem(403, "origin_not_allowed")] }, "upload", "forbidden"],
  };
  for (const [name, [options, script, stage, code]] of Object.entries(cases)) {
    test(name, async (t) => {
      const server = await scripted(t, ticketing(script));
      const relay = await relayFor(t, server, { ...options, maxRetries: 0 });
      const expected = { stage, code, storagePath: PLACE, imageId: IMAGE_ID };
      const error = await rejection(() => relay.sync(aRequest({ imageId: IMAGE_ID })), expected);
      if (name === "a wrong field") assert.equal(error.field, "slug");
    });
  }
});

test("no error holds a token or a ticket", async (t) => {
  const secrets = [TOKEN, "eyJ0aWNrZXQ", "eyJ0b2tlbg"];
  const echo = ({ method, target, headers }) => ({
    status: 418,
    body: `${method} ${target} ${headers.authorization} ${headers["x-signature"]} is refused`,
  });
  for (const route of [SYNC, TICKETS, `POST ${TUS}`, `PATCH ${TUS}/`, COMMIT, LINK]) {
    const server = await scripted(t, ticketing({ [route]: [echo] }));
    const relay = await relayFor(t, server, {
      maxRetries: 0,
      chunkSize: 10_000,
      resumableFrom: route === SYNC ? 1e9 : 1,
    });
    const call = () => (route === LINK ? relay.signedUrl(PLACE) : relay.sync(aRequest()));
    const error = await rejection(call, { status: 418 });
    const text = [inspect(error, { depth: 9 }), error.stack, JSON.stringify(error)].join();
    for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} in ${text}`);
    assert.match(error.message, /is refused/);
  }
});

test("an abort stops a form, a piece and a commit", async (t) => {
  for (const route of [SYNC, TICKETS, `PATCH ${TUS}/`, COMMIT]) {
    const server = await scripted(t, ticketing({ [route]: [{ hang: true }] }));
    const relay = await relayFor(t, server, { chunkSize: 10_000, resumableFrom: route === SYNC ? 1e9 : 1 });
    const controller = new AbortController();
    const call = relay.sync(aRequest({ imageId: IMAGE_ID }), { signal: controller.signal });
    await server.until(() => sentTo(server, route).length > 0);
    controller.abort(new Error("enough"));
    const error = await rejection(() => call, { code: "aborted", imageId: IMAGE_ID });
    assert.equal(error.cause.message, "enough");
    await server.until(() => sentTo(server, route)[0].aborted);
  }
});

test("a link is asked for by the path's own letters", async (t) => {
  const url = "https://x/storage/v1/object/sign/b/x.png?token=eyJ";
  const server = await scripted(t, { [LINK]: [{ body: { url } }] });
  const relay = await relayFor(t, server);
  const path = `${OWNER}/2026/a&ttl=1 +%41#é-1.png`;
  assert.equal(await relay.signedUrl(path, 60), url);
  assert.equal(await relay.signedUrl(path, 60, { download: "a.png" }), `${url}&download=a.png`);
  const { searchParams } = new URL(server.requests[0].target, server.url);
  assert.deepEqual(
    [...searchParams],
    [
      ["path", path],
      ["ttl", "60"],
    ],
  );
  assert.equal(relay.signedUrls, undefined);
});

describe("options:", () => {
  const good = { url: "http://localhost", accessToken: () => TOKEN };
  const bad = {
    url: [{ ...good, url: "/api" }, /must start with https/],
    accessToken: [{ url: good.url }, /is missing/],
    ownerUserId: [{ ...good, ownerUserId: "../x" }, /dots/],
    resumableForm: [{ ...good, resumableForm: 1 }, /did you mean resumableFrom/],
    apiKey: [{ ...good, apiKey: "k" }, /is unknown/],
    bucket: [{ ...good, bucket: "b" }, /is unknown/],
    chunkSize: [{ ...good, chunkSize: 0 }, /whole number/],
  };
  for (const [field, [options, words]] of Object.entries(bad)) {
    test(`${field} is named`, async () => {
      const error = await rejection(() => createRelay(options), { code: "invalid_config", field });
      assert.match(error.message, words);
    });
  }

  test("slashes at the end of the URL are trimmed", async (t) => {
    const server = await scripted(t, { [SYNC]: [landed] });
    await (await relayFor(t, server, { url: `${server.url}//` })).sync(aRequest());
  });

  test("a fetch of one's own is used", async (t) => {
    const server = await scripted(t, { [SYNC]: [landed] });
    let calls = 0;
    const counting = (...args) => {
      calls += 1;
      return fetch(...args);
    };
    await (await relayFor(t, server, { fetch: counting })).sync(aRequest());
    assert.equal(calls, 1);
  });

  for (const [field, value] of Object.entries({
    slug: "夜",
    model: "m".repeat(256),
    backend: "b".repeat(256),
    ext: "e".repeat(256),
    mimeType: `image/${"t".repeat(256)}`,
    prompt: "é".repeat(2 ** 15 + 1),
    sidecar: { text: "x".repeat(2 ** 17) },
  })) {
    test(`a ${field} that the Worker has no room for is refused before it is sent`, async (t) => {
      const server = await scripted(t, {});
      const relay = await relayFor(t, server);
      await rejection(() => relay.sync(aRequest({ [field]: value })), { code: "invalid_request", field });
      assert.equal(server.requests.length, 0);
    });
  }

  test("an owner that no token has is refused before anything is sent", async (t) => {
    const server = await scripted(t, {});
    const relay = await relayFor(t, server, { ownerUserId: "somebody" });
    await rejection(() => relay.sync(aRequest()), { code: "invalid_request", field: "ownerUserId" });
    assert.equal(server.requests.length, 0);
  });

  test("an image that the Worker would refuse is refused before it is sent", async (t) => {
    const server = await scripted(t, {});
    const relay = await relayFor(t, server);
    await rejection(() => relay.sync(aRequest({ image: new Uint8Array(9) })), { code: "invalid_image" });
    assert.equal(server.requests.length, 0);
  });
});

test("a freed relay rejects, and is no target", async () => {
  const relay = await createRelayOfOutboxes({ url: "http://localhost", accessToken: () => TOKEN });
  relay.free();
  relay.free();
  const error = await rejection(() => relay.sync(aRequest()), { code: "invalid_config" });
  assert.equal(error.message, "the relay has been freed");
  await rejection(() => createOutbox(relay), { code: "invalid_config" });
  await rejection(() => createOutbox({}), { code: "invalid_config", field: "target" });
});
