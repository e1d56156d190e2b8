// The chaos proxy and the verifier themselves: a fault that does not happen, or goes unseen, would prove nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULTS, startChaos } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { startScripted } from "../support/scripted.mjs";
import { sha256, verify } from "../support/verify.mjs";

async function behind(t, options, script = [{ body: { Key: "an answer that is long enough to be cut" } }]) {
  const server = await startScripted(script);
  const chaos = await startChaos({ target: server.url, delayMs: 1, blackoutMs: 50, ...options });
  t.after(async () => {
    await chaos.close();
    await server.close();
  });
  return { server, chaos };
}

/** What a client sees of one request. */
async function ask(url, method = "PUT", body = "bytes") {
  try {
    const response = await fetch(url, { method, body, headers: { connection: "close" } });
    return `${response.status} ${await response.text()}`;
  } catch {
    return "lost";
  }
}

test("the same seed breaks the same requests in the same way, another seed others", async (t) => {
  const logs = [];
  for (const seed of [7, 7, 8]) {
    const faults = FAULTS.filter((fault) => fault !== "blackout");
    const { chaos } = await behind(t, { seed, rate: 0.5, faults, retryAfterSeconds: 0 });
    for (let index = 0; index < 60; index += 1) await ask(`${chaos.url}/storage/v1/object/b/${index % 30}.png`);
    logs.push(JSON.stringify(chaos.stats.log));
  }
  assert.equal(logs[0], logs[1]);
  assert.notEqual(logs[0], logs[2]);
});

test("the order in which requests mingle does not change what happens to them", async (t) => {
  const outcomes = [];
  for (const step of [1, 7]) {
    const faults = ["cut-before", "bad-gateway", "portal"];
    const { chaos } = await behind(t, { seed: 3, rate: 0.5, faults });
    const seen = {};
    for (let index = 0; index < 40; index += 1) {
      const name = (index * step) % 40;
      seen[name] = await ask(`${chaos.url}/rest/v1/images`, "POST", `row ${name}`);
    }
    outcomes.push(seen);
  }
  assert.deepEqual(outcomes[0], outcomes[1]);
});

const AFTER_COMMIT = ["cut-after", "truncated", "garbage-after", "delay"];
const SEEN = {
  "cut-before": /^lost$/,
  "cut-after": /^lost$/,
  truncated: /^lost$/,
  "garbage-after": /^200 .*oops/s,
  portal: /^200 <!doctype html>/,
  "bad-gateway": /^502 <html>/,
  unavailable: /^503 /,
  "rate-limit": /^429 /,
  "storage-503": /^400 .*"statusCode":"503"/,
  serialization: /^500 .*"40001"/,
  delay: /^200 .*"Key"/,
  blackout: /^lost$/,
};

for (const [fault, seen] of Object.entries(SEEN)) {
  test(`${fault} does to client and server what the table says`, async (t) => {
    const { server, chaos } = await behind(t, { rate: 1, faults: [fault] });
    const path = fault === "serialization" ? "/rest/v1/images" : "/storage/v1/object/b/x.png";
    assert.match(await ask(chaos.url + path), seen);
    assert.equal(server.requests.length, AFTER_COMMIT.includes(fault) ? 1 : 0);
    assert.deepEqual(chaos.stats.faults, { [fault]: 1 });
    assert.equal(chaos.stats.forwarded, server.requests.length);
  });
}

test("cut-midway lets a half of a PATCH through", async (t) => {
  const { server, chaos } = await behind(t, { rate: 1, faults: ["cut-midway"] });
  const path = `${chaos.url}/storage/v1/upload/resumable/x`;
  assert.equal(await ask(path, "PATCH", "x".repeat(1000)), "lost");
  await server.until(() => server.requests.length === 1);
  assert.equal(server.requests[0].aborted, true);
});

test("at rate 0 everything passes unchanged", async (t) => {
  const echo = [({ headers, body }) => ({ status: 201, headers: { "x-was": headers["x-upsert"] }, body })];
  const { server, chaos } = await behind(t, { rate: 1, faults: ["cut-before"] }, echo);
  chaos.setRate(0);
  const bytes = Buffer.from([0, 255, 10, 13, 0]);
  const response = await fetch(`${chaos.url}/storage/v1/object/b/a%20b?x=%2F`, {
    method: "PUT",
    body: bytes,
    headers: { "x-upsert": "true", authorization: "Bearer k" },
  });
  assert.equal(response.status, 201);
  assert.equal(response.headers.get("x-was"), "true");
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes);
  const [{ target, headers }] = server.requests;
  assert.equal(target, "/storage/v1/object/b/a%20b?x=%2F");
  assert.equal(headers.authorization, "Bearer k");
});

test("at rate 0.2 about a fifth is broken, and every kind is among them", async (t) => {
  const faults = FAULTS.filter((fault) => !["blackout", "cut-midway"].includes(fault));
  const { chaos } = await behind(t, { seed: 11, rate: 0.2, faults });
  for (let index = 0; index < 300; index += 1) {
    await ask(`${chaos.url}/storage/v1/object/b/${index}.png`);
    await ask(`${chaos.url}/rest/v1/images`, "POST", `row ${index}`);
  }
  const broken = chaos.stats.log.length / chaos.stats.requests;
  assert.ok(broken > 0.14 && broken < 0.26, `${broken}`);
  assert.deepEqual(Object.keys(chaos.stats.faults).sort(), [...faults].sort());
});

test("a blackout takes every connection and ends", async (t) => {
  let time = 1000;
  const { chaos } = await behind(t, { rate: 0, blackouts: [{ afterRequests: 2, ms: 200 }], now: () => time });
  const path = `${chaos.url}/auth/v1/health`;
  assert.match(await ask(path), /^200/);
  assert.equal(await ask(path), "lost");
  time += 199;
  assert.equal(await ask(path), "lost");
  time += 1;
  assert.match(await ask(path), /^200/);
});

test("a fault that does not exist is refused", async () => {
  await assert.rejects(startChaos({ target: "http://localhost", faults: ["cut"] }), /no fault cut/);
});

test("the verifier finds every kind of damage, and nothing where all is well", async (t) => {
  const supabase = await startEmbedded();
  t.after(() => supabase.close());
  const { url, serviceKey } = supabase;
  const { id: owner } = await supabase.createUser();
  const headers = { apikey: serviceKey, authorization: `Bearer ${serviceKey}` };
  const put = async (path, text) => {
    const init = { method: "PUT", body: text, headers: { ...headers, "content-type": "image/png" } };
    assert.equal((await fetch(`${url}/storage/v1/object/imagen-generated/${path}`, init)).status, 200);
  };
  const insert = async (path, imageId) => {
    const row = { id: imageId, owner_user_id: owner, prompt: "p", prompt_hash: sha256("p"), backend: "b" };
    const init = {
      method: "POST",
      body: JSON.stringify({ ...row, storage_path: path }),
      headers: { ...headers, "content-type": "application/json", "content-profile": "imagen" },
    };
    assert.equal((await fetch(`${url}/rest/v1/images`, init)).status, 201);
  };
  const id = (digit) => `${digit}0000000-0000-4000-8000-000000000000`;
  const belief = (storagePath, digit, ok = true) => ({ storagePath, imageId: id(digit), sha256: sha256("well"), ok });

  const beliefs = [belief("d/well-1.png", 1)];
  await put("d/well-1.png", "well");
  await insert("d/well-1.png", id(1));
  const ask = () => verify({ url, serviceKey, beliefs });
  assert.deepEqual((await ask()).problems, []);

  beliefs.push(belief("d/gone-2.png", 2), belief("d/other-3.png", 3), belief("d/failed-4.png", 4, false));
  await put("d/other-3.png", "other");
  await insert("d/other-3.png", id(3));
  await insert("d/other-3.png", id(5));
  await put("d/failed-4.png", "well");
  await insert("d/failed-4.png", id(4));
  await put("d/orphan-6.png", "well");
  await insert("d/bare-7.png", id(7));

  const report = await ask();
  assert.deepEqual(report.missingRows, [`d/gone-2.png (${id(2)})`]);
  assert.deepEqual(report.missingObjects, ["d/gone-2.png"]);
  assert.deepEqual(report.duplicateRows, ["d/other-3.png (2 rows)"]);
  assert.deepEqual(report.orphans, ["d/orphan-6.png"]);
  assert.deepEqual(report.bareRows, [id(7)]);
  assert.deepEqual(report.unacknowledgedRows, [id(4), id(5), id(7)]);
  assert.deepEqual(report.differentBytes, ["d/other-3.png"]);
  assert.equal(report.problems.length, 9);
  assert.deepEqual([report.rows, report.objects], [5, 4]);
});
