// The link that comes with an image, in a project in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { aRequest, fakeSink, PNG, rejection } from "./helpers.mjs";

test("a_link_comes_with_the_image_by_three_requests_two_of_them_at_once", async (t) => {
  const { project, sink } = await fakeSink(t);
  const { storagePath, signedUrl } = await sink.sync(aRequest(), { signedUrl: 60 });
  assert.deepEqual(project.requests.map(({ kind }) => kind).sort(), ["insert", "sign", "upload"]);
  assert.ok(signedUrl.includes(storagePath));
  assert.deepEqual(new Uint8Array(await (await project.fetch(signedUrl)).arrayBuffer()), PNG);
  const link = { expiresIn: 60, download: "a b.png", transform: { width: 64 } };
  const small = await sink.sync(aRequest({ seed: 7 }), { signedUrl: link });
  assert.match(small.signedUrl, /\/render\/image\/sign\/.*&download=a%20b\.png$/);
  assert.equal("signedUrl" in (await sink.sync(aRequest({ seed: 8 }))), false);
  assert.equal("signedUrl" in (await sink.sync(aRequest({ seed: 9 }), { signedUrl: false })), false);
});

test("links_of_many_come_by_one_request", async (t) => {
  const { project, sink } = await fakeSink(t);
  const requests = Array.from({ length: 5 }, (_, seed) => aRequest({ seed: seed + 1 }));
  const outcomes = await sink.syncMany([...requests, aRequest({ seed: 1.5 })], { signedUrl: 60 });
  assert.equal(project.requests.filter(({ kind }) => kind === "sign").length, 1);
  for (const { storagePath, signedUrl } of outcomes.slice(0, 5)) assert.ok(signedUrl.includes(storagePath));
  assert.equal(outcomes[5].ok, false);
});

test("a_link_that_cant_be_had_fails_nothing", async (t) => {
  const { project, sink } = await fakeSink(t);
  project.fail({ on: "sign", times: 99 });
  const { imageId, signedUrl } = await sink.sync(aRequest(), { signedUrl: 60 });
  assert.equal(signedUrl, null);
  assert.equal(project.rows[0].id, imageId);
  const [outcome] = await sink.syncMany([aRequest({ seed: 7 })], { signedUrl: 60 });
  assert.deepEqual([outcome.ok, outcome.signedUrl], [true, null]);
});

test("a_link_that_nobody_can_make_is_refused_before_anything_is_sent", async (t) => {
  const { project, sink } = await fakeSink(t);
  for (const [signedUrl, field] of [
    ["60", "signedUrl"],
    [1.5, "signedUrl"],
    [{ ttl: 60 }, "signedUrl.ttl"],
    [{ transform: { quality: 101 } }, "transform.quality"],
  ]) {
    await rejection(() => sink.sync(aRequest(), { signedUrl }), { code: "invalid_request", field });
    await rejection(() => sink.syncMany([aRequest()], { signedUrl }), { code: "invalid_request", field });
  }
  assert.equal(project.requests.length, 0);
});
