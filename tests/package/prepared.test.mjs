// An image in two steps: what a sync would send, fixed without sending anything, and the row of an image that somebody else
// brought to its place.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aRequest,
  duplicate,
  GET,
  inserted,
  OWNER,
  PATH,
  PNG,
  POST,
  PUT,
  rejection,
  scripted,
  sentTo,
  sinkFor,
} from "./helpers.mjs";

const ID = "00000000-0000-4000-8000-00000000002a";
const { image: _, ...withoutImage } = aRequest({ imageId: ID });

test("what is prepared is what a sync sends, and nothing is sent", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const request = aRequest({ imageId: ID, seed: 2n ** 63n - 1n });
  const prepared = await sink.prepare(request);
  assert.deepEqual(server.requests, []);
  const done = await sink.sync(request);
  assert.deepEqual(done, { storagePath: prepared.storagePath, imageId: prepared.imageId });
  const [put] = sentTo(server, PUT);
  const [post] = sentTo(server, POST);
  assert.equal(prepared.mimeType, put.headers["content-type"]);
  assert.equal(prepared.row, post.body.toString());
  assert.match(prepared.row, /"seed":9223372036854775807,/);
});

test("only the row of what is prepared is inserted, once, however often it is asked for", async (t) => {
  const holder = { id: ID, owner_user_id: OWNER, storage_path: PATH };
  const server = await scripted(t, { [POST]: [{ status: 0 }, duplicate], [GET]: [{ body: [holder] }] });
  const sink = await sinkFor(t, server);
  const prepared = structuredClone(await sink.prepare(aRequest({ imageId: ID })));
  assert.deepEqual(await sink.insert(prepared), { storagePath: PATH, imageId: ID });
  assert.deepEqual(
    server.requests.map(({ method }) => method),
    ["POST", "POST", "GET"],
  );
  assert.equal(sentTo(server, POST)[0].body.toString(), prepared.row);
});

test("an image that is still to come is prepared by the type that it will have", async (t) => {
  const sink = await sinkFor(t, await scripted(t), { requireImage: true });
  for (const [mimeType, registered, ext] of [
    ["image/jpg", "image/jpeg", "jpg"],
    ["image/apng", "image/png", "png"],
    ["image/avif", "image/avif", "avif"],
  ]) {
    const prepared = await sink.prepare({ ...withoutImage, mimeType });
    assert.equal(prepared.mimeType, registered);
    assert.equal(prepared.storagePath, `2026-05-11/lighthouse-42.${ext}`);
    assert.equal(JSON.parse(prepared.row).width, undefined);
  }
  await rejection(() => sink.prepare({ ...withoutImage, mimeType: "text/html" }), { code: "invalid_image" });
  await rejection(() => sink.prepare(withoutImage), { code: "invalid_image" });
});

test("what a sync refuses before it sends is refused when it is prepared", async (t) => {
  const sink = await sinkFor(t, await scripted(t));
  for (const [fields, field] of [
    [{ slug: "100%" }, "slug"],
    [{ imageId: "42" }, "imageId"],
    [{ image: new Uint8Array() }, "image"],
    [{ mimeType: "image/webp", image: PNG }, "image"],
    [{ sludge: 1 }, "sludge"],
  ]) {
    await rejection(() => sink.prepare(aRequest(fields)), { stage: "request", field });
  }
});

test("a row that is another image's, or another owner's, is not inserted", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const prepared = await sink.prepare(aRequest({ imageId: ID }));
  const withRow = (change) => ({ ...prepared, row: JSON.stringify({ ...JSON.parse(prepared.row), ...change }) });
  for (const [spoilt, field] of [
    [withRow({ owner_user_id: "7d6f2b8e-9999-4222-8333-444455556666" }), "row"],
    [withRow({ storage_path: "2026-05-11/other-42.png" }), "row"],
    [withRow({ id: "00000000-0000-4000-8000-00000000002b" }), "row"],
    [{ ...prepared, row: "[" }, "row"],
    [{ ...prepared, row: undefined }, "row"],
    [{ ...prepared, storagePath: "../other.png" }, "storagePath"],
    [{ ...prepared, imageId: "x" }, "imageId"],
    ["prepared", "prepared"],
  ]) {
    await rejection(() => sink.insert(spoilt), { code: "invalid_request", field });
  }
  assert.deepEqual(server.requests, []);
});

test("an insert ends when its caller aborts it, and says which image it was about", async (t) => {
  const server = await scripted(t, { [POST]: [{ hang: true }, inserted] });
  const sink = await sinkFor(t, server);
  const controller = new AbortController();
  const prepared = await sink.prepare(aRequest({ imageId: ID }));
  const refused = rejection(() => sink.insert(prepared, { signal: controller.signal }), {
    code: "aborted",
    stage: "insert",
    storagePath: PATH,
    imageId: ID,
  });
  await server.until(() => server.requests.length === 1);
  controller.abort();
  await refused;
});
