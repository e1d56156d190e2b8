// What a request may be asked with beside what its route reads: other parameters, methods, headers and spellings.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { until } from "../support/until.mjs";
import { importModule } from "./modules.mjs";
import { fields, file, PIXEL, putUpload, startBench } from "./support.mjs";

let bench;
let user;
let image;
before(async () => {
  bench = await startBench({ SYNC_BACKOFF_MS: "5" });
  user = await bench.supabase.createUser();
  image = await arrived();
});
after(() => bench?.close());

async function arrived() {
  const request = fields({ slug: randomUUID(), imageId: randomUUID() });
  const taken = await bench.post(user.accessToken, { request, image: file(PIXEL) });
  assert.equal(taken.status, 201);
  return taken.json();
}

function ask(path, { method = "GET", headers, signal } = {}) {
  const all = { authorization: `Bearer ${user.accessToken}`, ...headers };
  return bench.call(path, { method, headers: all, ...(signal && { signal }) });
}

async function told(path, options) {
  const answer = await ask(path, options);
  const { code, field } = await answer.json();
  return { status: answer.status, ...(code && { code }), ...(field && { field }) };
}

test("where a list goes on is nothing to one image: it is found whatever before and limit say", async () => {
  const { before: position } = await (await ask("/api/images?limit=1")).json();
  await arrived();
  const newer = await (await ask("/api/images?limit=1")).json();
  const path = `/api/images/${newer.images[0].imageId}`;
  // The position behind the image's own, which a list that begins there does not show.
  for (const query of ["", `?before=${encodeURIComponent(newer.before ?? position)}`, "?before=x", "?limit=0"]) {
    const found = await ask(path + query);
    assert.equal(found.status, 200, query);
    assert.equal((await found.json()).imageId, newer.images[0].imageId);
  }
});

test("what no route reads in a query changes nothing, and what it reads is read once", async () => {
  const path = `/api/images/${image.imageId}`;
  for (const query of [
    "?x=1&x=2",
    "?owner=other&ids=x&select=*",
    "?TTL=60",
    "?ttl%00=60",
    "?=",
    "?&&",
    "?__proto__=1",
  ]) {
    const { status, ...found } = await (await ask(path + query)).json();
    assert.equal(status, undefined, query);
    assert.equal(found.imageId, image.imageId);
    assert.equal(found.signedUrl, undefined, query);
  }
  for (const [query, field] of [
    ["?ttl=60&ttl=60", "ttl"],
    ["?ttl=60&%74tl=61", "ttl"],
    ["?ttl=60%00", "ttl"],
    ["?ttl=", "ttl"],
    ["?columns=a&columns=b", "columns"],
  ]) {
    assert.deepEqual(await told(path + query), { status: 400, code: "invalid_request", field }, query);
  }
});

test("an id has one spelling, in capitals or not, and nothing before or behind it", async () => {
  const { imageId } = image;
  assert.equal((await ask(`/api/images/${imageId.toUpperCase()}`)).status, 200);
  assert.equal((await ask(`/api/images/%${imageId.charCodeAt(0).toString(16)}${imageId.slice(1)}`)).status, 400);
  for (const id of [
    "%00",
    `${imageId}%00`,
    `%2f${imageId}`,
    `${imageId}%2f`,
    `..%2f${imageId}`,
    `${imageId}%20`,
    `${imageId};a=b`,
  ]) {
    for (const method of ["GET", "DELETE", "HEAD"]) {
      const answer = await ask(`/api/images/${id}`, { method });
      assert.equal(answer.status, 400, `${method} ${id}`);
    }
  }
  for (const path of [`/api/images/${imageId}/`, `/api/images//${imageId}`, "/api/images/", `/API/images/${imageId}`]) {
    for (const method of ["GET", "DELETE"])
      assert.equal((await told(path, { method })).status, 404, `${method} ${path}`);
  }
  // What a URL's parser resolves was never another path.
  assert.equal((await ask(`/api/x/../images/${imageId}`)).status, 200);
});

const ROUTES = {
  "/api/sync": ["POST"],
  "/api/tickets": ["POST"],
  "/api/tickets/x/renew": ["POST"],
  "/api/tickets/x/commit": ["POST"],
  "/api/images": ["GET", "DELETE"],
  "/api/images/x": ["GET", "DELETE"],
  "/api/signed-url": ["GET"],
  "/api/health": ["GET"],
};

test("each route takes its methods, HEAD where it takes GET, and a preflight", async () => {
  const stored = await bench.snapshot();
  for (const [path, methods] of Object.entries(ROUTES)) {
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"]) {
      const isTaken = methods.includes(method === "HEAD" ? "GET" : method);
      const answer = await bench.call(path, { method });
      const wanted = path === "/api/health" ? 200 : 401;
      assert.equal(answer.status, isTaken ? wanted : 405, `${method} ${path}`);
      if (!isTaken) assert.equal(answer.headers.get("allow"), methods.join(", "));
      if (method === "HEAD") assert.equal(await answer.text(), "");
    }
    const preflight = await bench.call(path, { method: "OPTIONS", headers: { origin: bench.url } });
    assert.deepEqual([preflight.status, await preflight.text()], [204, ""]);
    assert.equal(preflight.headers.get("access-control-allow-origin"), bench.url);
  }
  assert.equal(await bench.snapshot(), stored);
});

test("an answer is whole and current, whatever part or version is asked for", async () => {
  const path = `/api/images/${image.imageId}`;
  const whole = await (await ask(path)).text();
  for (const headers of [
    { range: "bytes=0-3" },
    { "if-none-match": "*" },
    { "if-modified-since": new Date(Date.now() + 86_400_000).toUTCString() },
    { "if-match": '"x"', "if-range": '"x"' },
  ]) {
    const answer = await ask(path, { headers });
    assert.deepEqual([answer.status, await answer.text()], [200, whole]);
  }
  assert.equal((await ask(path, { method: "HEAD" })).status, 200);
});

test("a client that goes away has its removal ended all the same", async () => {
  for (const target of [
    ({ imageId }) => `/api/images/${imageId}`,
    ({ storagePath }) => `/api/images?storagePath=${encodeURIComponent(storagePath)}`,
  ]) {
    const removed = await arrived();
    const gone = new AbortController();
    bench.front.before = async ({ method, path }) => {
      if (method !== "DELETE" || !path.startsWith("/storage/") || gone.signal.aborted) return;
      gone.abort();
      // workerd has heard of it by the time it answers another request.
      await bench.call("/api/health");
    };
    try {
      await assert.rejects(ask(target(removed), { method: "DELETE", signal: gone.signal }));
      const rows = () => bench.supabase.sql("select id from imagen.images where id = $1", [removed.imageId]);
      await until(async () => (await rows()).length === 0, "its row to go");
    } finally {
      bench.front.before = undefined;
    }
    const objects = await bench.supabase.sql("select id from storage.objects where name = $1", [removed.storagePath]);
    assert.deepEqual(objects, []);
  }
});

test("a project's URL is taken as people copy it, with a slash or a service's path behind it", async () => {
  const { readSettings } = await importModule("settings.ts");
  const read = (url) => readSettings({ SUPABASE_URL: url, SUPABASE_SERVICE_KEY: "key" }).supabaseUrl;
  for (const end of ["", "/", "//", "/rest/v1", "/rest/v1/", "/storage/v1", "/storage/v1/s3", "/auth/v1//"]) {
    for (const url of ["https://x.supabase.co", "http://127.0.0.1:54321", "https://my-supabase.com/db"]) {
      assert.equal(read(url + end), url, url + end);
    }
  }
  for (const url of [
    "x.supabase.co",
    "https://",
    "https:///rest/v1",
    "https://u@x.co",
    "https://x.co?y",
    "ftp://x.co",
    "https://supabase.com/dashboard/project/abcdefghijklmnopqrst",
    "https://abcdefghijklmnopqrst.storage.supabase.co/storage/v1/s3",
    "https://db.abcdefghijklmnopqrst.supabase.co:5432",
    "postgres://postgres:password@db.abcdefghijklmnopqrst.supabase.co:5432/postgres",
    "undefined",
  ]) {
    assert.throws(() => read(url), { code: "misconfigured" }, url);
  }
  const copied = await startBench({ SUPABASE_JWT_SECRET: undefined }, { targetOf: (url) => `${url}/rest/v1/` });
  try {
    await tryAll(copied);
  } finally {
    await copied.close();
  }
});

/** What the Worker asks Supabase by itself and by the package: keys, an upload, a ticket, links and the health. */
async function tryAll(copied) {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  copied.front.jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "a", alg: "ES256" }] };
  const { id } = await copied.supabase.createUser();
  const token = await new SignJWT({ aud: "authenticated", role: "authenticated", iss: `${copied.front.url}/auth/v1` })
    .setProtectedHeader({ alg: "ES256", kid: "a" })
    .setSubject(id)
    .setExpirationTime("1h")
    .sign(privateKey);
  const sent = await copied.post(token);
  assert.equal(sent.status, 201, await sent.clone().text());
  const { storagePath } = await sent.json();
  const headers = { authorization: `Bearer ${token}` };
  const { url } = await (await copied.call(`/api/signed-url?path=${storagePath}`, { headers })).json();
  assert.equal((await fetch(url)).status, 200);
  const wish = fields({ slug: "by-ticket", size: PIXEL.length, mimeType: "image/png" });
  const ticket = await (await copied.send("/api/tickets", token, wish)).json();
  assert.ok(ticket.resumableUrl.startsWith(`${copied.front.url}/storage/v1/upload/`), ticket.resumableUrl);
  assert.equal((await putUpload(ticket, PIXEL)).status, 200);
  const { size, mimeType, ...request } = wish;
  assert.equal((await copied.send(`/api/tickets/${ticket.ticket}/commit`, token, request)).status, 201);
  assert.equal((await copied.call("/api/health")).status, 200);
}
