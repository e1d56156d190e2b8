// A removal and a delivery that gives an image up, at the same time: whoever is later clears away what the other one left. In Node,
// since in workerd nobody can be kept waiting at a step.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { importModule } from "./modules.mjs";

const USER = { id: "00000000-0000-4000-8000-00000000000a" };
const ID = "11111111-2222-4333-8444-555555555555";
const PATH = `${USER.id}/2026-05-11/lighthouse-42.png`;
const SETTINGS = {
  SUPABASE_URL: "https://project.example",
  SUPABASE_SERVICE_KEY: "the-service-key",
  SYNC_BACKOFF_MS: "1",
};

let StagedInR2;
let removeImage;
let settings;
before(async () => {
  ({ StagedInR2 } = await importModule("cloudflare/staged.ts"));
  ({ removeImage } = await importModule("images.ts"));
  settings = (await importModule("settings.ts")).readSettings(SETTINGS);
});

/** A staging with one image of the user's; `during(operation, key)` runs before each operation of its bucket. */
function staged(during) {
  const objects = new Map([
    [`staged/${ID}`, { body: "a form", customMetadata: { owner: USER.id, storagePath: encodeURIComponent(PATH) } }],
  ]);
  const step = (operation, work) => async (key, body, options) => {
    await during(operation, key);
    return work(key, body, options);
  };
  const get = (key) => {
    const object = objects.get(key);
    return object === undefined ? null : { size: 6, ...object };
  };
  const bucket = {
    get: step("get", get),
    head: step("head", get),
    put: step("put", (key, body, { customMetadata }) => objects.set(key, { body, customMetadata })),
    delete: step("delete", (key) => objects.delete(key)),
  };
  return { objects, staging: StagedInR2.of({ ...SETTINGS, STAGED: bucket, DELIVERIES: {} }) };
}

/** Runs `work` once, at this step of another. */
function at(operation, key, work) {
  let isDone = false;
  return async (...step) => {
    if (isDone || step[0] !== operation || step[1] !== key) return;
    isDone = true;
    await work();
  };
}

test("removed while it is put aside, an image leaves nothing in the bucket", async () => {
  const { objects, staging } = staged(
    at("put", `dead/${ID}`, async () => {
      assert.ok(await staging.markRemoved(ID, { owner: USER.id, storagePath: PATH }, true));
      await staging.release(ID);
    }),
  );
  await staging.bury(ID, "invalid_request", "of the test");
  assert.deepEqual([...objects.keys()], [`removed/${ID}`]);
});

test("put aside while it is removed, an image leaves nothing in the bucket", async (t) => {
  const asked = [];
  t.mock.method(globalThis, "fetch", async (input, init) => {
    const { pathname } = new URL(input);
    asked.push(`${init?.method ?? "GET"} ${pathname}`);
    if (!pathname.includes("/object/info/")) return Response.json([]);
    return Response.json({ statusCode: "404", error: "not_found", message: "Object not found" }, { status: 400 });
  });
  const { objects, staging } = staged(
    at("put", `removed/${ID}`, () => staging.bury(ID, "invalid_request", "of the test")),
  );
  const removed = await removeImage({ imageId: ID }, USER, settings, staging);
  assert.deepEqual(removed, { imageId: ID, storagePath: PATH });
  assert.deepEqual([...objects.keys()], [`removed/${ID}`]);
});

test("a staged image that can't be deleted at once is not brought a second time", async () => {
  let failures = 1;
  const { objects, staging } = staged(async (operation, key) => {
    if (operation !== "delete" || key !== `staged/${ID}` || failures === 0) return;
    failures -= 1;
    throw new Error("10001: internal error");
  });
  await staging.release(ID);
  assert.deepEqual([...objects.keys()], []);
  assert.equal(failures, 0);
});
