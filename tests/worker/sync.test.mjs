import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeJwt } from "jose";
import { until } from "../support/until.mjs";
import { BUCKET, encode, fields, file, PIXEL, PNG, pngOf, startBench } from "./support.mjs";

let bench;
let user;
before(async () => {
  bench = await startBench({ MAX_BODY_BYTES: "1048576", ALLOWED_ORIGINS: "https://app.example, https://two.example" });
  user = await bench.supabase.createUser();
});
after(() => bench?.close());

test("a signed-in user's image arrives, object and row", async () => {
  const request = fields({ seed: "9223372036854775807", model: "m", steps: 4, latencyMs: 12, costUsdEstimate: 0 });
  const answer = await bench.post(user.accessToken, { request, image: file(PNG) });
  assert.equal(answer.status, 201);
  const { storagePath, imageId } = await answer.json();
  assert.equal(storagePath, `${user.id}/2026-05-11/lighthouse-9223372036854775807.png`);

  const { data: row, error } = await bench.admin
    .schema("imagen")
    .from("images")
    .select("*, seed::text")
    .eq("id", imageId)
    .single();
  assert.equal(error, null);
  assert.equal(row.owner_user_id, user.id);
  assert.equal(row.storage_path, storagePath);
  assert.equal(String(row.seed), "9223372036854775807");
  assert.equal(row.prompt, "a lighthouse");
  assert.equal(Number(row.cost_usd_estimate), 0);
  const { data: object } = await bench.admin.storage.from(BUCKET).download(storagePath);
  assert.deepEqual(Buffer.from(await object.arrayBuffer()), PNG);
  assert.equal(object.type, "image/png");
});

test("the signed URL it gives shows the image, and lives as long as asked", async () => {
  const { storagePath } = await (await bench.post(user.accessToken, { image: file(PNG) })).json();
  const headers = { authorization: `Bearer ${user.accessToken}` };
  for (const [ttl, seconds] of [
    ["", 3600],
    ["&ttl=1", 1],
    ["&ttl=30", 30],
    ["&ttl=86400", 86400],
  ]) {
    const answer = await bench.call(`/api/signed-url?path=${encodeURIComponent(storagePath)}${ttl}`, { headers });
    assert.equal(answer.status, 200);
    const { url } = await answer.json();
    const { iat, exp } = decodeJwt(new URL(url).searchParams.get("token"));
    assert.equal(exp - iat, seconds);
    // One second may be over before it is asked.
    if (seconds === 1) continue;
    const image = await fetch(url);
    assert.equal(image.status, 200);
    assert.deepEqual(Buffer.from(await image.arrayBuffer()), PNG);
  }
});

test("the same imageId again is answered alike and makes no second row", async () => {
  const request = fields({ slug: "twice", imageId: crypto.randomUUID() });
  const first = await bench.post(user.accessToken, { request });
  const stored = await bench.snapshot();
  const second = await bench.post(user.accessToken, { request });
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.deepEqual(await first.json(), await second.json());
  const rows = (snapshot) => JSON.parse(snapshot).rows;
  assert.deepEqual(rows(await bench.snapshot()), rows(stored));
});

test("an image that names no day is the same when it is sent again after midnight, small or by ticket", async () => {
  const asked = fields({ slug: "midnight", imageId: crypto.randomUUID(), date: "2026-05-10" });
  const first = await bench.post(user.accessToken, { request: asked });
  const done = await first.json();
  assert.equal(first.status, 201);
  for (const date of [undefined, null]) {
    const again = await bench.post(user.accessToken, { request: { ...asked, date } });
    assert.deepEqual([again.status, await again.json()], [201, done]);
    const wish = { ...asked, date, size: PIXEL.length, mimeType: "image/png" };
    const ticket = await (await bench.send("/api/tickets", user.accessToken, wish)).json();
    assert.equal(ticket.storagePath, done.storagePath);
  }
  const elsewhere = await bench.post(user.accessToken, { request: { ...asked, date: "2026-05-11" } });
  assert.equal(elsewhere.status, 409, "another day is another place");
});

test("an id that one's own image has at another place is refused before anything is stored, small or by ticket", async () => {
  const asked = fields({ slug: "first-place", imageId: crypto.randomUUID() });
  assert.equal((await bench.post(user.accessToken, { request: asked })).status, 201);
  const stored = await bench.snapshot();
  const elsewhere = { ...asked, slug: "second-place" };
  const wish = { ...elsewhere, size: PIXEL.length, mimeType: "image/png" };
  for (const send of [
    () => bench.post(user.accessToken, { request: elsewhere, thumbnail: file(PIXEL) }),
    () => bench.post(user.accessToken, { request: { ...elsewhere, imageId: asked.imageId.toUpperCase() } }),
    () => bench.send("/api/tickets", user.accessToken, wish),
  ]) {
    const answer = await send();
    assert.deepEqual([answer.status, (await answer.json()).code], [409, "id_taken"]);
    assert.equal(await bench.snapshot(), stored);
  }
});

test("the type comes from the bytes, whatever the part says", async () => {
  const image = file(PNG, { name: "a.bin", type: "application/octet-stream" });
  const answer = await bench.post(user.accessToken, { request: fields({ slug: "untyped" }), image });
  assert.equal(answer.status, 201);
  assert.match((await answer.json()).storagePath, /\.png$/);
});

test("a body that tells no length arrives whole, whatever pieces it comes in", async () => {
  const image = pngOf(300_000);
  const form = new FormData();
  form.append("request", JSON.stringify(fields({ slug: "no-length" })));
  form.append("image", file(image));
  const { body, headers } = await encode(form, { authorization: `Bearer ${user.accessToken}` });
  const cuts = [0, 1, 1_000, 70_000, 200_000, body.byteLength];
  const pieces = cuts.slice(1).map((end, index) => new Uint8Array(body.slice(cuts[index], end)));
  const answer = await bench.call("/api/sync", {
    method: "POST",
    body: ReadableStream.from(pieces),
    headers,
    duplex: "half",
  });
  assert.equal(answer.status, 201);
  const { data } = await bench.admin.storage.from(BUCKET).download((await answer.json()).storagePath);
  assert.deepEqual(Buffer.from(await data.arrayBuffer()), image);
});

test("the request's part may be a file of type application/json", async () => {
  const request = new Blob([JSON.stringify(fields({ slug: "blob" }))], { type: "application/json" });
  assert.equal((await bench.post(user.accessToken, { request })).status, 201);
});

test("forty requests at once to a fresh Worker all arrive", async () => {
  const fresh = await startBench();
  try {
    const { accessToken } = await fresh.supabase.createUser();
    const requests = Array.from({ length: 40 }, (_, seed) => fresh.post(accessToken, { request: fields({ seed }) }));
    const answers = await Promise.all(requests);
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
    assert.equal(JSON.parse(await fresh.snapshot()).rows.length, 40);
  } finally {
    await fresh.close();
  }
});

test("pages of allowed origins, and of the Worker's own, may read the answers", async () => {
  for (const origin of ["https://app.example", "https://two.example", bench.url]) {
    const preflight = await bench.call("/api/sync", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), origin);
    assert.match(preflight.headers.get("access-control-allow-headers"), /authorization/);
    const answer = await bench.post(user.accessToken, { request: fields({ slug: "cors" }) }, { origin });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get("access-control-allow-origin"), origin);
    assert.equal(answer.headers.get("vary"), "Origin");
    // A refusal has to be readable too.
    const refused = await bench.post(undefined, {}, { origin });
    assert.equal(refused.headers.get("access-control-allow-origin"), origin);
  }
});

test("every answer is kept out of caches and frames and has a request id", async () => {
  for (const path of ["/api/health", "/api/sync", "/api/nothing"]) {
    const { headers } = await bench.call(path);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.match(headers.get("content-security-policy"), /frame-ancestors 'none'/);
    assert.match(headers.get("x-request-id"), /^[0-9a-f-]{36}$/);
  }
});

test("health tells whether Supabase can be reached", async () => {
  const up = await bench.call("/api/health");
  assert.deepEqual([up.status, await up.json()], [200, { supabase: "reachable" }]);
  bench.front.down = true;
  try {
    // An answer is good for some seconds.
    const down = await until(async () => {
      const answer = await bench.call("/api/health");
      return answer.status === 503 && answer;
    }, "the answer to be asked for again");
    assert.deepEqual(await down.json(), { supabase: "unreachable" });
  } finally {
    bench.front.down = false;
  }
});

test("three hundred who ask for health at once make one request with the key", async () => {
  const cold = await startBench();
  try {
    const started = performance.now();
    const asks = Array.from({ length: 300 }, async () => (await cold.call("/api/health")).status);
    assert.deepEqual(new Set(await Promise.all(asks)), new Set([200]));
    const asked = cold.front.requests.filter(({ path }) => path.endsWith("/auth/v1/health")).length;
    // One for each three seconds that a busy machine takes for them.
    const most = 1 + Math.floor((performance.now() - started) / 3_000);
    assert.ok(asked >= 1 && asked <= most, `${asked} requests`);
  } finally {
    await cold.close();
  }
});
