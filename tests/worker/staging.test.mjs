// Durable at the edge: what Supabase does not take waits in R2, and arrives once.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import { BUCKET, fields, file, PIXEL, PNG, startBench } from "./support.mjs";

const QUICK = { SYNC_BACKOFF_MS: "5", SYNC_DEADLINE_MS: "2000", RETRY_DELAY_SECONDS: "1", STAGED_STALE_SECONDS: "1" };

let bench;
let user;
let other;
let bucket;
before(async () => {
  bench = await startBench(QUICK);
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
  bucket = await bench.worker.staged();
});
after(() => bench?.close());

const request = (changes) => fields({ slug: randomUUID(), imageId: randomUUID(), ...changes });
const post = (request, { token = user.accessToken, image = file(PNG) } = {}) => bench.post(token, { request, image });
const keys = async (prefix) => (await bucket.list({ prefix })).objects.map(({ key }) => key);
const arrival = (imageId, prefix = "staged/") =>
  until(async () => (await keys(prefix + imageId)).length === 0, `${imageId} to leave ${prefix}`);

async function answer(response) {
  const { code, detail, ...body } = await response.json();
  return { status: response.status, ...(code === undefined ? body : { code }) };
}

/** Runs something while Supabase can't be had, in this way or another. */
async function without(supabase, work) {
  bench.front[supabase] = true;
  try {
    return await work();
  } finally {
    bench.front[supabase] = false;
  }
}

async function isComplete({ storagePath, imageId }, bytes = PNG) {
  const { data } = await bench.admin.storage.from(BUCKET).download(storagePath);
  assert.deepEqual(Buffer.from(await data.arrayBuffer()), bytes);
  const rows = await bench.supabase.sql("select id, owner_user_id from imagen.images where storage_path = $1", [
    storagePath,
  ]);
  assert.deepEqual(rows, [{ id: imageId, owner_user_id: user.id }]);
}

for (const [name, way] of [
  ["answers with errors", "down"],
  ["does not answer", "hangs"],
]) {
  test(`an image is taken while Supabase ${name}, and arrives when it is back`, async () => {
    const asked = request({
      prompt: "ein Leuchtturm bei Nacht — 灯台",
      sidecar: { a: [1, "ü"] },
      seed: "9007199254740993",
    });
    const started = performance.now();
    const taken = await without(way, async () => answer(await post(asked)));
    assert.ok(performance.now() - started < 20_000, "the deadline was kept, not the services' own limits");
    const place = { storagePath: `${user.id}/2026-05-11/${asked.slug}-9007199254740993.png`, imageId: asked.imageId };
    assert.deepEqual(taken, { status: 202, ...place, queued: true });
    await arrival(asked.imageId);
    await isComplete(place);
    const [row] = await bench.supabase.sql("select prompt, sidecar, seed::text from imagen.images where id = $1", [
      asked.imageId,
    ]);
    assert.deepEqual(row, { prompt: asked.prompt, sidecar: asked.sidecar, seed: asked.seed });
    assert.deepEqual(await answer(await post(asked)), { status: 201, ...place });
  });
}

test("an image without an id is given one, and the answer is true", async () => {
  const asked = request({ imageId: undefined });
  const { status, queued, ...place } = await without("down", async () => answer(await post(asked)));
  assert.deepEqual([status, queued], [202, true]);
  await arrival(place.imageId);
  await isComplete(place);
});

test("while it is staged its user is told 202 again, and another user of its id 409", async () => {
  const asked = request();
  await without("down", async () => {
    const first = await answer(await post(asked));
    const staged = await bucket.head(`staged/${asked.imageId}`);
    assert.deepEqual(await answer(await post(asked)), first);
    for (const imageId of [asked.imageId, asked.imageId.toUpperCase()]) {
      const theirs = await post({ ...asked, imageId }, { token: other.accessToken, image: file(PIXEL) });
      assert.deepEqual(await answer(theirs), { status: 409, code: "id_taken" });
    }
    const elsewhere = await post({ ...asked, slug: "elsewhere" });
    assert.deepEqual(await answer(elsewhere), { status: 409, code: "id_taken" });
    assert.equal((await bucket.head(`staged/${asked.imageId}`)).etag, staged.etag);
  });
  // Also when Supabase would take it.
  const theirs = await post(asked, { token: other.accessToken, image: file(PIXEL) });
  assert.equal(theirs.status, 409);
  await arrival(asked.imageId);
  await isComplete({ storagePath: `${user.id}/2026-05-11/${asked.slug}-42.png`, imageId: asked.imageId });
});

test("of many users who stage the same id at once, one gets it", async () => {
  const asked = request();
  const tokens = [user.accessToken, other.accessToken, user.accessToken, other.accessToken];
  const answers = await without("down", () =>
    Promise.all(tokens.map(async (token) => (await post(asked, { token })).status)),
  );
  assert.deepEqual(answers.toSorted(), [202, 202, 409, 409]);
  assert.equal(answers[0], answers[2]);
  await arrival(asked.imageId);
});

test("posted again when Supabase is back, it is done at once and no longer staged", async () => {
  const asked = request();
  await without("down", () => post(asked));
  const done = await answer(await post(asked));
  assert.equal(done.status, 201);
  assert.deepEqual(await keys(`staged/${asked.imageId}`), []);
  await isComplete(done);
});

test("a client that goes away has its image staged all the same", async () => {
  const asked = request();
  await without("hangs", async () => {
    const gone = new AbortController();
    const form = new FormData();
    form.append("request", JSON.stringify(asked));
    form.append("image", file(PNG));
    const sent = fetch(`${bench.url}/api/sync`, {
      method: "POST",
      headers: { authorization: `Bearer ${user.accessToken}` },
      body: form,
      signal: gone.signal,
    });
    const isMeant = ({ path }) => path.includes(asked.imageId);
    await until(() => bench.front.requests.some(isMeant), "the Worker to have read it");
    gone.abort();
    await assert.rejects(sent);
    await until(async () => (await keys(`staged/${asked.imageId}`)).length === 1, "the image to be staged");
  });
  await arrival(asked.imageId);
});

test("a hopeless image is moved to dead/ with the reason, bytes and all", async () => {
  const theirs = request();
  const isThere = async () => (await post(theirs, { token: other.accessToken })).status === 201;
  await until(isThere, "the other user's image to arrive, within a request or after it");
  // Whose id it is can't be known while Supabase is down.
  const asked = request({ imageId: theirs.imageId });
  const taken = await without("down", async () => answer(await post(asked)));
  assert.equal(taken.status, 202);
  await arrival(asked.imageId);
  const dead = await bucket.get(`dead/${asked.imageId}`);
  assert.match(dead.customMetadata.reason, /id_taken/);
  assert.equal(dead.customMetadata.owner, user.id);
  assert.ok(Buffer.from(await dead.arrayBuffer()).includes(PNG));
  const rows = await bench.supabase.sql("select owner_user_id from imagen.images where id = $1", [asked.imageId]);
  assert.deepEqual(rows, [{ owner_user_id: other.id }]);
});

const NOT_THE_IMAGES_FAULT = {
  "a redirect": [307, { location: "https://elsewhere.example/" }, ""],
  "a page of whatever stands there": [404, { "content-type": "text/html" }, "<h1>no such project</h1>"],
  "a gateway that knows no such route": [404, { "content-type": "application/json" }, '{"message":"no Route matched"}'],
  "a missing column": [400, { "content-type": "application/json" }, '{"code":"PGRST204","message":"no column steps"}'],
  "a policy that calls itself": [500, { "content-type": "application/json" }, '{"code":"42P17","message":"recursion"}'],
};
for (const [name, [status, headers, text]] of Object.entries(NOT_THE_IMAGES_FAULT)) {
  test(`${name} is no reason to give up an image that was taken`, async () => {
    const asked = request();
    const place = await without("down", async () => answer(await post(asked)));
    let refused = 0;
    bench.front.before = async ({ method, path }, response) => {
      if (method !== "POST" || !path.startsWith("/rest/v1/images")) return;
      refused += 1;
      response.writeHead(status, headers).end(text);
    };
    try {
      await until(() => refused > 0, "the delivery to be refused");
      await until(() => bench.logs.some((line) => line.includes(asked.imageId) && /"(delayed|buried)"/.test(line)));
    } finally {
      bench.front.before = undefined;
    }
    assert.deepEqual(await keys(`dead/${asked.imageId}`), []);
    await arrival(asked.imageId);
    await isComplete({ storagePath: place.storagePath, imageId: asked.imageId });
  });
}

test("what is staged but damaged is moved to dead/ too, and holds nobody up", async () => {
  const imageId = randomUUID();
  await bucket.put(`staged/${imageId}`, "nonsense", {
    httpMetadata: { contentType: "multipart/form-data; boundary=x" },
    customMetadata: { owner: user.id, storagePath: "x" },
  });
  await (await bench.worker.deliveries()).send({ imageId });
  await arrival(imageId);
  assert.match((await bucket.head(`dead/${imageId}`)).customMetadata.reason, /invalid_request/);
});

test("a message that is none, that came twice, or whose image is gone is done with", async () => {
  const queue = await bench.worker.deliveries();
  const gone = randomUUID();
  for (const body of [{ imageId: gone }, { imageId: gone }, { imageId: "../x" }, null, "text", 7])
    await queue.send(body);
  await until(() => bench.logs.filter((line) => line.includes(gone) && line.includes('"gone"')).length === 2);
});

test("a lost message loses no image: the cron trigger queues again what is old, and only that", async () => {
  const asked = request();
  await without("down", () => post(asked));
  const staged = await bucket.get(`staged/${asked.imageId}`);
  const bytes = await staged.arrayBuffer();
  await arrival(asked.imageId);
  // As if neither the message nor the row had ever been.
  const lost = { ...asked, imageId: randomUUID(), slug: randomUUID() };
  const text = Buffer.from(bytes).toString("latin1");
  const form = text.replace(asked.imageId, lost.imageId).replace(asked.slug, lost.slug);
  const { httpMetadata, customMetadata } = staged;
  await bucket.put(`staged/${lost.imageId}`, Buffer.from(form, "latin1"), { httpMetadata, customMetadata });
  const requeued = (count) => bench.logs.filter((line) => line.includes(`"requeued","count":${count}`)).length;
  const before = requeued(0);
  await bench.worker.runCron();
  assert.equal(requeued(0), before + 1, "too young");
  await until(async () => {
    await bench.worker.runCron();
    return (await keys(`staged/${lost.imageId}`)).length === 0;
  }, "the image to be delivered");
  await isComplete({ storagePath: `${user.id}/2026-05-11/${lost.slug}-42.png`, imageId: lost.imageId });
});

test("an image that Supabase finally refuses is refused, not staged", async () => {
  const { status } = await post(request({ slug: "not allowed: ü" }));
  assert.equal(status, 400);
  assert.equal((await post(request(), { image: file("no image") })).status, 415);
  assert.deepEqual(await keys("staged/"), []);
});

const BROKEN = "export default { fetch() { return new Response(null, { status: 500 }); } };";
for (const [name, broken, staged] of [
  ["R2", "STAGED", 0],
  ["the queue", "DELIVERIES", 1],
]) {
  test(`with Supabase and ${name} down an image is left to its owner, who comes again`, async () => {
    const edge = await startBench(QUICK, { doubles: { [broken]: BROKEN } });
    try {
      const { accessToken } = await edge.supabase.createUser();
      const parts = { request: request() };
      edge.front.down = true;
      const refused = await edge.post(accessToken, parts);
      assert.equal(refused.status, 503);
      assert.match(refused.headers.get("retry-after"), /^\d+$/);
      const problem = await refused.json();
      assert.deepEqual([problem.code, problem.imageId], ["unavailable", parts.request.imageId]);
      if (staged > 0) assert.equal((await edge.post(accessToken, parts)).status, 202, "it is safe in the bucket");
      edge.front.down = false;
      await until(async () => (await edge.post(accessToken, parts)).status === 201, "the image to arrive");
      if (staged > 0) assert.deepEqual((await (await edge.worker.staged()).list()).objects, []);
    } finally {
      await edge.close();
    }
  });
}

test("neither bucket nor queue is told a key or a token", async () => {
  const spy = `import { WorkerEntrypoint } from "cloudflare:workers";
    export default class extends WorkerEntrypoint {
      send(...message) { console.log("queued " + JSON.stringify(message)); }
    }`;
  const edge = await startBench(QUICK, { doubles: { DELIVERIES: spy } });
  try {
    const { accessToken } = await edge.supabase.createUser();
    const asked = request();
    edge.front.down = true;
    assert.equal((await edge.post(accessToken, { request: asked, image: file(PNG) })).status, 202);
    const message = edge.logs.find((line) => line.startsWith("queued "));
    assert.deepEqual(JSON.parse(message.slice(7)), [{ imageId: asked.imageId }, { delaySeconds: 1 }]);
    const bucket = await edge.worker.staged();
    const object = await bucket.get(`staged/${asked.imageId}`);
    const kept = `${JSON.stringify(object)}${Buffer.from(await object.arrayBuffer()).toString("latin1")}`;
    const { serviceKey, secretKey, jwtSecret } = edge.supabase;
    for (const secret of [serviceKey, secretKey, jwtSecret, accessToken, "eyJ", "authorization"]) {
      assert.ok(!kept.includes(secret));
    }
  } finally {
    await edge.close();
  }
});
