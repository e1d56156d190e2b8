// Removing images, in a project in memory: the object, its thumbnail, then the row.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRelay, createSink } from "imagen-cloud";
import { aRequest, FAST, fakeSink, OWNER, rejection, scripted } from "./helpers.mjs";

test("what_sync_gives_can_be_removed_and_again", async (t) => {
  const { project, sink } = await fakeSink(t);
  const [image, other] = [await sink.sync(aRequest()), await sink.sync(aRequest({ seed: 7 }))];
  const { mimeType, ...rest } = project.objects.get(image.storagePath);
  project.objects.set(`${image.storagePath}.thumb`, { ...rest, mimeType });
  assert.deepEqual(await sink.remove(image), image);
  assert.deepEqual([...project.objects.keys()], [other.storagePath]);
  assert.deepEqual(
    project.rows.map(({ id }) => id),
    [other.imageId],
  );
  assert.deepEqual(await sink.remove(image), image);
  assert.deepEqual(await sink.remove({ imageId: image.imageId }), { imageId: image.imageId, storagePath: null });
  assert.deepEqual(await sink.remove({ storagePath: other.storagePath }), other);
  assert.deepEqual([project.objects.size, project.rows.length], [0, 0]);
});

test("many_are_removed_with_an_outcome_each", async (t) => {
  const { project, sink } = await fakeSink(t);
  const sent = await sink.syncMany(Array.from({ length: 12 }, (_, seed) => aRequest({ seed: seed + 1 })));
  project.fail({ on: "remove", times: 3 });
  const foreign = { storagePath: `${OWNER}/2026-05-11/a-1.png` };
  const outcomes = await sink.remove([...sent, foreign, { imageId: 7 }, null]);
  assert.deepEqual(outcomes.slice(0, 12), sent);
  assert.deepEqual(
    outcomes.slice(12).map(({ ok, error }) => [ok, error.code, error.field]),
    [
      [false, "invalid_request", "storagePath"],
      [false, "invalid_request", "imageId"],
      [false, "invalid_request", "images"],
    ],
  );
  assert.deepEqual([project.objects.size, project.rows.length], [0, 0]);
});

test("what_the_server_wrote_outside_of_the_users_folder_is_forbidden", async (t) => {
  const { project, sink } = await fakeSink(t);
  const server = await createSink({ ...project.serverOptions, ...FAST, pathPrefix: "" });
  t.after(() => server.free());
  const { imageId } = await server.sync(aRequest());
  await rejection(() => sink.remove({ imageId }), { code: "forbidden", stage: "remove", retryable: false, imageId });
  assert.deepEqual([project.objects.size, project.rows.length], [1, 1]);
  await server.remove({ imageId });
  assert.deepEqual([project.objects.size, project.rows.length], [0, 0]);
});

test("what_names_no_image_is_refused_before_anything_is_sent", async (t) => {
  const { project, sink } = await fakeSink(t);
  for (const [image, field] of [
    [undefined, "images"],
    ["a", "images"],
    [{}, "imageId"],
    [{ imageId: null, storagePath: undefined }, "imageId"],
    [{ imageId: "7" }, "imageId"],
    [{ imageId: 7n }, "imageId"],
    [{ storagePath: "../a" }, "storagePath"],
    [{ storagePath: "\ud800" }, "storagePath"],
  ]) {
    await rejection(() => sink.remove(image), { code: "invalid_request", stage: "request", field });
  }
  await rejection(() => sink.remove([], { download: true }), { code: "invalid_config", field: "download" });
  assert.deepEqual(await sink.remove([]), []);
  assert.equal(project.requests.length, 0);
});

test("a_removal_can_be_aborted_and_repeated", async (t) => {
  const { project, sink } = await fakeSink(t);
  const image = await sink.sync(aRequest());
  const stop = new AbortController();
  const callOff = project.fail({ on: "remove", how: "hanging", times: 9 });
  const onRetry = () => assert.fail("there is nothing to try again");
  const removing = rejection(() => sink.remove(image, { signal: stop.signal, onRetry }), { code: "aborted", ...image });
  setTimeout(() => stop.abort());
  await removing;
  callOff();
  await sink.remove(image);
  assert.deepEqual([project.objects.size, project.rows.length], [0, 0]);
});

test("a_relay_has_the_worker_remove_by_id_or_path", async (t) => {
  const imageId = "11111111-2222-4333-8444-555555555555";
  const storagePath = `${OWNER}/a b.png`;
  const server = await scripted(t, { "DELETE /api/images": [{ body: { imageId, storagePath } }] });
  const relay = await createRelay({ url: server.url, accessToken: () => "eyJ.a.b", ownerUserId: OWNER, ...FAST });
  t.after(() => relay.free());
  for (const image of [{ imageId }, { imageId, storagePath }, { storagePath }]) {
    assert.deepEqual(await relay.remove(image), { imageId, storagePath });
  }
  assert.deepEqual(
    server.requests.map(({ target }) => target),
    [
      `/api/images/${imageId}`,
      `/api/images/${imageId}?storagePath=${OWNER}/a%20b.png`,
      `/api/images?storagePath=${OWNER}/a%20b.png`,
    ],
  );
  const foreign = { storagePath: "11111111-2222-4333-8444-555555555555/a.png" };
  await rejection(() => relay.remove(foreign), { code: "invalid_request", field: "storagePath" });
});
