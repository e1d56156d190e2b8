// What the parts share on Node's side: the server, Chromium, bundles, and what they ran on.
import { execFileSync, fork, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A page that takes longer than this hangs. */
const PAGE_LIMIT_MS = 10 * 60_000;

/**
 * The text of a module, bundled for a browser and minified, in bytes; `options` are esbuild's. Imports are looked up from
 * the clone's root.
 */
export async function bundle(source, options) {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: root },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    logLevel: "error",
    ...options,
  });
  return Buffer.from(outputFiles[0].contents);
}

/** For `bundle`: what is imported when it is called for is no part of what a page loads first. */
export const first = {
  name: "first",
  setup(build) {
    build.onResolve({ filter: /./ }, ({ kind, path }) =>
      kind === "dynamic-import" ? { path, external: true } : undefined,
    );
  },
};

/** How many bytes are left at the highest quality, which is the default. */
export const brotli = (bytes) => brotliCompressSync(bytes).length;

/**
 * Starts the benches' server (its settings: `server.mjs`), in a process of its own: its work is not to count as the
 * client's.
 * `open(module, parameters, listeners)` runs the default export of a module of this folder in a fresh Chromium and
 * resolves to its result.
 */
export async function startServer(settings = {}) {
  const process = fork(new URL("server.mjs", import.meta.url), [JSON.stringify(settings)]);
  let listener = () => undefined;
  let ready;
  const listening = new Promise((resolve, reject) => {
    ready = resolve;
    process.once("exit", (code) => reject(new Error(`the bench's server ended with ${code}`)));
  });
  process.on("message", async ({ url, id, name, value }) => {
    if (url) ready(url);
    else process.send({ id, value: (await listener(name, value)) ?? null });
  });
  const url = await listening;
  return {
    url,
    async open(module, parameters = {}, listeners = {}) {
      const query = new URLSearchParams({ module, parameters: JSON.stringify(parameters) });
      const browser = await startChromium(`${url}/page?${query}`);
      let limit;
      try {
        return await new Promise((resolve, reject) => {
          limit = setTimeout(() => reject(new Error(`${module}: no result in time`)), PAGE_LIMIT_MS);
          browser.ended.then(() => reject(new Error(`${module}: Chromium ended`)));
          listener = async (name, value) => {
            if (name === "result") resolve(value);
            else if (name === "failed") reject(new Error(`${module}: ${value}`));
            else return listeners[name](browser.pid, value);
          };
        });
      } finally {
        clearTimeout(limit);
        await browser.close();
      }
    },
    close: () => process.disconnect(),
  };
}

/**
 * Chromium with no debugger attached: network tracking, which every driver turns on, copies the bodies of requests.
 * The page tells its results to the server.
 */
async function startChromium(url) {
  const settings = JSON.parse(await readFile(join(root, "webdriver.json"), "utf8"));
  const profile = await mkdtemp(join(tmpdir(), "imagen-cloud-bench-"));
  // The server's certificate is its own.
  const flags = [...settings["goog:chromeOptions"].args, `--user-data-dir=${profile}`, "--ignore-certificate-errors"];
  const browser = spawn(chromium(), [...flags, url], { stdio: "ignore" });
  const ended = new Promise((resolve) => browser.once("exit", resolve));
  await new Promise((resolve, reject) => {
    browser.once("spawn", resolve);
    browser.once("error", reject);
  });
  return {
    pid: browser.pid,
    ended,
    async close() {
      browser.kill();
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

/** A key and a certificate that nobody but this process trusts, by the program openssl. */
export async function selfSigned() {
  const folder = await mkdtemp(join(tmpdir(), "imagen-cloud-bench-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  try {
    const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const files = ["-keyout", key, "-out", cert, "-days", "2"];
    execFileSync("openssl", ["req", "-x509", ...curve, ...subject, ...files], { stdio: "ignore" });
    return { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function chromium() {
  const found = [process.env.CHROME, join(root, ".tools/bin/chromium"), "/usr/bin/chromium"].find(
    (path) => path && existsSync(path),
  );
  if (!found) throw new Error("no Chromium: set CHROME to one, or run make bench");
  return found;
}

/** Runs a module of this folder in a fresh Node process and resolves to what it sends. */
export function inNode(module, parameters = {}) {
  return new Promise((resolve, reject) => {
    const child = fork(new URL(module, import.meta.url), [JSON.stringify(parameters)]);
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`${module} ended with ${code}`)));
  });
}

export async function versions() {
  const installed = async (name) => {
    const text = await readFile(join(root, "node_modules", name, "package.json"), "utf8");
    return JSON.parse(text).version;
  };
  const crate = /^version = "(.*)"/m.exec(await readFile(join(root, "Cargo.toml"), "utf8"))?.[1];
  const browser = said(chromium(), "--version").match(/[\d.]{4,}/)?.[0];
  return [
    `imagen-cloud ${crate} at ${said("git", "-C", root, "describe", "--always", "--dirty", "--exclude=*")}`,
    `Node ${process.versions.node}`,
    `Chromium ${browser}`,
    `supabase-js ${await installed("@supabase/supabase-js")}`,
    `storage-js ${await installed("@supabase/storage-js")}`,
    `postgrest-js ${await installed("@supabase/postgrest-js")}`,
    `tus-js-client ${await installed("tus-js-client")}`,
    `workbox-background-sync ${await installed("workbox-background-sync")}`,
    `@uppy/golden-retriever ${await installed("@uppy/golden-retriever")}`,
  ].join(", ");
}

function said(program, ...flags) {
  try {
    return execFileSync(program, flags, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "an unknown version";
  }
}

/** With the load at the time of asking: what else runs is in every time that is measured. */
export function machine() {
  const all = cpus();
  return `${all.length} cores (${all[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB of memory, ${process.platform}, load average ${loadavg()[0].toFixed(1)} at the start`;
}
