// A secret key has no place in a page. The host is known by its globals, which a process of its own plays here.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const ROOT = new URL("../..", import.meta.url);
const jwt = (role) => `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(JSON.stringify({ role })).toString("base64url")}.c2ln`;

const PAGE = `
  globalThis.window = globalThis.self = globalThis;
  globalThis.document = { createElement() {} };
  define("navigator", { userAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0.0.0 Safari/537.36" });
  define("process", undefined);`;
const WORKER = `
  globalThis.self = globalThis;
  globalThis.WorkerGlobalScope = class WorkerGlobalScope {};
  define("navigator", { userAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0.0.0 Safari/537.36" });
  define("process", undefined);`;
const WORKERD = `
  globalThis.self = globalThis;
  globalThis.WorkerGlobalScope = class WorkerGlobalScope {};
  globalThis.ServiceWorkerGlobalScope = class ServiceWorkerGlobalScope extends WorkerGlobalScope {};
  define("navigator", { userAgent: "Cloudflare-Workers" });
  define("process", undefined);`;

const NODE = "";

/** The code of the error, or `made`, with these globals. */
async function outcome(globals, options) {
  const script = `
    const { exit, stdout } = process;
    const { createSink, init } = await import("imagen-cloud");
    await init();
    const define = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true });
    ${globals}
    const end = (text) => stdout.write(text, () => exit.call({}, 0));
    const sink = createSink({ url: "http://localhost", ownerUserId: "o", ...${JSON.stringify(options)} });
    await sink.then((made) => made.free(), () => {});
    end(await sink.then(() => "made", (error) => error.code));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: ROOT,
  });
  return stdout;
}

const SECRETS = {
  "a secret key": "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz",
  "a service_role JWT": jwt("service_role"),
};
const PUBLIC = { "a publishable key": "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH", "an anon JWT": jwt("anon") };

for (const [where, globals] of Object.entries({ "a page": PAGE, "a worker of a page": WORKER })) {
  for (const [name, apiKey] of Object.entries(SECRETS)) {
    test(`${name} is refused in ${where}, unless that is said to be meant`, async () => {
      assert.equal(await outcome(globals, { apiKey }), "secret_key_in_browser");
      assert.equal(await outcome(globals, { apiKey, dangerouslyAllowSecretKeyInBrowser: true }), "made");
    });
  }
  for (const [name, apiKey] of Object.entries(PUBLIC)) {
    test(`${name} is fine in ${where}`, async () => {
      assert.equal(await outcome(globals, { apiKey }), "made");
    });
  }
}

/** The code and the field of the error of a call whose token this is, and what was sent, with these globals. */
async function outcomeOfToken(globals, token, options = {}) {
  const script = `
    const { exit, stdout } = process;
    const { createRelay, createSink, init } = await import("imagen-cloud");
    await init();
    const define = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true });
    ${globals}
    const sent = [];
    const fetch = async (url) => {
      sent.push(url);
      return new Response('{"message":"no"}', { status: 418 });
    };
    const { relay, ...options } = ${JSON.stringify(options)};
    const create = relay ? createRelay : createSink;
    const own = relay ? {} : { apiKey: "sb_publishable_x" };
    const made = await create({ url: "http://localhost", ...own, ...options, fetch, accessToken: () => ${JSON.stringify(token)} });
    const error = await made.signedUrl("a/b.png").catch((error) => error);
    stdout.write(JSON.stringify([error.code, error.field, sent.length]), () => exit.call({}, 0));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: ROOT,
  });
  return JSON.parse(stdout);
}

for (const [where, globals] of Object.entries({ "a page": PAGE, "a worker of a page": WORKER })) {
  for (const [name, token] of Object.entries(SECRETS)) {
    test(`${name} that accessToken gives in ${where} is refused as apiKey's is`, async () => {
      const refused = ["secret_key_in_browser", "accessToken", 0];
      assert.deepEqual(await outcomeOfToken(globals, token), refused);
      assert.deepEqual(await outcomeOfToken(globals, `Bearer ${token}\n`, { relay: true }), refused);
      const allowed = await outcomeOfToken(globals, token, { dangerouslyAllowSecretKeyInBrowser: true });
      assert.deepEqual(allowed, ["rejected", null, 1]);
    });
  }
  test(`a user's token is sent from ${where}`, async () => {
    assert.deepEqual(await outcomeOfToken(globals, jwt("authenticated")), ["rejected", null, 1]);
  });
}

test("a secret key that accessToken gives on a server is sent", async () => {
  assert.deepEqual(await outcomeOfToken(NODE, jwt("service_role")), ["rejected", null, 1]);
});

for (const [where, globals] of Object.entries({ Node: NODE, workerd: WORKERD })) {
  for (const [name, apiKey] of Object.entries(SECRETS)) {
    test(`${name} is fine in ${where}`, async () => {
      assert.equal(await outcome(globals, { apiKey }), "made");
    });
  }
}
