// The examples as their visitors get them: a copy of the folder, the package installed into it from its tarball, and then
// used in a real browser or runtime until an image is in its place.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { dispatchSync } from "../support/background.mjs";
import { startSite } from "../support/site.mjs";
import { until } from "../support/until.mjs";
import { installTarball } from "./environments.mjs";
import { LIMIT_MS, served, usualEnv } from "./served.mjs";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const EXAMPLES = path.join(ROOT, "examples");
const IMAGE = path.join(ROOT, "tests/data/lighthouse.png");
const MADE = new Set([
  "node_modules",
  "package-lock.json",
  "dist",
  ".next",
  ".svelte-kit",
  "build",
  ".wrangler",
  "next-env.d.ts",
]);

/**
 * What each example is put through.
 * @type {Record<string, { example: string, drive: (given: Given) => Promise<void> }>}
 * @typedef {object} Given
 * @property {string} folder
 * @property {Awaited<ReturnType<typeof import("../support/embedded.mjs").startEmbedded>>} backend
 * @property {{ id: string, email: string, password: string }} user of whom nothing is there yet
 * @property {import("playwright-core").Browser} browser
 */
export const examples = {
  "Node, a folder": { example: "node-folder", drive: sendFolder },
  "Vite and React, dev server": { example: "vite-react", drive: (given) => withVite(given, ["dev"], "/sw.ts") },
  "Vite and React, build": {
    example: "vite-react",
    async drive(given) {
      await configureVite(given);
      await run(process.execPath, [viteOf(given.folder), "build", "--logLevel=warn"], { cwd: given.folder });
      await withVite(given, ["preview"], "/sw.js");
    },
  },
  "Next.js, dev server": { example: "next", drive: (given) => withNext(given, "dev") },
  "Next.js, build": {
    example: "next",
    async drive(given) {
      const env = await configureNext(given);
      await run(process.execPath, [nextOf(given.folder), "build"], { cwd: given.folder, env });
      await withNext(given, "start");
    },
  },
  "SvelteKit, dev server": {
    example: "sveltekit",
    drive: (given) =>
      withSvelteKit(given, "node_modules/vite/bin/vite.js", (port) => viteArgs(["dev"], port), "127.0.0.1:"),
  },
  "SvelteKit, build": {
    example: "sveltekit",
    async drive(given) {
      const env = await configureSvelteKit(given);
      await run(process.execPath, [viteOf(given.folder), "build", "--logLevel=warn"], { cwd: given.folder, env });
      await withSvelteKit(given, "build/index.js", () => [], "Listening on");
    },
  },
  "Cloudflare Worker": { example: "worker", drive: askWorker },
  "a model in a web worker": { example: "web-worker", drive: generateInWorker },
  "a page without a bundler": {
    example: "html",
    async drive({ folder, ...given }) {
      await writeFile(path.join(folder, "config.js"), configOf(given.backend));
      await onSite(folder, (url) => sendInPage(url, given));
    },
  },
};

/** Has the page's worker generate an image and send it. */
async function generateInWorker({ folder, backend, user, browser }) {
  await writeFile(path.join(folder, "config.js"), configOf(backend));
  await onSite(folder, async (url) => {
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      await page.goto(url);
      await signIn(page, user);
      await page.getByLabel("Prompt").fill("a gradient");
      await page.getByRole("button", { name: "Generate" }).click();
      await page.getByRole("img", { name: "a gradient" }).waitFor();
      await page.waitForFunction(() => document.querySelector("img").naturalWidth === 256);
    } finally {
      await context.close();
    }
  });
  const [row, ...others] = await backend.sql(
    "select width, steps, model, seed from imagen.images where owner_user_id = $1",
    [user.id],
  );
  assert.deepEqual(others, []);
  assert.deepEqual([row.width, row.steps, row.model], [256, 4, "stand-in/gradient"]);
}

/** Sends a folder twice; the second time it has one image more, and one that is none. */
async function sendFolder({ folder, backend, user }) {
  const images = path.join(folder, "images");
  const put = async (name, sidecar = { prompt: name, backend: "flux", steps: 4, guidance: 3.5 }) => {
    await mkdir(path.dirname(path.join(images, name)), { recursive: true });
    await copyFile(IMAGE, path.join(images, `${name}.png`));
    await writeFile(path.join(images, `${name}.json`), JSON.stringify(sidecar));
  };
  const env = { SUPABASE_URL: backend.url, SUPABASE_SECRET_KEY: backend.secretKey, IMAGEN_OWNER_USER_ID: user.id };
  const send = () =>
    run(process.execPath, ["send-folder.mjs", images], { cwd: folder, env: { ...process.env, ...env } });

  await put("2026-05-11/lighthouse-42");
  await put("2026-05-12/two-words--7");
  assert.match((await send()).stdout, /^2 sent, 0 were there, 0 failed$/m);
  await put("2026-05-13/later-9223372036854775807");
  await put("2026-05-13/broken-1");
  await writeFile(path.join(images, "2026-05-13/broken-1.png"), "no image");
  const { code, stdout, stderr } = await send().then(assert.fail, (error) => error);
  assert.equal(code, 1);
  assert.match(stdout, /^1 sent, 2 were there, 1 failed$/m);
  assert.match(stderr, /broken/);
  const rows = await backend.sql(
    "select storage_path, steps, sidecar->>'guidance' as guidance from imagen.images where owner_user_id = $1 order by 1",
    [user.id],
  );
  const paths = ["2026-05-11/lighthouse-42", "2026-05-12/two-words--7", "2026-05-13/later-9223372036854775807"];
  assert.deepEqual(
    rows,
    paths.map((name) => ({ storage_path: `${user.id}/${name}.png`, steps: 4, guidance: "3.5" })),
  );
}

const viteArgs = (command, port) => [...command, `--port=${port}`, "--strictPort", "--host=127.0.0.1"];
const viteOf = (folder) => path.join(folder, "node_modules/vite/bin/vite.js");

function configureVite({ folder, backend }) {
  const env = `VITE_SUPABASE_URL=${backend.url}\nVITE_SUPABASE_KEY=${backend.publishableKey}\n`;
  return writeFile(path.join(folder, ".env.local"), env);
}

/** Sends one image from the page, and one from the service worker when the page is closed. */
async function withVite(given, command, script) {
  const { folder, backend, user } = given;
  await configureVite(given);
  const args = (port) => viteArgs(command, port);
  await served({ folder, program: viteOf(folder), args, ready: "127.0.0.1:" }, (url) =>
    sendInPage(url, given, async (page, context) => {
      const running = () => navigator.serviceWorker.ready.then(({ active }) => active.scriptURL);
      assert.equal(await page.evaluate(running), url + script);
      await context.setOffline(true);
      await fillIn(page, "sent by the service worker");
      await page.getByRole("status").getByText("1 on their way").waitFor();
      await page.close();
      await context.setOffline(false);
      await dispatchSync(context, url);
      await until(async () => (await rowsOf(backend, user)).length === 2, "the service worker's row");
      const again = await context.newPage();
      await again.goto(url);
      await again.getByRole("button", { name: "Remove sent by the service worker" }).click({ timeout: LIMIT_MS });
      await until(async () => (await rowsOf(backend, user)).length === 1, "the removed row to go");
    }),
  );
}

const nextOf = (folder) => path.join(folder, "node_modules/next/dist/bin/next");

async function configureNext({ folder, backend }) {
  const { url, publishableKey, secretKey } = backend;
  const names = {
    NEXT_PUBLIC_SUPABASE_URL: url,
    NEXT_PUBLIC_SUPABASE_KEY: publishableKey,
    SUPABASE_SECRET_KEY: secretKey,
  };
  const lines = Object.entries(names).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(path.join(folder, ".env.local"), lines.join(""));
  return { ...usualEnv(), NEXT_TELEMETRY_DISABLED: "1" };
}

/** Sends one image from the page, and one by the server. */
async function withNext(given, command) {
  const { folder, backend, user } = given;
  const env = await configureNext(given);
  const args = (port) => [command, "--port", String(port), "--hostname", "127.0.0.1"];
  await served({ folder, program: nextOf(folder), args, env, ready: "Ready in" }, (url, said) =>
    sendInPage(url, given, async (page) => {
      await fillIn(page, "sent by the server", "By the server");
      await page.getByRole("img", { name: "sent by the server" }).waitFor();
      assert.equal((await rowsOf(backend, user)).length, 2);
      assert.doesNotMatch(said(), /eyJ/, "the dev server prints the arguments of actions: no token may be among them");
    }),
  );
}

/** What SvelteKit's dev server reads of a file, its built one has from its environment. */
async function configureSvelteKit({ folder, backend }) {
  const names = {
    SUPABASE_URL: backend.url,
    SUPABASE_KEY: backend.publishableKey,
    SUPABASE_SECRET_KEY: backend.secretKey,
    BODY_SIZE_LIMIT: "25M",
  };
  const lines = Object.entries(names).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(path.join(folder, ".env"), lines.join(""));
  return { ...usualEnv(), ...names };
}

/** Sends one image from the page, and one by the server. */
async function withSvelteKit(given, program, args, ready) {
  const { folder, backend, user } = given;
  const env = await configureSvelteKit(given);
  const envAt = (port) => ({ ...env, HOST: "127.0.0.1", PORT: String(port) });
  await served({ folder, program: path.join(folder, program), args, env: envAt, ready }, (url) =>
    sendInPage(url, given, async (page, context) => {
      await fillIn(page, "sent by the server", "By the server");
      await page.getByRole("img", { name: "sent by the server" }).waitFor();
      assert.equal((await rowsOf(backend, user)).length, 2);
      await signInElsewhere(page, await context.newPage(), await backend.createUser());
    }),
  );
}

/** Another user signs in, in another tab: `page` shows nothing of the one before, also of a list that comes after that. */
async function signInElsewhere(page, tab, other) {
  const held = Promise.withResolvers();
  let isHeld = false;
  await page.route("**/rest/v1/images*", (route) => {
    if (isHeld || route.request().method() !== "GET") return route.continue();
    isHeld = true;
    held.resolve(route);
  });
  await fillIn(page, "listed late");
  const late = await held.promise;
  await tab.goto(page.url());
  await tab.evaluate(() => localStorage.clear());
  await tab.reload();
  await signIn(tab, other);
  await page.getByRole("img").first().waitFor({ state: "detached" });
  const links = page.waitForResponse((response) => response.url().includes("/object/sign/"));
  await late.continue();
  await (await links).finished();
  await page.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(await page.getByRole("img").count(), 0, "the images of the user before");
}

/** Asks the Worker as its README does, by a user, by nobody, and with what is no image. */
async function askWorker({ folder, backend, user }) {
  const wrangler = path.join(folder, "node_modules/wrangler/bin/wrangler.js");
  const env = { ...usualEnv(), WRANGLER_SEND_METRICS: "false", CI: "true", NO_COLOR: "1" };
  await run(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir=dist"], { cwd: folder, env });
  const variables = `SUPABASE_URL=${backend.url}\nSUPABASE_SECRET_KEY=${backend.secretKey}\n`;
  await writeFile(path.join(folder, ".dev.vars"), variables);
  const args = (port) => ["dev", "--ip=127.0.0.1", `--port=${port}`, "--inspector-port=0"];
  await served({ folder, program: wrangler, args, env, ready: "Ready on" }, async (url) => {
    const post = (body, headers = {}) => fetch(`${url}/images?prompt=a+lighthouse`, { method: "POST", body, headers });
    const authorization = `Bearer ${user.accessToken}`;
    const image = await readFile(IMAGE);
    assert.equal((await post(image)).status, 401);
    assert.equal((await post("no image", { authorization })).status, 400);
    const answer = await post(image, { authorization });
    const { imageId, url: link } = await answer.json();
    assert.equal(answer.status, 201);
    assert.deepEqual(Buffer.from(await (await fetch(link)).arrayBuffer()), image);

    await (await post(image, { authorization })).arrayBuffer();
    const listed = async () => (await (await fetch(`${url}/images`, { headers: { authorization } })).json()).images;
    const [removed, kept, ...others] = await listed();
    assert.deepEqual([kept.imageId, kept.prompt, others], [imageId, "a lighthouse", []]);
    const remove = (by) =>
      fetch(`${url}/images/${removed.imageId}`, { method: "DELETE", headers: { authorization: by } });
    const { accessToken } = await backend.createUser();
    assert.equal((await remove(`Bearer ${accessToken}`)).status, 403);
    assert.equal((await remove(authorization)).status, 200);
    assert.deepEqual(
      (await listed()).map((image) => image.imageId),
      [imageId],
    );
  });
  await verify(backend, user);
}

const configOf = ({ url, publishableKey }) =>
  `export const url = ${JSON.stringify(url)};\nexport const apiKey = ${JSON.stringify(publishableKey)};\n`;

/** Signs in, sends an image by the page's forms and sees it, and sends another, which it removes. */
async function sendInPage(url, { browser, backend, user }, act = async () => {}) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    // A dev server builds the page when it is asked for it.
    page.setDefaultTimeout(LIMIT_MS);
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(url);
    await signIn(page, user);
    await fillIn(page, "a lighthouse at dusk");
    await page.getByRole("img", { name: "a lighthouse at dusk" }).waitFor();
    await page.waitForFunction(() => document.querySelector("img").naturalWidth > 0);
    await fillIn(page, "removed again");
    await page.getByRole("button", { name: "Remove removed again" }).click();
    await page.getByRole("img", { name: "removed again" }).waitFor({ state: "detached" });
    assert.deepEqual(
      (await rowsOf(backend, user)).map(({ prompt }) => prompt),
      ["a lighthouse at dusk"],
    );
    await act(page, context);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
  await verify(backend, user);
}

async function signIn(page, { email, password }) {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function fillIn(page, prompt, button = "Send") {
  await page.getByLabel("Image").setInputFiles(IMAGE);
  await page.getByLabel("Prompt").fill(prompt);
  await page.getByRole("button", { name: button }).click();
}

const rowsOf = (backend, user) =>
  backend.sql("select storage_path, prompt from imagen.images where owner_user_id = $1", [user.id]);

/** Each prompt has one row of this user's, and each row an object that is the image. */
async function verify(backend, user) {
  const rows = await rowsOf(backend, user);
  assert.ok(rows.length > 0);
  assert.equal(new Set(rows.map(({ prompt }) => prompt)).size, rows.length, JSON.stringify(rows));
  const headers = { apikey: backend.secretKey };
  for (const { storage_path: storagePath } of rows) {
    const stored = await fetch(`${backend.url}/storage/v1/object/imagen-generated/${storagePath}`, { headers });
    assert.equal(stored.status, 200);
    assert.deepEqual(Buffer.from(await stored.arrayBuffer()), await readFile(IMAGE));
  }
}

async function onSite(folder, use) {
  const site = await startSite({ "/": folder });
  try {
    await use(site.url);
  } finally {
    await site.close();
  }
}

/** A copy of an example, far from the workspace, with the package from its tarball. */
export async function createExample(tarball, name) {
  const folder = await mkdtemp(path.join(os.tmpdir(), `imagen-example-${name}-`));
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    const from = path.join(EXAMPLES, name);
    await cp(from, folder, { recursive: true, filter: (source) => !MADE.has(path.basename(source)) });
    const [source, target] = [path.join(from, "node_modules"), path.join(folder, "node_modules")];
    // Links instead of copies, where both lie on one disk.
    await run("cp", ["-al", source, target]).catch(() => run("cp", ["-a", source, target]));
    await rm(path.join(target, "imagen-cloud"), { recursive: true, force: true });
    await installTarball(folder, tarball);
    return { folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
