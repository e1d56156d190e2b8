// Names that nobody had to think of: the slug of a prompt, today's date, a user's own folder.
import assert from "node:assert/strict";
import { test } from "node:test";
import { slugify } from "imagen-cloud";
import { aRequest, OWNER, POST, rejection, scripted, sentTo, sinkFor } from "./helpers.mjs";

const ID = "00000000-0000-4000-8000-00000000002a";
const today = () => new Date().toISOString().slice(0, 10);

test("a slug is the same whatever the host's own Unicode says", async () => {
  assert.equal(await slugify("Café über Łódź"), "cafe-uber-lodz");
  assert.equal(await slugify("Café über Łódź".normalize("NFD")), "cafe-uber-lodz");
  assert.match(await slugify("夜の灯台"), /^[0-9a-f]{8}$/);
  assert.equal(await slugify("夜の灯台"), await slugify("夜の灯台"));
  const long = await slugify("a lighthouse at dusk ".repeat(100_000));
  assert.match(long, /^a-lighthouse-at-dusk-.*-[0-9a-f]{8}$/);
  assert.ok(long.length <= 60);
});

test("what is no text has no slug", async () => {
  for (const text of [undefined, null, 1, {}, ["a"], "a\ud800", "a\0b"]) {
    await rejection(() => slugify(text), { code: "invalid_request", field: "text" });
  }
});

test("without a slug two images never share a path, and a repeated call has the same one", async (t) => {
  const server = await scripted(t, { [POST]: [({ body }) => ({ status: 201, body: [JSON.parse(body)].flat() })] });
  const sink = await sinkFor(t, server);
  const request = aRequest({ prompt: "Café über Łódź", slug: undefined });
  const { storagePath } = await sink.sync({ ...request, imageId: ID });
  assert.equal(storagePath, "2026-05-11/cafe-uber-lodz-42-00000000002a.png");
  assert.equal((await sink.sync({ ...request, imageId: ID.toUpperCase() })).storagePath, storagePath);
  const outcomes = await sink.syncMany([request, request, { ...request, slug: null }]);
  for (const { storagePath: path, imageId } of outcomes) {
    assert.equal(path, `2026-05-11/cafe-uber-lodz-42-${imageId.slice(-12)}.png`);
  }
  assert.equal(new Set(outcomes.map((outcome) => outcome.storagePath)).size, 3);
  const { row } = await sink.prepare({ ...request, imageId: ID });
  assert.equal(JSON.parse(row).storage_path, storagePath);
});

test("without a date the path has the call's day in UTC", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const before = today();
  const { storagePath } = await sink.sync(aRequest({ date: undefined }));
  assert.ok([before, today()].map((day) => `${day}/lighthouse-42.png`).includes(storagePath), storagePath);
});

test("an empty slug or date is an error, as one that is missing was in the seed", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  for (const field of ["slug", "date"]) {
    await rejection(() => sink.sync(aRequest({ [field]: "" })), { code: "invalid_request", field });
  }
  assert.equal(server.requests.length, 0);
});

test("a user's images go into the user's folder unless another one is given", async (t) => {
  const server = await scripted(t);
  const user = { accessToken: () => "token", ownerUserId: OWNER.toUpperCase() };
  const pathOf = async (options) => {
    const sink = await sinkFor(t, server, options);
    return (await sink.sync(aRequest())).storagePath;
  };
  assert.equal(await pathOf(user), `${OWNER}/2026-05-11/lighthouse-42.png`);
  assert.equal(await pathOf({ ...user, pathPrefix: "Made" }), "Made/2026-05-11/lighthouse-42.png");
  assert.equal(await pathOf({ ...user, pathPrefix: "" }), "2026-05-11/lighthouse-42.png");
  assert.equal(await pathOf({}), "2026-05-11/lighthouse-42.png");
  assert.deepEqual(
    sentTo(server, POST).map(({ body }) => JSON.parse(body).owner_user_id),
    Array(4).fill(OWNER),
  );
});

test("a relay leaves the slug to the Worker, which makes the same one", async (t) => {
  const { createRelay } = await import("imagen-cloud");
  const server = await scripted(t, () => ({ status: 201, body: { storagePath: "u/a.png", imageId: ID } }));
  const relay = await createRelay({ url: server.url, accessToken: () => "token", ownerUserId: OWNER });
  t.after(() => relay.free());
  await relay.sync(aRequest({ slug: undefined, date: undefined, imageId: ID }));
  const form = server.requests[0].body.toString("latin1");
  const fields = JSON.parse(/\{"imageId".*?\}(?=\r\n)/s.exec(form)[0]);
  assert.ok(!("slug" in fields) && /^\d{4}-\d\d-\d\d$/.test(fields.date), form.slice(0, 600));
});
