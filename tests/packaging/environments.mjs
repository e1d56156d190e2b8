// The package as its users get it: packed, installed into a new project, loaded by every kind of host and bundler, and
// sending one image to the embedded backend. Each environment loads exactly one .wasm, once.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { copyFile, cp, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync } from "node:zlib";
import { createSink } from "imagen-cloud";
import { startBrowser } from "../support/browser.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { startSite } from "../support/site.mjs";
import { served, usualEnv } from "./served.mjs";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FIXTURES = path.join(ROOT, "tests/packaging/fixtures");
const TOOLS = path.join(ROOT, "tests/packaging/tools");
const IMAGE = path.join(ROOT, "tests/data/lighthouse.png");

/** Of the workspace, or of tests/packaging/tools, which `make package-test` installs. */
const ours = createRequire(import.meta.url);
const tools = createRequire(path.join(TOOLS, "package.json"));
const program = (name) => path.join(ROOT, "node_modules/.bin", name);

/** Where each version of Next.js is installed; the newest is the example's. */
const NEXT = {
  14: "tests/packaging/hosts/next14",
  15: "tests/packaging/hosts/next15",
  16: "examples/next",
};

/**
 * Every environment by its name: takes a project with the package installed and sends from it.
 * @type {Record<string, Environment>}
 * @typedef {object} Environment
 * @property {string} fixture
 * @property {typeof installTarball} [install]
 * @property {string} [entry] "imagen-cloud" if it is left out
 * @property {(project: Project) => Promise<Sent>} send
 * @typedef {object} Project
 * @property {string} folder
 * @property {string} entry
 * @property {object} given what fixtures/send.js takes
 * @property {import("playwright-core").Browser} browser
 * @typedef {object} Sent
 * @property {object} answer what fixtures/send.js answers
 * @property {string[]} files what was loaded, as it is served or deployed
 * @property {string[]} [requests] what a browser asked for
 */
export const environments = {
  "page, no bundler": { fixture: "plain", send: (project) => inPage(project, ".", askPage) },
  "page, esbuild": {
    fixture: "page",
    async send(project) {
      await esbuild(project, "main.js", "--format=esm");
      return inPage(project, "dist", askPage);
    },
  },
  "page, Rollup (not minified)": {
    fixture: "page",
    async send(project) {
      const { rollup } = tools("rollup");
      const input = path.join(project.folder, "main.js");
      const bundle = await rollup({ input, plugins: [tools("@rollup/plugin-node-resolve").nodeResolve()] });
      await bundle.write({ dir: path.join(project.folder, "dist"), format: "es" });
      await copyWasm(project);
      return inPage(project, "dist", askPage);
    },
  },
  "page, webpack 5": {
    fixture: "page",
    async send(project) {
      const options = { mode: "production", context: project.folder, entry: "./main.js" };
      await promisify(tools("webpack"))({ ...options, output: { path: path.join(project.folder, "dist") } });
      // What it writes is a classic script.
      const html = await readFile(path.join(project.folder, "index.html"), "utf8");
      await writeFile(path.join(project.folder, "dist/index.html"), html.replace('type="module"', "defer"));
      return inPage(project, "dist", askPage);
    },
  },
  "page, Vite build": {
    fixture: "page",
    async send(project) {
      await run(program("vite"), ["build", "--logLevel=warn"], { cwd: project.folder });
      return inPage(project, "dist", askPage);
    },
  },
  ...Object.fromEntries(
    ["5", "6", "7"].map((version) => [
      `page, Vite ${version} dev`,
      { fixture: "page", send: async (project) => inViteDev(project, version, await documentedViteOptions()) },
    ]),
  ),
  "page, Vite 8 dev": { fixture: "page", send: (project) => inViteDev(project, "8") },
  "page, Vite 8 dev, from the folder": {
    fixture: "page",
    install: installFromFolder,
    send: (project) => inViteDev(project, "8"),
  },
  "module worker, no bundler": {
    fixture: "plain",
    send: (project) => inPage(project, ".", askWorker, "empty.html"),
  },
  "module worker, Vite build": {
    fixture: "page",
    async send(project) {
      await copyFile(path.join(project.folder, "in-worker.js"), path.join(project.folder, "main.js"));
      await run(program("vite"), ["build", "--logLevel=warn"], { cwd: project.folder });
      return inPage(project, "dist", askPage);
    },
  },
  "service worker, no bundler": {
    fixture: "plain",
    send: (project) => inPage(project, ".", askServiceWorker, "empty.html", { type: "module" }),
  },
  "service worker, esbuild, classic": {
    fixture: "page",
    async send(project) {
      await esbuild(project, "sw.js", "--format=iife", "--log-override:empty-import-meta=silent");
      return inPage(project, "dist", askServiceWorker, "", { type: "classic" });
    },
  },
  "Node, import": {
    fixture: "node",
    send: (project) => byProgram(project, process.execPath, ["import.mjs"]),
  },
  "Node, require": {
    fixture: "node",
    send: (project) => byProgram(project, process.execPath, ["require.cjs"]),
  },
  "Node, Vite build --ssr": {
    fixture: "node",
    async send(project) {
      await run(program("vite"), ["build", "--ssr", "import.mjs", "--logLevel=warn"], { cwd: project.folder });
      return byProgram(project, process.execPath, ["dist/import.js"]);
    },
  },
  "Node, Vite build --ssr, one bundle": {
    fixture: "node",
    async send(project) {
      const config = "export default { ssr: { noExternal: true } };";
      await writeFile(path.join(project.folder, "vite.config.js"), config);
      await run(program("vite"), ["build", "--ssr", "import.mjs", "--logLevel=warn"], { cwd: project.folder });
      return byBundle(project, "dist/import.js");
    },
  },
  ...Object.fromEntries(
    ["node", "jsdom", "happy-dom"].map((environment) => [
      `vitest, ${environment}`,
      { fixture: "vitest", send: (project) => inVitest(project, environment) },
    ]),
  ),
  ...Object.fromEntries(
    ["14", "15", "16"].flatMap((version) => [
      [
        `Next.js ${version}, client component`,
        { ...next(version), send: (project) => inNext(project, "start", askPage) },
      ],
      [
        `Next.js ${version}, server action`,
        { ...next(version), send: (project) => inNext(project, "start", askAction) },
      ],
    ]),
  ),
  "Next.js 16 dev, client component": {
    ...next("16"),
    send: (project) => inNext(project, "dev", askPage),
  },
  "Next.js 16 dev, server action": {
    ...next("16"),
    send: (project) => inNext(project, "dev", askAction),
  },
  "workerd, wrangler": {
    fixture: "workerd",
    async send({ folder, given }) {
      const env = { ...process.env, WRANGLER_SEND_METRICS: "false" };
      await run(program("wrangler"), ["deploy", "--dry-run", "--outdir", "dist"], { cwd: folder, env });
      const files = (await filesIn(path.join(folder, "dist"))).filter((file) => /\.(js|wasm)$/.test(file));
      return { answer: await inWorkerd(folder, files, given), files };
    },
  },
  Deno: {
    fixture: "node",
    send: (project) => byProgram(project, denoProgram(), ["run", "-A", "--node-modules-dir=manual", "import.mjs"]),
  },
  Bun: {
    fixture: "node",
    send: (project) => byProgram(project, bunProgram(), ["import.mjs"]),
  },
};

/** Each way of finding a `.wasm` once more, with the package's other entry. */
const WITH_OUTBOX = [
  "page, no bundler",
  "page, esbuild",
  "page, Rollup (not minified)",
  "page, webpack 5",
  "page, Vite build",
  "page, Vite 7 dev",
  "page, Vite 8 dev",
  "service worker, esbuild, classic",
  "Node, import",
  "Node, Vite build --ssr, one bundle",
  "Next.js 16, client component",
  "Next.js 16, server action",
  "workerd, wrangler",
  "Deno",
  "Bun",
];
for (const name of WITH_OUTBOX)
  environments[`outbox: ${name}`] = { ...environments[name], entry: "imagen-cloud/outbox" };

/** What a fixture or a documented command says of the package, of one of its entries. */
function ofEntry(text, entry) {
  if (entry === "imagen-cloud") return text;
  return text
    .replaceAll('"imagen-cloud"', `"${entry}"`)
    .replaceAll("imagen-cloud/browser.js", "imagen-cloud/outbox-browser.js")
    .replaceAll("imagen_cloud_bg.wasm", "imagen_cloud_outbox_bg.wasm");
}

/** One test for each of these environments, and their table at the end. */
export function testEnvironments(names) {
  const rows = [];
  let packed;
  let installed;
  let backend;
  let browser;
  let user;

  before(async () => {
    packed = await pack();
    installed = await createProject(packed.tarball);
    [backend, browser] = await Promise.all([startEmbedded(), startBrowser()]);
    user = await backend.createUser();
  });
  after(async () => {
    await Promise.all([packed?.remove(), installed?.remove(), backend?.close(), browser?.close()]);
    console.log(table(rows));
  });
  /** What npm made of an empty project, which it need not make for each environment. */
  const copyInstalled = (folder) => cp(installed.folder, folder, { recursive: true });

  for (const [index, name] of names.entries()) {
    test(`the packed package sends an image: ${name}`, async () => {
      const { fixture, install = copyInstalled, entry, send } = environments[name];
      const begun = Date.now();
      const project = await createProject(packed.tarball, fixture, install, entry);
      try {
        const { url, publishableKey: apiKey } = backend;
        const image = await readFile(IMAGE);
        const given = {
          sink: { url, apiKey, ownerUserId: user.id, pathPrefix: user.id },
          accessToken: user.accessToken,
          image: image.toString("base64"),
          about: { date: "2026-05-11", slug: "packed", seed: index, prompt: name, backend: "fixture" },
        };
        const sent = await send({ ...project, browser, given });
        assert.equal(sent.answer.error, undefined);
        await verify(backend, sent.answer, image);
        const requests = sent.requests?.filter((file) => file.endsWith(".wasm"));
        if (requests) assert.equal(requests.length, 1, `asked for ${requests}`);
        assert.equal(sent.answer.instances, 1, "instances of the WebAssembly");
        if (sent.files.length > 0) assert.equal(sent.files.filter((file) => file.endsWith(".wasm")).length, 1);
        rows.push({ name, ...(await sizes(sent.files)), instances: sent.answer.instances, ms: Date.now() - begun });
      } finally {
        await project.remove();
      }
    });
  }
}

/** `npm pack` of the package, as it would be published. */
export async function pack() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "imagen-packed-"));
  const { stdout } = await run("npm", ["pack", "./pkg", "--json", "--pack-destination", folder], { cwd: ROOT });
  const [{ filename, files }] = Object.values(JSON.parse(stdout));
  return {
    tarball: path.join(folder, filename),
    files: files.map((file) => file.path),
    remove: () => rm(folder, { recursive: true }),
  };
}

// It has no dependencies: nothing is fetched. And users need no install scripts.
const INSTALL = ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"];

export function installTarball(folder, tarball) {
  return run("npm", [...INSTALL, tarball], { cwd: folder });
}

/** As the README says, of a clone that lies beside the project. */
async function installFromFolder(folder) {
  const readme = await readFile(path.join(ROOT, "README.md"), "utf8");
  const [, flags] = readme.match(/`npm install (.*?)\.\.\/imagen-cloud\/pkg`/);
  await run("npm", [...INSTALL, ...flags.split(" ").filter(Boolean), path.join(ROOT, "pkg")], { cwd: folder });
}

/** A framework with its packages, as they are installed in a folder of the repository. */
function installBeside(host) {
  return async (folder, tarball) => {
    const from = path.join(ROOT, host);
    await copyFile(path.join(from, "package.json"), path.join(folder, "package.json"));
    // Links instead of copies, where both lie on one disk: it is 300 MB.
    const [source, target] = [path.join(from, "node_modules"), path.join(folder, "node_modules")];
    await run("cp", ["-al", source, target]).catch(() => run("cp", ["-a", source, target]));
    await installTarball(folder, tarball);
  };
}

/** A new project, far from the workspace, with a copy of a fixture and the package installed from its tarball. */
export async function createProject(tarball, fixture, install = installTarball, entry = "imagen-cloud") {
  const folder = await mkdtemp(path.join(os.tmpdir(), "imagen-project-"));
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    await writeFile(path.join(folder, "package.json"), '{ "name": "fixture", "private": true, "type": "module" }\n');
    if (fixture) {
      await cp(path.join(FIXTURES, fixture), folder, { recursive: true });
      for (const file of await filesIn(folder)) {
        await writeFile(file, ofEntry(await readFile(file, "utf8"), entry));
      }
      await copyFile(path.join(FIXTURES, "send.js"), path.join(folder, "send.js"));
    }
    await install(folder, tarball);
    return { folder, entry, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** What the backend holds is what was sent. */
async function verify(backend, { storagePath, imageId, link }, image) {
  const rows = await backend.sql("select storage_path from imagen.images where id = $1", [imageId]);
  assert.deepEqual(rows, [{ storage_path: storagePath }]);
  const stored = await fetch(link);
  assert.equal(stored.status, 200);
  assert.deepEqual(Buffer.from(await stored.arrayBuffer()), image);
}

async function esbuild(project, entry, ...flags) {
  const usual = ["--bundle", "--minify", "--outdir=dist", "--log-level=warning"];
  const { stderr } = await run(program("esbuild"), [entry, ...usual, ...flags], { cwd: project.folder });
  assert.equal(stderr, "", "esbuild warns");
  await copyWasm(project);
}

/** The step that docs/hosts.md gives for bundlers that leave the file where it is; and the page. */
async function copyWasm({ folder, entry }) {
  const hosts = await readFile(path.join(ROOT, "docs/hosts.md"), "utf8");
  const [, step] = hosts.match(/^```sh\n(.* cp node_modules\/imagen-cloud\/.*)\n```$/m);
  await run("sh", ["-c", ofEntry(step, entry)], { cwd: folder });
  await copyFile(path.join(folder, "index.html"), path.join(folder, "dist/index.html"));
}

/** Serves a folder of the project to a page that sends. */
async function inPage({ folder, browser, given }, served, ask, page = "", registration = undefined) {
  const site = await startSite({ "/": path.join(folder, served) });
  try {
    const answer = await onPage(browser, `${site.url}/${page}`, ask, { ...given, registration });
    const requests = [...site.served];
    const files = [...new Set(requests)].filter(
      (file) => /\.(js|wasm)$/.test(file) && path.basename(file) !== "send.js",
    );
    return { answer, files, requests };
  } finally {
    await site.close();
  }
}

async function onPage(browser, url, ask, given) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(url);
    // A framework's page takes a moment to have what is asked for.
    if (ask === askPage || ask === askAction) await page.waitForFunction(() => window.send);
    return await page.evaluate(ask, given);
  } finally {
    await context.close();
  }
}

/** The line that docs/hosts.md gives for those versions of Vite that move the loader away from its file. */
async function documentedViteOptions() {
  const hosts = await readFile(path.join(ROOT, "docs/hosts.md"), "utf8");
  const [, names] = hosts.match(/`optimizeDeps: \{ exclude: (\[.*?\]) \}`/);
  return { optimizeDeps: { exclude: JSON.parse(names) } };
}

/** Vite's dev server, of one of the versions that people have. */
export async function inViteDev({ folder, browser, given }, version, options = {}) {
  // As an ES module, which resolving as `require` does would not find.
  const vite =
    version === "8" ? ours.resolve("vite") : path.join(TOOLS, `node_modules/vite${version}/dist/node/index.js`);
  const { createServer } = await import(pathToFileURL(vite));
  const usual = { root: folder, configFile: false, logLevel: "warn", cacheDir: path.join(folder, ".vite") };
  const server = await createServer({ ...usual, ...options, server: { host: "127.0.0.1", port: 0 } });
  const requests = [];
  try {
    await server.listen();
    server.httpServer.on("request", ({ url }) => requests.push(new URL(url, "http://x").pathname));
    const { port } = server.httpServer.address();
    return { answer: await onPage(browser, `http://127.0.0.1:${port}`, askPage, given), files: [], requests };
  } finally {
    await server.close();
  }
}

/** A test of vitest's, in one of its environments. */
async function inVitest({ folder, entry, given }, environment) {
  await writeFile(path.join(folder, "given.json"), JSON.stringify(given));
  // The environment's package is looked for from the project on.
  await symlink(path.join(TOOLS, "node_modules", environment), path.join(folder, "node_modules", environment)).catch(
    ({ code }) => assert.equal(environment, "node", code),
  );
  const vitest = path.join(TOOLS, "node_modules/vitest/vitest.mjs");
  await run(process.execPath, [vitest, "run", "--globals", `--environment=${environment}`], { cwd: folder });
  const { window, ...answer } = JSON.parse(await readFile(path.join(folder, "answer.json"), "utf8"));
  assert.equal(window, environment === "node" ? "undefined" : "object");
  return { answer, files: await filesOfNode(folder, entry) };
}

function next(version) {
  return { fixture: "next", install: installBeside(NEXT[version]) };
}

/** A build of Next.js that is started, or its dev server. */
async function inNext({ folder, browser, given }, command, ask) {
  const program = path.join(folder, "node_modules/next/dist/bin/next");
  const env = { ...usualEnv(), NEXT_TELEMETRY_DISABLED: "1", SIGNED: JSON.stringify(await stored(given)) };
  if (command === "start") {
    const { stdout } = await run(process.execPath, [program, "build"], { cwd: folder, env });
    // It asks for what may not be prerendered, and Next.js hears of that by an error that has to reach it.
    assert.match(stdout, /ƒ \/signed/);
  }
  const args = (port) => [command, "--port", String(port), "--hostname", "127.0.0.1"];
  return served({ folder, program, args, env, ready: "Ready in" }, async (url) => {
    const answer = await onPage(browser, `${url}/`, ask, given);
    assert.match(await (await fetch(`${url}/signed`)).text(), /href="[^"]*\/object\/sign\/[^"]*"/);
    return { answer, files: [] };
  });
}

/** An image that is there, for a server component to ask for its URL. */
async function stored({ sink: options, accessToken: token, image, about }) {
  const sink = await createSink({ ...options, accessToken: () => token });
  const { storagePath } = await sink.sync({ ...about, slug: "stored", image: Buffer.from(image, "base64") });
  sink.free();
  return { ...options, token, storagePath };
}

/* Run in a page. */

const askPage = (given) => window.send(given);

/** On the server, by an action of the page's. */
const askAction = (given) => window.act(given);

const askWorker = (given) =>
  new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(`the worker: ${message}`));
    worker.postMessage(given);
  });

const askServiceWorker = async (given) => {
  const answered = new Promise((resolve) => {
    navigator.serviceWorker.onmessage = ({ data }) => resolve(data);
  });
  await navigator.serviceWorker.register("/sw.js", given.registration);
  (await navigator.serviceWorker.ready).active.postMessage(given);
  return answered;
};

/** A program that reads what to send from its standard input and prints what came of it. */
async function byProgram({ folder, entry, given }, command, args) {
  const env = { ...process.env, DENO_DIR: path.join(folder, ".deno"), DENO_NO_UPDATE_CHECK: "1" };
  const child = spawn(command, args, { cwd: folder, env, timeout: 60_000 });
  child.stdin.end(JSON.stringify(given));
  const [printed, complaints] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.ok(printed.startsWith("{"), `${command}: ${printed}${complaints}`);
  return { answer: JSON.parse(printed), files: await filesOfNode(folder, entry) };
}

/** The same of a bundle whose .wasm is nowhere any more: it has the bytes in itself. */
async function byBundle(project, file) {
  const files = await filesIn(project.folder);
  await Promise.all(files.filter((name) => name.endsWith(".wasm")).map((name) => rm(name)));
  return { ...(await byProgram(project, process.execPath, [file])), files: [] };
}

/** What an entry's loader for Node loads, which is what Deno and Bun load. */
async function filesOfNode(folder, entry) {
  const all = await filesIn(path.join(folder, "node_modules/imagen-cloud"));
  const others =
    entry === "imagen-cloud" ? /outbox|store\.js|copies\.js|idb\.js/ : /imagen_cloud(?!_outbox)|inline\.js/;
  const loaded = all.map((file) => [file, path.relative(folder, file)]);
  return loaded
    .filter(([, name]) => /\.(js|wasm)$/.test(name) && !/(browser|workerd)\.js$/.test(name) && !others.test(name))
    .map(([file]) => file);
}

async function inWorkerd(folder, files, given) {
  const wrangler = createRequire(ours.resolve("wrangler/package.json"));
  const { Miniflare } = wrangler("miniflare");
  const modules = {};
  for (const file of files) {
    const contents = await readFile(file);
    const isWasm = file.endsWith(".wasm");
    modules[path.basename(file)] = isWasm
      ? { type: "wasm", contents: new Uint8Array(contents) }
      : { type: "esm", contents: contents.toString() };
  }
  const config = {
    name: "fixture",
    compatibilityDate: JSON.parse(await readFile(path.join(folder, "wrangler.jsonc"), "utf8")).compatibility_date,
    manifest: { mainModule: "index.js", modules },
  };
  const miniflare = new Miniflare({
    cf: false,
    telemetry: { enabled: false },
    enableDevRegistry: false,
    workers: [{ config }],
  });
  try {
    const answer = await miniflare.dispatchFetch("http://fixture/", { method: "POST", body: JSON.stringify(given) });
    return await answer.json();
  } finally {
    await miniflare.dispose();
  }
}

/** The programs themselves: the packages' own starters want an install script to have run. */
export function denoProgram() {
  const platform = `@deno/${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;
  const deno = createRequire(tools.resolve("deno/package.json"));
  return path.join(path.dirname(deno.resolve(`${platform}/package.json`)), "deno");
}

function bunProgram() {
  const architecture = { arm64: "aarch64" }[process.arch] ?? process.arch;
  const bun = createRequire(tools.resolve("bun/package.json"));
  return path.join(path.dirname(bun.resolve(`@oven/bun-${process.platform}-${architecture}/package.json`)), "bin/bun");
}

async function filesIn(folder) {
  const names = await readdir(folder, { recursive: true });
  const files = names.map((name) => path.join(folder, name));
  const kinds = await Promise.all(files.map((file) => stat(file)));
  return files.filter((_, index) => kinds[index].isFile()).sort();
}

async function sizes(files) {
  const sum = { raw: 0, brotli: 0 };
  for (const file of files) {
    const bytes = await readFile(file);
    sum.raw += bytes.length;
    sum.brotli += brotliCompressSync(bytes).length;
  }
  return sum;
}

function table(rows) {
  const kb = (bytes) => (bytes ? `${(bytes / 1000).toFixed(1)} kB` : "");
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
  const line = (name, ...columns) => [name.padEnd(44), ...columns.map((text) => text.padStart(10))].join(" ");
  return [
    line("environment", "raw", "brotli", "wasm loads", "time"),
    ...rows.map(({ name, raw, brotli, instances, ms }) =>
      line(name, kb(raw), kb(brotli), String(instances), seconds(ms)),
    ),
  ].join("\n");
}
