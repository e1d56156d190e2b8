// A bucket and a queue that fail when they have done their work, or don't answer: what was taken arrives, once, and what was removed
// does not come back. In Node, since workerd's own don't fail so.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { importModule, startClock } from "./modules.mjs";
import { encode, fields, file, mint, PIXEL } from "./support.mjs";

const SECRET = "a-secret-of-the-test-that-is-long-enough-for-it";
const USER = "00000000-0000-4000-8000-00000000000a";
const ID = "11111111-2222-4333-8444-555555555555";
const PATH = `${USER}/2026-05-11/lighthouse-42.png`;
const ENV = {
  SUPABASE_URL: "https://project.example",
  SUPABASE_SERVICE_KEY: "the-service-key",
  SUPABASE_JWT_SECRET: SECRET,
  SYNC_BACKOFF_MS: "1",
};

let createApi;
let deliverStaged;
let StagedInR2;
let settings;
before(async () => {
  ({ createApi } = await importModule("api.ts"));
  ({ deliverStaged } = await importModule("delivery.ts"));
  ({ StagedInR2 } = await importModule("cloudflare/staged.ts"));
  settings = (await importModule("settings.ts")).readSettings(ENV);
});

const FORBIDDEN = { code: "42501", message: "permission denied for table images", details: null, hint: null };

/** Supabase with its objects and rows; while it is `down`, all is 503, and while it `forbids`, no key removes anything. */
function startSupabase(t) {
  const supabase = { down: false, forbids: false, objects: new Set(), rows: new Map(), inserts: 0 };
  const missing = { statusCode: "404", error: "not_found", message: "Object not found", code: "NoSuchKey" };
  t.mock.method(globalThis, "fetch", async (input, { method = "GET", body } = {}) => {
    const { pathname, searchParams } = new URL(input);
    if (supabase.down) return new Response("down", { status: 503 });
    if (supabase.forbids && method === "DELETE") return Response.json(FORBIDDEN, { status: 403 });
    if (pathname.startsWith("/rest/")) return answerRows(supabase, method, searchParams, body);
    const path = decodeURIComponent(pathname).replace(/^.*imagen-generated\/?/, "");
    if (method === "PUT") supabase.objects.add(path);
    if (method === "DELETE") {
      const names = path === "" ? JSON.parse(body).prefixes : [path];
      return Response.json(names.filter((name) => supabase.objects.delete(name)).map((name) => ({ name })));
    }
    if (pathname.includes("/info/") && !supabase.objects.has(path)) return Response.json(missing, { status: 400 });
    return Response.json({ Key: path, Id: ID, id: ID, name: path });
  });
  t.mock.method(console, "log", () => {});
  return supabase;
}

function answerRows(supabase, method, query, body) {
  const all = [...supabase.rows.values()];
  if (method === "POST") {
    const row = [JSON.parse(body)].flat()[0];
    if (supabase.rows.has(row.id)) return Response.json({ code: "23505", message: "duplicate key" }, { status: 409 });
    supabase.inserts += 1;
    supabase.rows.set(row.id, row);
    return Response.json([row], { status: 201 });
  }
  const [name, wanted] = [...query].find(([name]) => ["id", "storage_path"].includes(name));
  const found = all.filter((row) => wanted === `eq.${row[name]}` || wanted === `in.(${row[name]})`);
  if (method === "DELETE") for (const { id } of found) supabase.rows.delete(id);
  return Response.json(found);
}

/** An R2 bucket and a queue; `trouble(operation, key)` may throw when an operation has been done. */
function startEdge(trouble) {
  const objects = new Map();
  const queued = [];
  const done = async (operation, key, result) => {
    await trouble(operation, key);
    return result;
  };
  const tell = (key, object) => ({ key, size: object.body.length, uploaded: new Date(0), ...object });
  const get = (key) => {
    const object = objects.get(key);
    if (object === undefined) return null;
    return { ...tell(key, object), arrayBuffer: async () => new Uint8Array(object.body).buffer };
  };
  const STAGED = {
    get: (key) => done("get", key, get(key)),
    head: (key) => done("head", key, get(key)),
    put(key, body, { onlyIf, ...rest } = {}) {
      if (onlyIf !== undefined && objects.has(key)) return done("put", key, null);
      objects.set(key, { body: body.slice(), ...rest });
      return done("put", key, {});
    },
    delete: (key) => done("delete", key, objects.delete(key)),
    list: ({ prefix }) => {
      const found = [...objects].filter(([key]) => key.startsWith(prefix)).map(([key, object]) => tell(key, object));
      return done("list", prefix, { objects: found, truncated: false });
    },
  };
  const DELIVERIES = {
    send(body) {
      queued.push(body);
      return done("send", body.imageId);
    },
    sendBatch(messages) {
      queued.push(...messages.map(({ body }) => body));
      return done("sendBatch", "");
    },
  };
  const staging = StagedInR2.of({ ...ENV, STAGED, DELIVERIES });
  return { objects, queued, bucket: STAGED, queue: DELIVERIES, staging, api: createApi({ env: ENV, staging }) };
}

/** Throws the first time that this operation on such a key has been done. */
function onceAfter(operation, prefix) {
  let isOver = false;
  return (done, key) => {
    if (isOver || done !== operation || !key.startsWith(prefix)) return;
    isOver = true;
    throw new Error("10001: We encountered an internal error.");
  };
}

async function ask(api, path, init = {}) {
  const headers = { authorization: `Bearer ${await mint(SECRET, { sub: USER })}`, ...init.headers };
  const answer = await api(new Request(`https://edge.example${path}`, { ...init, headers }));
  const { code, imageId, queued } = await answer.json();
  return { status: answer.status, ...(code && { code }), imageId, ...(queued && { queued }) };
}

function packed() {
  const form = new FormData();
  form.append("request", JSON.stringify(fields({ imageId: ID })));
  form.append("image", file(PIXEL));
  return encode(form, {});
}

async function post(api) {
  return ask(api, "/api/sync", { method: "POST", ...(await packed()) });
}

const arrivedOnce = ({ rows, objects, inserts }) => {
  assert.deepEqual([[...rows.keys()], [...objects], inserts], [[ID], [PATH], 1]);
};

const UNAVAILABLE = { status: 503, code: "unavailable", imageId: ID };

for (const [name, operation, prefix] of [
  ["the bucket fails when it has stored an image", "put", "staged/"],
  ["the queue fails when it has taken a message", "send", ID],
]) {
  test(`where ${name}, the image is left to its owner, and arrives once, whoever brings it`, async (t) => {
    for (const who of ["its owner", "the trigger"]) {
      const supabase = startSupabase(t);
      const { api, objects, queued, staging } = startEdge(onceAfter(operation, prefix));
      supabase.down = true;
      assert.deepEqual(await post(api), UNAVAILABLE);
      assert.deepEqual(await post(api), { status: 202, imageId: ID, queued: true }, "it is there");
      supabase.down = false;
      if (who === "its owner") assert.deepEqual(await post(api), { status: 201, imageId: ID });
      await staging.requeue(0);
      for (const { imageId } of queued) {
        assert.equal(await deliverStaged(imageId, 1, staging, settings, ENV), undefined);
      }
      arrivedOnce(supabase);
      assert.deepEqual([...objects.keys()], []);
      t.mock.restoreAll();
    }
  });
}

test("an image that is in the bucket only after its sender gave up waiting, and came again, arrives once", async (t) => {
  const supabase = startSupabase(t);
  const { api, staging, bucket, objects, queued } = startEdge(() => {});
  const { body, headers } = await packed();
  const { put } = bucket;
  let arrive;
  bucket.put = (...given) => new Promise((resolve) => (arrive = () => resolve(put(...given))));
  const clock = startClock(t);
  let refused;
  const form = { body: new Uint8Array(body), type: headers["content-type"] };
  staging.keep(form, { imageId: ID, owner: USER, storagePath: PATH }).catch((error) => {
    refused = error.message;
  });
  await clock.advance(10_000);
  assert.equal(refused, "bucket or queue did not answer");
  clock.stop();
  assert.deepEqual(await post(api), { status: 201, imageId: ID });
  arrive();
  bucket.put = put;
  await staging.requeue(0);
  assert.deepEqual(queued, [{ imageId: ID }]);
  assert.equal(await deliverStaged(ID, 1, staging, settings, ENV), undefined);
  arrivedOnce(supabase);
  assert.deepEqual([...objects.keys()], []);
});

test("an image whose staged copy goes, and the bucket says that it does not, is delivered once", async (t) => {
  const supabase = startSupabase(t);
  const { api, staging } = startEdge(onceAfter("delete", "staged/"));
  supabase.down = true;
  assert.equal((await post(api)).status, 202);
  supabase.down = false;
  assert.equal(await deliverStaged(ID, 1, staging, settings, ENV), undefined);
  arrivedOnce(supabase);
});

test("what is brought, and can't be taken off the bucket's list for a while, is not brought back after its removal", async (t) => {
  const supabase = startSupabase(t);
  let failures = 2;
  const { api, staging, objects } = startEdge((operation, key) => {
    if (operation !== "delete" || !key.startsWith("staged/") || failures === 0) return;
    failures -= 1;
    objects.set(key, { body: new Uint8Array() });
    throw new Error("10001: We encountered an internal error.");
  });
  supabase.down = true;
  assert.equal((await post(api)).status, 202);
  supabase.down = false;
  assert.equal(await deliverStaged(ID, 1, staging, settings, ENV), undefined);
  assert.deepEqual([...objects.keys()], []);
  // At Supabase itself.
  supabase.rows.clear();
  supabase.objects.clear();
  assert.equal(await deliverStaged(ID, 2, staging, settings, ENV), undefined);
  assert.deepEqual([supabase.rows.size, supabase.objects.size], [0, 0]);
});

test("where the bucket fails when it has marked a removal, nothing is removed yet, and the same again removes it", async (t) => {
  const supabase = startSupabase(t);
  const { api } = startEdge(onceAfter("put", "removed/"));
  assert.equal((await post(api)).status, 201);
  const remove = () => ask(api, `/api/images/${ID}`, { method: "DELETE" });
  assert.equal((await remove()).code, "unavailable");
  arrivedOnce(supabase);
  assert.equal((await remove()).status, 200);
  assert.deepEqual([supabase.rows.size, supabase.objects.size], [0, 0]);
  assert.deepEqual(await post(api), { status: 410, code: "image_removed", imageId: ID });
});

test("where the key may not remove what came after its removal, a later delivery does, and nothing is given up for it", async (t) => {
  const supabase = startSupabase(t);
  const { api, staging, objects } = startEdge(() => {});
  supabase.down = true;
  assert.equal((await post(api)).status, 202);
  supabase.down = false;
  // Another delivery has brought it, and has not come to the look at the mark yet.
  supabase.objects.add(PATH);
  supabase.rows.set(ID, { id: ID, owner_user_id: USER, storage_path: PATH });
  assert.ok(await staging.markRemoved(ID, { owner: USER, storagePath: PATH }, true));
  supabase.forbids = true;
  assert.equal(typeof (await deliverStaged(ID, 1, staging, settings, ENV)), "number");
  supabase.forbids = false;
  assert.equal(await deliverStaged(ID, 2, staging, settings, ENV), undefined);
  assert.deepEqual([supabase.rows.size, supabase.objects.size, ...objects.keys()], [0, 0, `removed/${ID}`]);
});

test("a Worker that lacks a binding does without it, and says so where it can't", async (t) => {
  for (const names of [[], ["STAGED"], ["DELIVERIES"], ["USER_LIMIT"]]) {
    const supabase = startSupabase(t);
    const { staging, objects, queued, ...all } = startEdge(() => {});
    const bindings = {
      STAGED: all.bucket,
      DELIVERIES: all.queue,
      USER_LIMIT: { limit: async () => ({ success: true }) },
    };
    const env = { ...ENV, ...Object.fromEntries(names.map((name) => [name, bindings[name]])) };
    const { default: worker } = await importModule("cloudflare/index.ts");
    const context = { waitUntil() {} };
    const api = (request) => worker.fetch(request, env, context);
    supabase.down = true;
    assert.deepEqual(await post(api), UNAVAILABLE, `${names}`);
    supabase.down = false;
    assert.deepEqual(await post(api), { status: 201, imageId: ID }, `${names}`);
    assert.equal((await ask(api, `/api/images/${ID}`, { method: "DELETE" })).status, 200, `${names}`);
    await worker.scheduled({}, env, context);
    const message = { body: { imageId: ID }, attempts: 1, ack: assert.fail, retry: assert.fail };
    await assert.rejects(worker.queue({ messages: [message] }, env, context), /without its bucket/);
    assert.deepEqual([objects.size, queued.length], [0, 0], `${names}`);
    t.mock.restoreAll();
  }
});

test("where the bucket fails when it has put an image aside, the next delivery puts it aside", async (t) => {
  const supabase = startSupabase(t);
  const { api, staging, objects } = startEdge(onceAfter("put", "dead/"));
  supabase.down = true;
  assert.equal((await post(api)).status, 202);
  supabase.down = false;
  supabase.rows.set(ID, { id: ID, owner_user_id: USER.replace(/a$/, "b"), storage_path: "another" });
  assert.equal(typeof (await deliverStaged(ID, 1, staging, settings, ENV)), "number");
  assert.equal(await deliverStaged(ID, 2, staging, settings, ENV), undefined);
  assert.deepEqual([...objects.keys()], [`dead/${ID}`]);
});
