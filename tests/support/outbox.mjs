// Outboxes in real Chromium: a page that opens them, a Supabase behind a recording proxy, and what is there in the end.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before } from "node:test";
import { startBrowser } from "./browser.mjs";
import { startEmbedded } from "./embedded.mjs";
import { startRecorder } from "./recorder.mjs";
import { shared } from "./shared.mjs";
import { startSite } from "./site.mjs";
import { until } from "./until.mjs";
import { sha256, verify } from "./verify.mjs";
import { waitFor } from "./waiting.mjs";

const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));

/** The bytes of the image of that number, as the page makes them. */
export const imageBytes = (number) => Buffer.concat([PNG, Buffer.from(`image ${number}`)]);

/** Its storage path. */
export const pathOf = (user, number) => `${user.id}/2026-05-11/lighthouse-${number}.png`;

/** The name of a user's database, of its lock and of its channel. */
export const databaseOf = (user) => `imagen-cloud-outbox-${user.id}`;

/**
 * Starts a Supabase, the proxy in front of it and the page's server before the tests of a file, and ends them afterwards. The
 * browser is shared with other files.
 * @param {Parameters<typeof startEmbedded>[0]} [options] of the Supabase
 * @param {typeof startBrowser} [start] starts the browser
 */
export function outboxWorld(options, start = startBrowser) {
  const world = {};
  before(async () => {
    [world.supabase, world.site, world.browser] = await Promise.all([
      startEmbedded(options),
      startSite(),
      shared(start),
    ]);
    world.recorder = await startRecorder({ target: world.supabase.url });
  });
  after(async () => {
    await Promise.all([world.recorder?.close(), world.site?.close()]);
    await world.supabase?.close();
  });

  return Object.assign(world, {
    /** A user with nothing in the bucket, and a proxy that lets everything pass. */
    async user() {
      world.recorder.offline(false);
      return world.supabase.createUser();
    },
    /** A browser context of its own, closed with the test. */
    async context(t) {
      const context = await world.browser.newContext();
      t.after(() => waitFor("the browser's context to close", context.close()));
      return context;
    },
    /** A page with the user's outbox open; see {@link openTab}. */
    async tab(t, user, settings = {}) {
      const context = settings.context ?? (await world.context(t));
      const { url, supabase, recorder } = { url: world.site.url, ...world };
      return openTab(context, { url, user, supabase, target: recorder.url, ...settings });
    },
    /** The URL of the service worker for a user's outbox. */
    worker: (user, { script = "sw.js", ...settings } = {}) =>
      workerUrl({ script, user, supabase: world.supabase, target: world.recorder.url, ...settings }),
    /** Fails unless the user has exactly these images, each once and byte-equal. */
    async arrived(user, numbers, results) {
      await arrived({ supabase: world.supabase, user, numbers, results });
    },
  });
}

/** How long a request may go on: a test holds it for as long as it needs, and may move the page's clock meanwhile. */
const HELD_MS = 3_600_000;

/** A sink's options for a user, through a proxy. */
export function sinkOf({ supabase, user, target, sink }) {
  return {
    url: target,
    apiKey: supabase.publishableKey,
    ownerUserId: user.id,
    pathPrefix: user.id,
    maxRetries: 2,
    initialBackoffMs: 10,
    maxBackoffMs: 200,
    timeoutMs: HELD_MS,
    ...sink,
  };
}

function workerUrl({ script, ...settings }) {
  const config = { sink: sinkOf(settings), token: settings.user.accessToken };
  return `/${script}?config=${encodeURIComponent(JSON.stringify(config))}`;
}

/**
 * Opens a page and an outbox in it.
 *
 * @param {import("playwright-core").BrowserContext} context
 * @param {object} settings
 * @param {string} settings.url Of the page's server.
 * @param {{ id: string, accessToken: string }} settings.user
 * @param {object} settings.supabase
 * @param {string} settings.target What the page takes for Supabase.
 * @param {object} [settings.sink] Options of the sink.
 * @param {object} [settings.relay] Options of a relay, instead of the sink.
 * @param {object} [settings.options] Options of the outbox; it does not drain on its own unless they say so.
 * @param {string} [settings.worker] URL of a service worker to register.
 * @param {string | null} [settings.token] The user's by default; null signs nobody in.
 * @param {(() => void) | (() => void)[]} [settings.init] Runs in the page before everything else.
 * @param {boolean} [settings.open] False leaves the outbox closed.
 */
export async function openTab(context, { url, init, open = true, ...settings }) {
  const page = await context.newPage();
  for (const script of [init ?? []].flat()) await page.addInitScript(script);
  const tab = tabOf(page, settings);
  await tab.load(url);
  if (open) await tab.open();
  return tab;
}

function tabOf(page, { user, token = user.accessToken, options, worker, ...settings }) {
  const run = async (...args) => {
    const { value, error } = await page.evaluate((given) => window.kit.run(...given), args);
    if (error) throw Object.assign(new Error(error.message), error);
    return value;
  };
  const call =
    (method) =>
    (...args) =>
      run("call", "mine", method, ...args);
  const tab = {
    page,
    run,
    async load(url) {
      await page.goto(url);
      await page.waitForFunction(() => window.kit);
    },
    async reload() {
      await page.reload();
      await page.waitForFunction(() => window.kit);
    },
    /** Opens the outbox again, after `load` or `reload`. */
    open: (other = {}) =>
      run("open", {
        name: "mine",
        sink: sinkOf({ user, ...settings }),
        relay: settings.relay && { ownerUserId: user.id, timeoutMs: HELD_MS, ...settings.relay },
        token: token ?? "",
        options: { automatic: false, ...options, ...other.options },
        worker,
      }),
    /** Opens another user's outbox in the same page, under the name `name`. */
    openAs: (name, other) =>
      run("open", {
        name,
        sink: sinkOf({ ...settings, user: other }),
        token: other.accessToken,
        options: { automatic: false },
      }),
    enqueue: (number, fields = {}) => run("enqueue", "mine", number, fields),
    /** Several, one after the other. */
    async enqueueAll(numbers) {
      const results = [];
      for (const number of numbers) results.push(await tab.enqueue(number));
      return results;
    },
    enqueueMany: (numbers, fields = {}) => run("enqueueMany", "mine", numbers, fields),
    image: async (id) => {
      const { type, bytes } = await run("image", "mine", id);
      return { type, bytes: Buffer.from(bytes) };
    },
    signIn: (other) => run("signIn", "mine", other),
    signOut: () => run("signIn", "mine", ""),
    changes: () => run("changes"),
    dump: () => run("dump"),
    /** Resolves when no job is left. */
    empty: (limitMs = 60_000) => until(async () => (await tab.list()).length === 0, "an empty outbox", limitMs),
    /** Kills the tab's process, as a crash does. */
    async kill() {
      const crashed = page.waitForEvent("crash");
      const session = await page.context().newCDPSession(page);
      session.send("Page.crash").catch(() => {});
      await waitFor("the page's crash", crashed);
    },
  };
  const methods = [
    "drain",
    "list",
    "job",
    "retry",
    "remove",
    "discard",
    "clear",
    "pause",
    "resume",
    "isPaused",
    "close",
  ];
  return Object.assign(tab, Object.fromEntries(methods.map((method) => [method, call(method)])));
}

/** Fails unless the user has exactly the images of these numbers, each once and byte-equal. */
export async function arrived({ supabase, user, numbers, results }) {
  const rows = await supabase.sql("select id, storage_path from imagen.images where owner_user_id = $1", [user.id]);
  const idOf = new Map(rows.map((row) => [row.storage_path, row.id]));
  const beliefs = numbers.map((number, index) => ({
    storagePath: pathOf(user, number),
    imageId: results?.[index]?.imageId ?? idOf.get(pathOf(user, number)),
    sha256: sha256(imageBytes(number)),
    ok: true,
  }));
  const { url, serviceKey } = supabase;
  const report = await verify({ url, serviceKey, beliefs, prefix: `${user.id}/` });
  assert.deepEqual(report.problems, []);
  assert.deepEqual([report.rows, report.objects], [numbers.length, numbers.length]);
}

/** Whole numbers from 0. */
export const range = (count) => Array.from({ length: count }, (_, number) => number);
