// Durable at the edge: what Supabase does not take waits in R2, and arrives once.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import { BUCKET, fields, file, PIXEL, PNG, startBench } from "./support.mjs";

const QUICK = { SYNC_BACKOFF_MS: "5", RETRY_DELAY_SECONDS: "1", STAGED_STALE_SECONDS: "1" };

/** The script of a service that answers nothing else. */
const BROKEN = "export default { fetch() { return new Response(null, { status: 500 }); } };";

let bench;
let user;
let other;
let bucket;
async function start(bindings) {
  bench = await startBench(bindings);
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
  bucket = await bench.worker.staged();
}
before(() => start(QUICK));
after(() => bench?.close());

/** Runs something with a Worker that soon gives up waiting for Supabase. */
async function hastily(work) {
  const patient = [bench, user, other, bucket];
  try {
    await start({ ...QUICK, SYNC_DEADLINE_MS: "5000" });
    await work();
  } finally {
    if (bench !== patient[0]) await bench.close();
    [bench, user, other, bucket] = patient;
  }
}

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

async function isTakenAndArrives(way, reason) {
  const asked = request({
    prompt: "ein Leuchtturm bei Nacht — 灯台",
    sidecar: { a: [1, "ü"] },
    seed: "9007199254740993",
  });
  const taken = await without(way, async () => answer(await post(asked)));
  const place = { storagePath: `${user.id}/2026-05-11/${asked.slug}-9007199254740993.png`, imageId: asked.imageId };
  assert.deepEqual(taken, { status: 202, ...place, queued: true });
  await bench.allLogged();
  const lines = bench.logs.map((line) => JSON.parse(line));
  const staged = lines.find(({ event, imageId }) => event === "staged" && imageId === asked.imageId);
  assert.equal(staged.cause.code, reason);
  await arrival(asked.imageId);
  await isComplete(place);
  const [row] = await bench.supabase.sql("select prompt, sidecar, seed::text from imagen.images where id = $1", [
    asked.imageId,
  ]);
  assert.deepEqual(row, { prompt: asked.prompt, sidecar: asked.sidecar, seed: asked.seed });
  assert.deepEqual(await answer(await post(asked)), { status: 201, ...place });
}

test("an image is taken while Supabase answers with errors, and arrives when it is back", () =>
  isTakenAndArrives("down", "unavailable"));

test("an image is taken while Supabase does not answer, when the Worker's time is over, and arrives when it is back", () =>
  hastily(() => isTakenAndArrives("hangs", "deadline_exceeded")));

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
  const elsewhere = await post({ ...asked, slug: `${asked.slug}-elsewhere` });
  assert.deepEqual(await answer(elsewhere), { status: 409, code: "id_taken" });
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

test("staged without a day, it is the same image when it is sent again after midnight", async () => {
  const today = request({ date: undefined });
  // As if one had been taken the day before, of which no message tells the queue.
  const asked = { ...today, imageId: randomUUID() };
  await without("down", async () => {
    const first = await answer(await post(today));
    const staged = await bucket.get(`staged/${today.imageId}`);
    const storagePath = first.storagePath.replace(/\/[\d-]+\//, "/2026-05-10/");
    const { httpMetadata, customMetadata } = staged;
    const earlier = { ...customMetadata, storagePath: encodeURIComponent(storagePath) };
    await bucket.put(`staged/${asked.imageId}`, await staged.arrayBuffer(), { httpMetadata, customMetadata: earlier });
    const again = await answer(await post(asked));
    assert.deepEqual(again, { ...first, storagePath, imageId: asked.imageId });
  });
  const done = await answer(await post(asked));
  assert.equal(done.status, 201);
  assert.match(done.storagePath, /\/2026-05-10\//);
  assert.deepEqual(await keys(`staged/${asked.imageId}`), []);
  await isComplete(done);
  await arrival(today.imageId);
});

test("posted again when Supabase is back, it is done at once and no longer staged", async () => {
  const asked = request();
  await without("down", () => post(asked));
  const done = await answer(await post(asked));
  assert.equal(done.status, 201);
  assert.deepEqual(await keys(`staged/${asked.imageId}`), []);
  await isComplete(done);
});

test("a client that goes away has its image staged all the same", () => hastily(clientGoesAway));

async function clientGoesAway() {
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
}

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

test("a lost message loses no image: the cron trigger queues again what is old", async () => {
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
  await until(async () => {
    await bench.worker.runCron();
    return (await keys(`staged/${lost.imageId}`)).length === 0;
  }, "the image to be delivered");
  await isComplete({ storagePath: `${user.id}/2026-05-11/${lost.slug}-42.png`, imageId: lost.imageId });
});

test("a trigger that can queue nothing does all else, and says so", async () => {
  const edge = await startBench({ ...QUICK, UPLOAD_MARGIN_SECONDS: "0" }, { doubles: { DELIVERIES: BROKEN } });
  try {
    const { accessToken } = await edge.supabase.createUser();
    edge.front.down = true;
    assert.equal((await edge.post(accessToken, { request: request() })).status, 503);
    edge.front.down = false;
    await edge.supabase.sql(
      `insert into storage.objects (bucket_id, name, created_at, updated_at, metadata) values ('${BUCKET}',
        '.incoming/${randomUUID()}.${randomUUID()}', now() - interval '2 years', now() - interval '2 years', '{}')`,
    );
    const events = () => edge.logs.map((line) => JSON.parse(line).event);
    await until(async () => {
      await edge.worker.runCron();
      return events().includes("not_requeued");
    }, "the staged image to be old");
    assert.deepEqual(await edge.supabase.sql("select name from storage.objects"), []);
    assert.equal((await (await edge.worker.staged()).list({ prefix: "staged/" })).objects.length, 1, "it is safe");
  } finally {
    await edge.close();
  }
});

test("triggers and messages that overlap bring each image once", async () => {
  const asked = Array.from({ length: 5 }, () => request());
  await without("down", () => Promise.all(asked.map((one) => post(one))));
  const queue = await bench.worker.deliveries();
  const triggers = Array.from({ length: 4 }, () => bench.worker.runCron());
  await Promise.all([...triggers, ...asked.map(({ imageId }) => queue.send({ imageId }))]);
  for (const { imageId, slug } of asked) {
    await arrival(imageId);
    await isComplete({ imageId, storagePath: `${user.id}/2026-05-11/${slug}-42.png` });
  }
  for (const { imageId } of asked) assert.deepEqual(await keys(`dead/${imageId}`), []);
});

test("an image that Supabase finally refuses is refused, not staged", async () => {
  const { status } = await post(request({ slug: "not allowed: ü" }));
  assert.equal(status, 400);
  assert.equal((await post(request(), { image: file("no image") })).status, 415);
  assert.deepEqual(await keys("staged/"), []);
});

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

/** A queue that loses its messages, and tells of them in the log. */
const LOSING = `import { WorkerEntrypoint } from "cloudflare:workers";
  const tell = (...given) => console.log("queued " + JSON.stringify(given));
  export default class extends WorkerEntrypoint {
    send(...message) { tell(...message); }
    sendBatch(messages) { tell(messages); }
  }`;

test("the cron trigger leaves to its message what is young", async () => {
  const edge = await startBench({ ...QUICK, STAGED_STALE_SECONDS: "3600" }, { doubles: { DELIVERIES: LOSING } });
  try {
    const { accessToken } = await edge.supabase.createUser();
    edge.front.down = true;
    assert.equal((await edge.post(accessToken, { request: request() })).status, 202);
    await edge.worker.runCron();
    await edge.allLogged();
    const logged = (text) => edge.logs.filter((line) => line.includes(text)).length;
    assert.deepEqual([logged("queued "), logged('"requeued","count":0')], [1, 1]);
  } finally {
    await edge.close();
  }
});

test("neither bucket nor queue is told a key or a token", async () => {
  const edge = await startBench(QUICK, { doubles: { DELIVERIES: LOSING } });
  try {
    const { accessToken } = await edge.supabase.createUser();
    const asked = request();
    edge.front.down = true;
    assert.equal((await edge.post(accessToken, { request: asked, image: file(PNG) })).status, 202);
    await edge.allLogged();
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
