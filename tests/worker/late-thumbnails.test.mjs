// A small picture that comes after its image: how long it is waited for. In Node, by a clock of the test's own.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { importModule, startClock } from "./modules.mjs";
import { encode, fields, file, PIXEL } from "./support.mjs";

const USER = { id: "00000000-0000-4000-8000-00000000000a" };
const ID = "11111111-2222-4333-8444-555555555555";
const PATH = `${USER.id}/2026-05-11/lighthouse-42.png`;
const ENV = { SUPABASE_URL: "https://project.example", SUPABASE_SERVICE_KEY: "the-service-key" };

let deliverStaged;
let withThumbnail;
let settings;
before(async () => {
  ({ deliverStaged } = await importModule("delivery.ts"));
  ({ withThumbnail } = await importModule("thumbnail.ts"));
  settings = (await importModule("settings.ts")).readSettings(ENV);
});

/** Supabase, of which requests for small pictures are answered when `answer` is called; `rows` are those at the image's path. */
function startSupabase(t, rows = []) {
  const supabase = { asked: [], inserted: 0, answer: undefined };
  t.mock.method(console, "log", () => {});
  t.mock.method(globalThis, "fetch", async (input, { method = "GET", body, signal } = {}) => {
    const { pathname, searchParams } = new URL(input);
    supabase.asked.push(`${method} ${pathname.replace(/^.*\//, "")}`);
    if (pathname.endsWith(".thumb")) {
      return new Promise((resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
        supabase.answer = () => resolve(Response.json({ Key: "a", Id: ID }));
      });
    }
    if (method === "PUT") return Response.json({ Key: "a", Id: ID });
    if (method === "GET") return Response.json(searchParams.has("storage_path") ? rows : []);
    supabase.inserted += 1;
    return Response.json([JSON.parse(body)].flat(), { status: 201 });
  });
  return supabase;
}

/** The form of an image with a small picture, staged. */
async function stagingOf() {
  const form = new FormData();
  form.append("request", JSON.stringify(fields({ imageId: ID })));
  form.append("image", file(PIXEL));
  form.append("thumbnail", file(PIXEL));
  const { body, headers } = await encode(form, {});
  const packed = { body: new Uint8Array(body), type: headers["content-type"] };
  const staging = { released: 0 };
  return Object.assign(staging, {
    find: async () => ({ owner: USER.id, storagePath: PATH, size: body.byteLength }),
    open: async () => packed,
    findRemoval: async () => undefined,
    release: async () => {
      staging.released += 1;
    },
  });
}

test("a delivery, which nobody waits for, brings a small picture that comes some seconds after its image", async (t) => {
  const supabase = startSupabase(t);
  const staging = await stagingOf();
  const clock = startClock(t);
  const delivery = deliverStaged(ID, 1, staging, settings, ENV);
  while (supabase.inserted === 0 || supabase.answer === undefined) await clock.settle();
  await clock.advance(10_000);
  assert.equal(staging.released, 0, "it is waited for");
  supabase.answer();
  clock.stop();
  assert.equal(await delivery, undefined);
  assert.equal(staging.released, 1);
  assert.deepEqual(
    supabase.asked.filter((asked) => asked.endsWith(".thumb")),
    ["PUT lighthouse-42.png.thumb"],
    "and not removed",
  );
});

test("an image waits two seconds for a small picture that never comes, and one for an earlier image's to be removed", async (t) => {
  const supabase = startSupabase(t, [{ id: "another", owner_user_id: USER.id, storage_path: PATH }]);
  const clock = startClock(t);
  const place = { imageId: ID, storagePath: PATH };
  const thumbnail = { path: `${PATH}.thumb`, bytes: new Uint8Array(PIXEL), mimeType: "image/png" };
  let done;
  withThumbnail(thumbnail, place, settings, settings.syncDeadlineMs, async () => "the image").then((outcome) => {
    done = outcome;
  });
  await clock.advance(1_999);
  assert.deepEqual(supabase.asked, ["PUT lighthouse-42.png.thumb"]);
  await clock.advance(1);
  while (supabase.asked.length < 3) await clock.settle();
  assert.deepEqual(supabase.asked.slice(1), ["GET images", "DELETE lighthouse-42.png.thumb"]);
  await clock.advance(999);
  assert.equal(done, undefined);
  await clock.advance(1);
  assert.equal(done, "the image");
});
