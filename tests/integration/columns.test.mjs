// A table with columns of one's own beside ours.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { createSink, isImagenCloudError } from "imagen-cloud";
import { startEmbedded } from "../support/embedded.mjs";

const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));

let supabase;
let sink;
before(async () => {
  supabase = await startEmbedded();
  // Before it answers the first request: after it, it would know the columns that it knew.
  await supabase.script("alter table imagen.images add project_id uuid, add tags jsonb default '[]'");
  const owner = await supabase.createUser();
  sink = await createSink({
    url: supabase.url,
    apiKey: supabase.publishableKey,
    ownerUserId: owner.id,
    accessToken: () => owner.accessToken,
    initialBackoffMs: 1,
  });
});
after(async () => {
  sink?.free();
  await supabase?.close();
});

const aRequest = (fields) => ({ prompt: "a fox", backend: "test", seed: 1, image: PNG, ...fields });

async function kept({ imageId }) {
  const [row] = await supabase.sql("select project_id, tags from imagen.images where id = $1", [imageId]);
  return row;
}

test("they arrive with the image, alone and among many, as a user", async () => {
  const columns = { project_id: randomUUID(), tags: ["a", { b: null }] };
  assert.deepEqual(await kept(await sink.sync(aRequest({ columns }))), columns);
  const { project_id } = columns;
  const outcomes = await sink.syncMany([aRequest({ columns: { project_id } }), aRequest()]);
  assert.deepEqual(await Promise.all(outcomes.map(kept)), [
    { project_id, tags: [] },
    { project_id: null, tags: [] },
  ]);
});

test("an image that is there already is known by its id, whatever its columns say", async () => {
  const request = aRequest({ date: "2026-05-11", slug: "fox", imageId: randomUUID() });
  const first = { project_id: randomUUID() };
  await sink.sync({ ...request, columns: first });
  assert.equal((await sink.sync({ ...request, columns: { project_id: randomUUID() } })).imageId, request.imageId);
  assert.equal((await kept(request)).project_id, first.project_id);
});

test("a column that the table lacks is refused, and said", async () => {
  await assert.rejects(sink.sync(aRequest({ columns: { no_such: 1 } })), (error) => {
    assert.ok(isImagenCloudError(error));
    assert.deepEqual([error.code, error.stage], ["rejected", "insert"]);
    assert.match(error.message, /no_such/);
    return true;
  });
});
