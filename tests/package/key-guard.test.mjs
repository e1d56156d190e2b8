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

for (const [where, globals] of Object.entries({ Node: NODE, workerd: WORKERD })) {
  for (const [name, apiKey] of Object.entries(SECRETS)) {
    test(`${name} is fine in ${where}`, async () => {
      assert.equal(await outcome(globals, { apiKey }), "made");
    });
  }
}
