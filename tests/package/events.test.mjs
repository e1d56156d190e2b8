// What a sink and a relay tell of their requests.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRelay } from "imagen-cloud";
import {
  aRequest,
  inserted,
  OWNER,
  PATH,
  PNG,
  POST,
  PUT,
  rejection,
  SIGN,
  scripted,
  sinkFor,
  uploaded,
} from "./helpers.mjs";

const ID = "11111111-2222-4333-8444-555555555555";
const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3ZDZmMmI4ZSJ9.c2lnbmF0dXJl";
const insertedMany = ({ body }) => ({ status: 201, body: JSON.parse(body) });
const timeless = ({ ms, waitMs, ...event }) => event;

test("every request and every wait is told, and nothing that is secret", async (t) => {
  const signed = { body: { signedURL: `/object/sign/imagen-generated/${PATH}?token=${TOKEN}` } };
  const server = await scripted(t, {
    [PUT]: [{ status: 503 }, uploaded],
    [POST]: [{ status: 0 }, inserted],
    [SIGN]: [signed],
  });
  const events = [];
  const sink = await sinkFor(t, server, {
    accessToken: () => TOKEN,
    pathPrefix: OWNER,
    onEvent: (event) => events.push(event),
  });
  await sink.sync(aRequest({ imageId: ID, prompt: "a secret fox" }));
  await sink.signedUrl(PATH, 60);
  const request = { type: "request", imageIds: [ID] };
  const upload = { ...request, stage: "upload", method: "PUT", bytes: PNG.length };
  const insert = { ...request, stage: "insert", method: "POST", bytes: 0 };
  assert.deepEqual(events.map(timeless), [
    { ...upload, status: 503, attempt: 1 },
    { type: "retry", stage: "upload", code: "unavailable", status: 503, attempt: 1, imageIds: [ID] },
    { ...upload, status: 200, attempt: 2 },
    { ...insert, code: "network", attempt: 1 },
    { type: "retry", stage: "insert", code: "network", attempt: 1, imageIds: [ID] },
    { ...insert, status: 201, attempt: 2 },
    { type: "request", stage: "sign", method: "POST", status: 200, bytes: 0, attempt: 1, imageIds: [] },
  ]);
  assert.ok(events.every(({ ms, waitMs }) => Number.isInteger(ms ?? waitMs)));
  assert.doesNotMatch(JSON.stringify(events), /eyJ|test-key|fox|lighthouse|http/);
});

test("a request for several rows names their images, and the look for those that were there names them alone", async (t) => {
  const other = ID.replace("1111", "2222");
  const rows = [{ id: other, owner_user_id: OWNER, storage_path: "" }];
  const server = await scripted(t, {
    [PUT]: [uploaded, uploaded],
    [POST]: [{ status: 0 }, { status: 201, body: [{ id: ID }] }],
    "GET /rest/v1/images": [{ body: rows }],
  });
  const events = [];
  const sink = await sinkFor(t, server, { onEvent: (event) => events.push(event) });
  const requests = [ID, other].map((imageId, i) => aRequest({ imageId, slug: `rows-${i}` }));
  rows[0].storage_path = (await sink.prepare(requests[1])).storagePath;
  // One after the other: rows go in as their uploads end.
  const outcomes = await sink.syncMany(requests, { concurrency: 1 });
  assert.deepEqual(
    outcomes.map(({ ok }) => ok),
    [true, true],
  );
  const told = events
    .filter(({ stage }) => stage === "insert")
    .map(({ type, method, imageIds }) => [method ?? type, imageIds]);
  assert.deepEqual(told, [
    ["POST", [ID, other]],
    ["retry", [ID, other]],
    ["POST", [ID, other]],
    ["GET", [other]],
  ]);
});

/** A canvas, where there is none. */
function canvas(t) {
  const own = [globalThis.createImageBitmap, globalThis.OffscreenCanvas];
  t.after(() => {
    [globalThis.createImageBitmap, globalThis.OffscreenCanvas] = own;
  });
  globalThis.createImageBitmap = async () => ({ width: 320, height: 240, close() {} });
  globalThis.OffscreenCanvas = class {
    getContext = () => ({
      drawImage() {},
      fillRect() {},
      clearRect() {},
      getImageData: () => ({ data: [12, 120, 200] }),
    });
    convertToBlob = async ({ type }) => new Blob(["small"], { type });
  };
}

test("what goes beside an image is told of with its id: its small picture, and its link", async (t) => {
  canvas(t);
  const url = `/object/sign/imagen-generated/${PATH}?token=${TOKEN}`;
  const signed = ({ body }) => {
    const { paths } = JSON.parse(body);
    return { body: paths ? paths.map((path) => ({ path, error: null, signedURL: url })) : { signedURL: url } };
  };
  const server = await scripted(t, {
    [PUT]: Array(6).fill(uploaded),
    [POST]: [inserted, insertedMany],
    [SIGN]: [signed, signed],
  });
  const events = [];
  const sink = await sinkFor(t, server, { thumbnail: {}, onEvent: (event) => events.push(event) });
  await sink.sync(aRequest({ imageId: ID }), { signedUrl: 60 });
  assert.deepEqual(events.map(({ stage }) => stage).sort(), ["insert", "sign", "upload", "upload"]);
  for (const { imageIds } of events) assert.deepEqual(imageIds, [ID]);

  events.length = 0;
  const other = ID.replace("1111", "2222");
  const requests = [ID, other].map((imageId, i) => aRequest({ imageId, slug: `rows-${i}` }));
  await sink.syncMany(requests, { signedUrl: 60, concurrency: 1 });
  const ids = (stage) => events.filter((event) => event.stage === stage).map(({ imageIds }) => imageIds.join());
  assert.deepEqual(ids("upload").sort(), [ID, ID, other, other].sort());
  assert.deepEqual([ids("insert"), ids("sign")], [[`${ID},${other}`], [`${ID},${other}`]]);
});

test("a relay tells of the Worker", async (t) => {
  const landed = { status: 201, body: { storagePath: `${OWNER}/${PATH}`, imageId: ID } };
  const server = await scripted(t, { "POST /api/sync": [landed] });
  const events = [];
  const relay = await createRelay({
    url: server.url,
    accessToken: () => TOKEN,
    onEvent: (event) => events.push(event),
  });
  t.after(() => relay.free());
  await relay.sync(aRequest({ imageId: ID }));
  assert.deepEqual(events.map(timeless), [
    { type: "request", stage: "upload", method: "POST", status: 201, bytes: PNG.length, attempt: 1, imageIds: [ID] },
  ]);
});

test("who is told does no harm", async (t) => {
  const server = await scripted(t);
  const throws = () => {
    throw new Error("mine");
  };
  const sink = await sinkFor(t, server, { onEvent: throws });
  assert.equal((await sink.sync(aRequest())).storagePath, PATH);
  const freed = await sinkFor(t, server, { onEvent: () => freed.free() });
  assert.equal((await freed.sync(aRequest())).storagePath, PATH);
  await rejection(() => sinkFor(t, server, { onEvent: "log" }), { code: "invalid_config", field: "onEvent" });
});
