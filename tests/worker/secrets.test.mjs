// The service key and the JWT secret must not leave the Worker, by whatever way.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildApp } from "../../www/local/app.mjs";
import { bundleWorker } from "../../www/local/worker.mjs";
import { until } from "../support/until.mjs";
import { fields, file, PIXEL, putUpload, startBench } from "./support.mjs";

test("the service key is in no answer, log line or staged image, whatever happens", async () => {
  const bench = await startBench({ SYNC_BACKOFF_MS: "5", RETRY_DELAY_SECONDS: "1" });
  const secrets = [bench.supabase.serviceKey, bench.supabase.jwtSecret, bench.supabase.secretKey];
  const answers = [];
  const keep = async (answer) => {
    const response = await answer;
    answers.push(JSON.stringify([...response.headers]) + (await response.text()));
  };
  try {
    const user = await bench.supabase.createUser();
    const headers = { authorization: `Bearer ${user.accessToken}` };
    await keep(bench.post(user.accessToken));
    await keep(bench.call(`/api/signed-url?path=${user.id}/2026-05-11/lighthouse-42.png`, { headers }));
    await keep(bench.call(`/api/signed-url?path=${user.id}/none.png`, { headers }));
    await keep(bench.call("/api/health"));
    await keep(bench.post(bench.supabase.serviceKey));
    await keep(bench.post(undefined, {}, { authorization: bench.supabase.serviceKey }));
    await keep(bench.post(user.accessToken, { request: fields({ slug: bench.supabase.serviceKey }) }));
    await keep(bench.post(user.accessToken, { image: file("no image") }));
    const wish = fields({ size: PIXEL.length, mimeType: "image/png", slug: "large" });
    const asked = await bench.send("/api/tickets", user.accessToken, wish);
    const ticket = await asked.clone().json();
    await keep(asked);
    await putUpload(ticket, PIXEL);
    await keep(bench.send(`/api/tickets/${ticket.ticket}/renew`, user.accessToken, {}));
    await keep(bench.send(`/api/tickets/${bench.supabase.serviceKey}/commit`, user.accessToken, wish));
    await keep(bench.send(`/api/tickets/${ticket.ticket}/commit`, user.accessToken, wish));
    bench.front.down = true;
    await keep(bench.post(user.accessToken, { request: fields({ slug: "later" }) }));
    await keep(bench.send("/api/tickets", user.accessToken, wish));
    await keep(bench.call("/api/health"));
    const bucket = await bench.worker.staged();
    const [object] = (await bucket.list({ include: ["customMetadata", "httpMetadata"] })).objects;
    answers.push(JSON.stringify(object) + (await (await bucket.get(object.key)).text()));
    bench.front.down = false;
    await until(async () => (await bucket.list()).objects.length === 0, "the staged image to arrive");
    await bench.allLogged();
  } finally {
    await bench.close();
  }
  assert.equal(answers.length, 16);
  // The caller who sent it as a slug gets it back as a path; nobody else does.
  const lines = [...answers.filter((_, i) => i !== 6), ...bench.logs];
  for (const secret of secrets) {
    assert.ok(secret.length > 10);
    for (const line of lines) assert.ok(!line.includes(secret), line);
  }
  for (const line of bench.logs) {
    const { requestId, route, status, event, imageId } = JSON.parse(line);
    assert.match(event ? imageId : requestId, /^[0-9a-f-]{36}$/);
    assert.ok(event || (route && status));
    assert.doesNotMatch(line, /eyJ|token=|sb_secret|a lighthouse/);
  }
  assert.ok(bench.logs.length >= 10);
});

test("a backend that quotes the key back is not passed on", async () => {
  const bench = await startBench({ SUPABASE_SERVICE_KEY: "sb_secret_quoted-by-nobody" });
  try {
    const user = await bench.supabase.createUser();
    const answer = await bench.post(user.accessToken);
    const text = await answer.text();
    assert.equal(answer.status, 502);
    assert.doesNotMatch(text, /quoted-by-nobody/);
    await bench.allLogged();
    assert.doesNotMatch(bench.logs.join("\n"), /quoted-by-nobody/);
  } finally {
    await bench.close();
  }
});

test("a database error that quotes values is logged and buried by its code and status alone", async () => {
  const prompt = "a very private prompt";
  for (const code of ["22P02", "P0001"]) {
    const bench = await startBench({ SYNC_BACKOFF_MS: "5", RETRY_DELAY_SECONDS: "1" });
    try {
      const { accessToken } = await bench.supabase.createUser();
      bench.front.before = async ({ method, path }, response) => {
        if (method !== "POST" || !path.startsWith("/rest/v1/images")) return;
        response.writeHead(400, { "content-type": "application/json" });
        response.end(JSON.stringify({ code, message: `invalid input: "${prompt}"`, details: null, hint: null }));
      };
      const answer = await bench.post(accessToken, { request: fields({ prompt }) });
      assert.ok(answer.status >= 400);
      bench.front.down = true;
      const staged = await (await bench.post(accessToken, { request: fields({ prompt, slug: "later" }) })).json();
      assert.equal(staged.queued, true);
      bench.front.down = false;
      const bucket = await bench.worker.staged();
      const dead = await until(() => bucket.head(`dead/${staged.imageId}`), "the image to be buried");
      assert.match(dead.customMetadata.reason, new RegExp(`"serverCode":"${code}"`));
      await bench.allLogged();
      const told = [...bench.logs, dead.customMetadata.reason].join("\n");
      assert.ok(told.includes(code));
      assert.ok(!told.includes(prompt), told);
    } finally {
      await bench.close();
    }
  }
});

test("JSON that is none is not quoted in the log", async () => {
  const bench = await startBench();
  try {
    const { accessToken } = await bench.supabase.createUser();
    // V8 says of these what it has found, and what stood around it.
    for (const request of ['{"prompt":private}', '{"seed":NaN,"prompt":"private"}', "private"]) {
      assert.equal((await bench.post(accessToken, { request })).status, 400);
      assert.equal((await bench.send("/api/tickets", accessToken, request)).status, 400);
    }
    await bench.allLogged();
    assert.equal(bench.logs.filter((line) => line.includes('"code":"invalid_request"')).length, 6);
    assert.doesNotMatch(bench.logs.join("\n"), /private|priv/);
  } finally {
    await bench.close();
  }
});

test("a redirect takes the key nowhere", async () => {
  const visited = [];
  const elsewhere = await serve((request, response) => response.end(visited.push(request.headers) && "{}"));
  const astray = await serve((request, response) =>
    request.resume().on("end", () => response.writeHead(307, { location: elsewhere.url + request.url }).end()),
  );
  const bench = await startBench({ SUPABASE_URL: astray.url, SYNC_BACKOFF_MS: "5", SYNC_DEADLINE_MS: "1000" });
  try {
    const { id, accessToken } = await bench.supabase.createUser();
    const wish = fields({ size: PIXEL.length, mimeType: "image/png" });
    const headers = { authorization: `Bearer ${accessToken}` };
    for (const answer of [
      await bench.post(accessToken),
      await bench.post(accessToken, { request: fields({ imageId: crypto.randomUUID() }) }),
      await bench.call(`/api/signed-url?path=${id}/a.png`, { headers }),
      await bench.send("/api/tickets", accessToken, wish),
    ]) {
      assert.ok(![200, 201].includes(answer.status), `${answer.status}`);
    }
    await bench.call("/api/health");
    await bench.worker.runCron();
    assert.deepEqual(visited, []);
  } finally {
    await bench.close();
    await Promise.all([astray.close(), elsewhere.close()]);
  }
});

test("a Worker without its bindings says so to its log and not to the caller", async () => {
  const bench = await startBench({ SUPABASE_SERVICE_KEY: undefined });
  try {
    const answer = await bench.post("x");
    const text = await answer.text();
    assert.equal(answer.status, 500);
    assert.equal(JSON.parse(text).code, "misconfigured");
    assert.doesNotMatch(text, /SERVICE_KEY/);
    await bench.allLogged();
    assert.ok(bench.logs.join("\n").includes("SUPABASE_SERVICE_KEY is not set"));
  } finally {
    await bench.close();
  }
});

test("no bundle and no source map holds a key", async () => {
  const { script, sourceMap } = await bundleWorker();
  const texts = new Map([
    ["the Worker's bundle", script],
    ["the Worker's source map", sourceMap],
    ["wrangler.jsonc", await readFile(new URL("../../www/worker/wrangler.jsonc", import.meta.url), "utf8")],
  ]);
  for (const [path, body] of await buildApp()) texts.set(path, body.toString("latin1"));
  assert.ok([...texts.keys()].some((path) => path.endsWith(".js.map")));
  const known = await localKeys();
  for (const [name, text] of texts) {
    for (const key of known) assert.ok(!text.includes(key), name);
    // WebAssembly's texts lie side by side, and any of them may seem to go on where it ends.
    if (!name.endsWith(".wasm")) assert.doesNotMatch(text, /sb_secret_[\w-]{8}|eyJ[\w-]{10,}\.[\w-]{10,}\./, name);
  }
});

/** Those of the embedded Supabase that this clone keeps, if it has been started. */
async function localKeys() {
  const folder = fileURLToPath(new URL("../../supabase/.local/", import.meta.url));
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    names.filter((name) => name.endsWith(".json")).map((name) => readFile(folder + name, "utf8")),
  );
  return texts.flatMap((text) => Object.values(JSON.parse(text)).filter((value) => typeof value === "string"));
}

async function serve(listener) {
  const server = createServer(listener);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
