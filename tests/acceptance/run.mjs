// Tries the promises against a running project, through a proxy of its own, and removes what it made.
//   URL=https://… KEY=sb_publishable_… JWT_SECRET=… [SECRET_KEY=…] node tests/acceptance/run.mjs
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { IMAGE, PROMISES, sinkFor } from "./promises.mjs";
import { startProxy } from "./proxy.mjs";
import { twoUsers } from "./users.mjs";

const BUCKET = "imagen-generated";

class Skipped extends Error {}

/**
 * @param {{ url: string, key: string, jwtSecret?: string, secretKey?: string, tokens?: string[], bend?: object,
 *   only?: string[], browser?: (world: object) => Promise<object> }} project `browser` opens a page with an outbox
 * @returns {Promise<{ name: string, error?: Error, skipped?: string }[]>} one for each promise
 */
export async function tryPromises({ only = Object.keys(PROMISES), ...project }) {
  const world = await open(project);
  const outcomes = [];
  try {
    for (const name of only) outcomes.push(await tryOne(name, world));
  } finally {
    outcomes.push(await tryOne("what_was_made_is_removed", world, () => tidyUp(world)));
    await world.close();
  }
  return outcomes;
}

async function tryOne(name, world, run = () => PROMISES[name](world)) {
  try {
    await run();
    return { name };
  } catch (error) {
    return error instanceof Skipped ? { name, skipped: error.message } : { name, error };
  }
}

/** What a promise is tried with. */
export async function open({ url, bend, browser, ...project }) {
  const target = url.replace(/\/+$/, "");
  const proxy = await startProxy(target, bend);
  const users = await twoUsers({ ...project, url: target });
  const date = `acceptance-${randomUUID()}`;
  const sinks = [];
  const world = {
    ...{ proxy, users, key: project.key, date, sinks, folder: `${users[0].id}/${date}` },
    request: (fields) => ({
      ...{ date, slug: "lighthouse", seed: 1, image: IMAGE, prompt: "a lighthouse", backend: "acceptance" },
      ...fields,
    }),
    sync: (fields) => sinks[0].sync(world.request(fields)),
    async open(user, options) {
      const sink = await sinkFor(world, user, options);
      sinks.push(sink);
      return sink;
    },
    headers: (user) => ({ apikey: project.key, authorization: `Bearer ${user?.token ?? project.key}` }),
    object: (path, route = "object") =>
      `${proxy.url}/storage/v1/${route}/${BUCKET}/${path.split("/").map(encodeURIComponent).join("/")}`,
    ask: (method, query, user = users[0]) => askRows(world, method, query, user),
    rows: async (query, user) => (await world.ask("GET", query, user)).filter(Boolean),
    async read(path) {
      const response = await fetch(world.object(path), { headers: world.headers(users[0]) });
      if (!response.ok) throw new Error(`${path}: ${response.status}`);
      return { bytes: Buffer.from(await response.arrayBuffer()), type: response.headers.get("content-type") };
    },
    browser: browser && (() => browser(world)),
    worker: project.secretKey && (() => startWorkerFor(world, target, project)),
    skip(why) {
      throw new Skipped(why);
    },
    async close() {
      for (const sink of sinks) sink.free();
      for (const user of users) await user.remove();
      await proxy.close();
    },
  };
  for (const user of users) await world.open(user);
  return world;
}

/** A seed is told as text, which keeps all of its digits. */
async function askRows({ proxy, headers }, method, query, user) {
  const select = method === "GET" ? "select=*,seed::text&" : "";
  const response = await fetch(`${proxy.url}/rest/v1/images?${select}${query.replaceAll(" ", "%20")}`, {
    method,
    headers: { ...headers(user), "accept-profile": "imagen", "content-profile": "imagen" },
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`rows: ${response.status} ${text.slice(0, 200)}`);
  return text ? JSON.parse(text) : [];
}

/** Removes rows and objects, and looks whether they are gone. */
async function tidyUp(world) {
  const left = [];
  for (const user of world.users) {
    const query = `storage_path=like.${user.id}/${world.date}/*`;
    const paths = (await world.rows(query, user)).map((row) => row.storage_path);
    const planned = [7, 9, 10, 12, 15, 16].map((seed) => `${user.id}/${world.date}/lighthouse-${seed}.png`);
    for (const path of new Set([...paths, ...planned])) {
      await fetch(world.object(path), { method: "DELETE", headers: world.headers(user) });
    }
    await world.ask("DELETE", query, user);
    left.push(...(await world.rows(query, user)));
    for (const path of paths) {
      const found = await fetch(world.object(path, "object/info"), { headers: world.headers(user) });
      if (found.ok) left.push(path);
    }
  }
  if (left.length > 0) throw new Error(`${left.length} rows and objects are left under ${world.date}`);
}

/** Our Worker in workerd, before the project. */
async function startWorkerFor({ proxy }, target, { jwtSecret, secretKey }) {
  const { startWorker } = await import("../../www/local/worker.mjs");
  const own = { SUPABASE_URL: proxy.url, SUPABASE_SERVICE_KEY: secretKey, SUPABASE_JWT_ISSUER: `${target}/auth/v1` };
  return startWorker({ bindings: { ...own, ...(jwtSecret && { SUPABASE_JWT_SECRET: jwtSecret }) }, log: () => {} });
}

/** A page in Chromium with an outbox of the first user, whose image it keeps. */
async function inChromium({ startBrowser, startSite }, world) {
  const [browser, site] = await Promise.all([startBrowser(), startSite()]);
  const page = await (await browser.newContext()).newPage();
  await page.goto(site.url);
  const [{ id, token }] = world.users;
  const sink = { url: world.proxy.url, apiKey: world.key, ownerUserId: id, pathPrefix: id };
  const actions = {
    enqueue: () =>
      page.evaluate(
        async ({ sink, token, date }) => {
          const { createOutbox, createSink } = await import("/pkg/outbox-browser.js");
          const outbox = await createOutbox(
            await createSink({ ...sink, accessToken: () => token, initialBackoffMs: 50 }),
          );
          const image = await (await fetch("/data/lighthouse.png")).blob();
          const about = { date, slug: "outbox", seed: 1, prompt: "a lighthouse", backend: "acceptance" };
          const { imageId } = await outbox.enqueue({ ...about, image });
          globalThis.outbox = outbox;
          return { id: imageId };
        },
        { sink, token, date: world.date },
      ),
    drained: () =>
      page.evaluate(async () => {
        const { outbox } = globalThis;
        for (const { id } of await outbox.list()) await outbox.retry(id);
        await outbox.drain();
        const left = await outbox.list();
        if (left.length > 0) throw new Error(`still there: ${JSON.stringify(left)}`);
      }),
  };
  const close = async () => {
    await browser.close();
    await site.close();
  };
  return { page: (name) => actions[name](), close };
}

/** Opens pages in the installed Chromium. */
export async function chromium() {
  const [browsers, sites] = await Promise.all([import("../support/browser.mjs"), import("../support/site.mjs")]);
  return (world) => inChromium({ ...browsers, ...sites }, world);
}

async function main() {
  const { URL: url, KEY: key, JWT_SECRET: jwtSecret, SECRET_KEY: secretKey, TOKENS: tokens, CHROME } = process.env;
  if (!url || !key) throw new Error("URL=… KEY=… are needed: the project's address and its publishable key");
  const browser = CHROME ? await chromium() : undefined;
  const outcomes = await tryPromises({
    url,
    key,
    jwtSecret: jwtSecret || undefined,
    secretKey: secretKey || undefined,
    tokens: tokens?.split(",").filter(Boolean),
    browser,
  });
  for (const { name, error, skipped } of outcomes) {
    const sign = error ? "FAILED " : skipped ? "skipped" : "ok     ";
    console.log(`${sign} ${name.replaceAll("_", " ")}${error ? `: ${error.message}` : skipped ? `: ${skipped}` : ""}`);
  }
  const failed = outcomes.filter(({ error }) => error).length;
  const passed = outcomes.filter(({ error, skipped }) => !error && !skipped).length;
  console.log(`acceptance: ${passed} kept, ${failed} broken, ${outcomes.length - failed - passed} not tried`);
  process.exitCode = failed > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(`acceptance: ${error.message}`);
    process.exitCode = 2;
  });
}
