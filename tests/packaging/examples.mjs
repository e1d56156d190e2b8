// The examples as their visitors get them: a copy of the folder, the package installed into it from its tarball, and then
// used in a real browser or runtime until an image is in its place.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "../support/port.mjs";
import { startSite } from "../support/site.mjs";
import { until } from "../support/until.mjs";
import { installTarball } from "./environments.mjs";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const EXAMPLES = path.join(ROOT, "examples");
const IMAGE = path.join(ROOT, "tests/data/lighthouse.png");
const MADE = new Set(["node_modules", "package-lock.json", "dist", ".next", ".svelte-kit", "build", ".wrangler"]);

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
  "a page without a bundler": {
    example: "html",
    async drive({ folder, ...given }) {
      await writeFile(path.join(folder, "config.js"), configOf(given.backend));
      await onSite(folder, (url) => sendInPage(url, given));
    },
  },
};

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

const configOf = ({ url, publishableKey }) =>
  `export const url = ${JSON.stringify(url)};\nexport const apiKey = ${JSON.stringify(publishableKey)};\n`;

/** Signs in, sends an image by the page's forms, and sees it. */
async function sendInPage(url, { browser, backend, user }, act = async () => {}) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(url);
    await page.getByLabel("Email").fill(user.email);
    await page.getByLabel("Password").fill(user.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByLabel("Image").setInputFiles(IMAGE);
    await page.getByLabel("Prompt").fill("a lighthouse at dusk");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("img", { name: "a lighthouse at dusk" }).waitFor();
    await page.waitForFunction(() => document.querySelector("img").naturalWidth > 0);
    await act(page, context);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
  await verify(backend, user);
}

/** One row of this user's, and its object is the image. */
async function verify(backend, user) {
  const rows = await backend.sql("select storage_path, prompt from imagen.images where owner_user_id = $1", [user.id]);
  assert.equal(rows.length, 1, `rows: ${JSON.stringify(rows)}`);
  const headers = { apikey: backend.secretKey };
  const stored = await fetch(`${backend.url}/storage/v1/object/imagen-generated/${rows[0].storage_path}`, { headers });
  assert.equal(stored.status, 200);
  assert.deepEqual(Buffer.from(await stored.arrayBuffer()), await readFile(IMAGE));
}

async function onSite(folder, use) {
  const site = await startSite({ "/": folder });
  try {
    await use(site.url);
  } finally {
    await site.close();
  }
}

/**
 * A server of the example's, from when it says that it is ready until `use` is over.
 * @param {string} ready what it says then
 */
export async function served({ folder, program, args, env, ready }, use) {
  const port = await freePort();
  // Not Vite's, which sets NODE_ENV for all of this process.
  const { NODE_ENV: _, ...usual } = process.env;
  const child = spawn(process.execPath, [program, ...args(port)], {
    cwd: folder,
    env: { ...usual, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (bytes) => {
      said += bytes;
    });
  }
  try {
    await until(() => said.includes(ready), `"${ready}" of ${path.basename(program)}`, 240_000).catch((cause) => {
      throw new Error(said, { cause });
    });
    await use(`http://127.0.0.1:${port}`);
  } finally {
    process.kill(-child.pid, "SIGKILL");
    await ended;
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
