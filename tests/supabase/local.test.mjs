// The embedded backend itself: its keys, its data, who may use it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import postgres from "postgres";
import { startLocal } from "../../supabase/local.mjs";
import { createDatabase, startEmbedded } from "../support/embedded.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { until } from "../support/until.mjs";
import { as, insert, objectUrl, put, row, select, send } from "./helpers.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

describe("the embedded backend's data folder", () => {
  let dataDir;
  before(async () => {
    dataDir = await mkdtemp(path.join(os.tmpdir(), "imagen-local-"));
  });
  after(() => rm(dataDir, { recursive: true, force: true }));

  test("keeps keys, users, rows and objects over a restart", async () => {
    const first = await startLocal({ dataDir, databaseUrl: "" });
    const signUp = await fetch(`${first.url}/auth/v1/signup`, {
      method: "POST",
      headers: { apikey: first.publishableKey, "content-type": "application/json" },
      body: JSON.stringify({ email: "a@example.com", password: "correct horse" }),
    });
    const session = await signUp.json();
    const user = { id: session.user.id, accessToken: session.access_token };
    await insert(first, as.user(first, user), row(user));
    await put(first, `${user.id}/kept.png`, as.user(first, user), "kept");
    await first.close();

    const second = await startLocal({ dataDir, databaseUrl: "" });
    try {
      assert.equal(second.serviceKey, first.serviceKey);
      assert.equal((await select(second, as.user(second, user))).json.length, 1);
      assert.equal((await send(second, "GET", objectUrl(`${user.id}/kept.png`), as.user(second, user))).text, "kept");
    } finally {
      await second.close();
    }
  });

  test("keeps its keys to its owner", async () => {
    const { mode } = await stat(path.join(dataDir, "keys.json"));
    assert.equal(mode & 0o777, 0o600);
  });

  test("belongs to one process at a time", async () => {
    const first = await startLocal({ dataDir, databaseUrl: "" });
    try {
      await assert.rejects(startLocal({ dataDir, databaseUrl: "" }), /is in use by process \d+/);
    } finally {
      await first.close();
    }
  });

  test("is new after a reset", async () => {
    const before = await startLocal({ dataDir, databaseUrl: "" });
    await before.close();
    const after = await startLocal({ dataDir, databaseUrl: "", reset: true });
    try {
      assert.notEqual(after.serviceKey, before.serviceKey);
      assert.deepEqual((await select(after, as.service(after))).json, []);
    } finally {
      await after.close();
    }
  });
});

describe("the end of an embedded backend", () => {
  let server;
  let database;
  let dataDir;
  let other;
  before(async () => {
    const url = process.env.IMAGEN_TEST_DATABASE_URL;
    server = url ? { url, close: async () => {} } : await startPostgres();
    database = await createDatabase(server.url);
    dataDir = await mkdtemp(path.join(os.tmpdir(), "imagen-local-"));
    other = postgres(database.url, { onnotice: () => {} });
  });
  after(async () => {
    await other?.end({ timeout: 5 });
    await database?.drop();
    await server?.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** A backend in the midst of an answer: its query waits for a lock until `release` is called, and nobody for the answer. */
  async function startInTheMidst(options) {
    const local = await startLocal({ dataDir, databaseUrl: database.url, ...options });
    const locking = await other.reserve();
    await locking.unsafe("begin; lock table storage.objects in access exclusive mode");
    const asking = new AbortController();
    const lost = fetch(local.url + objectUrl("a/b.png", "object/info"), {
      headers: as.service(local),
      signal: asking.signal,
    }).catch(() => {});
    const waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    await until(async () => (await locking.unsafe(waiting)).length > 0, "a query that waits for the lock");
    asking.abort();
    await lost;
    const release = async () => {
      await locking.unsafe("rollback");
      locking.release();
    };
    return { local, locking, release };
  }

  test("an_answer_under_way_keeps_its_database_until_it_is_over", async () => {
    const { local, locking, release } = await startInTheMidst();
    const order = [];
    const end = local.connection.close;
    local.connection.close = () => {
      order.push("the database ends");
      return end();
    };
    const closed = local.close();
    // Long enough for an end that does not wait.
    await locking.unsafe("select pg_sleep(0.1)");
    order.push("the answer goes on");
    await release();
    await closed;
    assert.deepEqual(order, ["the answer goes on", "the database ends"]);
  });

  test("an_answer_that_never_ends_holds_up_the_end_for_a_limit_only", async () => {
    const { local, release } = await startInTheMidst({ closingLimitMs: 50 });
    await local.close();
    await release();
  });

  test("a_connection_given_back_after_its_driver_was_ended_is_not_waited_for", async () => {
    const { local, release } = await startInTheMidst({ closingLimitMs: 200 });
    const ended = local.connection.close();
    await release();
    await ended;
    await local.close();
  });
});

test("what the embedded backend keeps is out of git", async () => {
  for (const file of ["supabase/.local/keys.json", "supabase/.local/pglite/PG_VERSION", "supabase/.local/objects/x"]) {
    await run("git", ["check-ignore", "-q", file], { cwd: ROOT });
  }
});

describe("a running embedded backend", () => {
  let backend;
  before(async () => {
    backend = await startEmbedded();
  });
  after(() => backend?.close());

  test("has keys that no other backend has", async () => {
    const other = await startEmbedded();
    await other.close();
    for (const name of ["jwtSecret", "anonKey", "serviceKey", "publishableKey", "secretKey"]) {
      assert.notEqual(backend[name], other[name]);
    }
    const answer = await select(backend, as.service(other));
    assert.equal(answer.status, 401);
    assert.equal(answer.json.message, "Invalid API key");
  });

  test("a second backend on its port is told so and leaves its own folder usable", async () => {
    const dataDir = await mkdtemp(path.join(os.tmpdir(), "imagen-local-"));
    const options = { dataDir, databaseUrl: "", inMemory: true };
    try {
      await assert.rejects(startLocal({ ...options, port: Number(new URL(backend.url).port) }), /port \d+ is taken/);
      await (await startLocal(options)).close();
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  test("refuses a secret key to a browser, as the hosted gateway does", async () => {
    const headers = { apikey: backend.secretKey, "user-agent": "Mozilla/5.0 (X11; Linux x86_64)" };
    assert.equal((await select(backend, headers)).status, 401);
  });

  test("answers preflights of any origin for the headers that clients send", async () => {
    const asked = "apikey,authorization,content-profile,content-type,prefer,tus-resumable,upload-metadata,x-upsert";
    for (const target of ["/rest/v1/images", objectUrl("a/b.png"), "/storage/v1/upload/resumable"]) {
      const answer = await send(backend, "OPTIONS", target, {
        origin: "https://app.example.com",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": asked,
      });
      assert.equal(answer.headers.get("access-control-allow-origin"), "*");
      const allowed = answer.headers.get("access-control-allow-headers").split(", ");
      for (const header of asked.split(",")) assert.ok(allowed.includes(header), header);
      assert.match(answer.headers.get("access-control-allow-methods"), /\bPATCH\b/);
    }
  });

  test("lets a browser read what the real servers let it read", async () => {
    const exposed = (await select(backend, as.anon(backend))).headers.get("access-control-expose-headers").split(", ");
    for (const header of ["Location", "Upload-Offset", "Upload-Length"]) assert.ok(exposed.includes(header), header);
    for (const header of ["Upload-Expires", "Tus-Complete", "Retry-After"])
      assert.ok(!exposed.includes(header), header);
  });

  test("an_older_node_is_told_instead_of_answering_uploads_with_a_500", async () => {
    const older = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } });';
    const args = ["--import", `data:text/javascript,${encodeURIComponent(older)}`, "supabase/local.mjs", "--port", "0"];
    await assert.rejects(run(process.execPath, args, { cwd: ROOT }), { code: 1, stderr: /Node 20\.20\.2 is too old/ });
  });

  test("prints nothing of what the database refuses", async () => {
    const script = `
      import { startEmbedded } from "./tests/support/embedded.mjs";
      import { as, insert, row } from "./tests/supabase/helpers.mjs";
      const backend = await startEmbedded({ databaseUrl: "" });
      const user = await backend.createUser();
      const refused = row(user, { prompt: "private", storage_path: "not/mine.png" });
      console.log((await insert(backend, as.user(backend, user), refused)).status);
      await backend.close();`;
    const printed = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: ROOT });
    assert.deepEqual(printed, { stdout: "403\n", stderr: "" });
  });
});
