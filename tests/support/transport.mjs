// What must hold of requests in whichever browser: redirects, files that change on disk, buffers of any kind and size, and the
// pace of progress.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { startScripted } from "./scripted.mjs";
import { shared } from "./shared.mjs";
import { startSite } from "./site.mjs";

const data = (name) => readFile(new URL(`../data/${name}`, import.meta.url));
const STATUSES = [301, 302, 307, 308];
const MIB = 1024 * 1024;

/**
 * Registers the tests.
 * @param {() => Promise<any>} start starts the browser
 * @param {(page: any, selector: string, file: string) => Promise<unknown>} pick picks a file as a user does
 */
export function testTransport(start, pick) {
  const world = {};
  before(async () => {
    const [site, browser] = await Promise.all([startSite(), shared(start)]);
    world.site = site;
    // One for all: nothing is stored, and in WebKit each is a browser of its own.
    world.context = await browser.newContext();
  });
  after(() => Promise.all([world.context?.close(), world.site?.close()]));

  async function openPage(t) {
    const page = await world.context.newPage();
    t.after(() => page.close());
    await page.goto(world.site.url);
    return page;
  }

  async function server(t, script) {
    const started = await startScripted(script);
    t.after(() => started.close());
    return started;
  }

  for (const [how, options] of Object.entries({
    "a PUT": { watched: false },
    "a PUT that is watched": { watched: true },
    "an upload's first piece": { watched: false, sink: { resumableFrom: 1 } },
    "an upload's first piece that is watched": { watched: true, sink: { resumableFrom: 1 } },
    "a later piece": { watched: false, later: true, sink: { resumableFrom: 1, chunkSize: 4096 } },
    "a later piece that is watched": { watched: true, later: true, sink: { resumableFrom: 1, chunkSize: 4096 } },
    "a form": { watched: false, relay: true },
    "a form that is watched": { watched: true, relay: true },
  })) {
    test(`a redirect of ${how} is no success, and final`, async (t) => {
      const page = await openPage(t);
      const elsewhere = await server(t, welcome);
      for (const status of STATUSES) {
        const target = await server(t, (request) => {
          const isFirst = options.later && request.method === "POST";
          return isFirst ? welcome(request) : { status, headers: { location: `${elsewhere.url}/elsewhere` } };
        });
        const { error } = await page.evaluate(syncInPage, { url: target.url, ...options });
        assert.deepEqual([error?.code, error?.stage, error?.retryable], ["bad_response", "upload", false], `${status}`);
        assert.match(error.message, /Is `url` the project's own address\?$/);
        assert.equal(target.requests.length, options.later ? 2 : 1, "not tried again");
        const secrets = elsewhere.requests.filter(({ headers }) => headers.authorization);
        assert.deepEqual(secrets, [], "the user's token goes nowhere");
        if (!options.watched) assert.equal(elsewhere.requests.length, 0, "nothing goes anywhere");
      }
    });
  }

  test("a redirect of an insert is no success, and final", async (t) => {
    const page = await openPage(t);
    const elsewhere = await server(t, welcome);
    const target = await server(t, (request) =>
      request.method === "PUT" ? welcome(request) : { status: 307, headers: { location: `${elsewhere.url}/x` } },
    );
    const { error } = await page.evaluate(syncInPage, { url: target.url, watched: true });
    assert.deepEqual([error?.code, error?.stage, error?.retryable], ["bad_response", "insert", false]);
    assert.equal(elsewhere.requests.length, 0);
  });

  test("our own paths are no redirects, however an address is written", async (t) => {
    const page = await openPage(t);
    const target = await server(t, welcome);
    for (const slug of ["light house", "a,b;c=d", "a,b", "it's (all) $1 & 2", "a+b@c:d", "q?r!*"]) {
      for (const host of ["127.0.0.1", "LOCALHOST"]) {
        const url = target.url.replace("127.0.0.1", host).replace("http:", "HTTP:");
        const call = { url, watched: true, request: { slug }, sink: { pathPrefix: "" } };
        const { value, error } = await page.evaluate(syncInPage, call);
        assert.equal(value?.storagePath, `2026-05-11/${slug}-1.png`, `${url} ${slug}: ${error?.message}`);
      }
    }
  });

  for (const watched of [false, true]) {
    test(`an upload that the page's Stop has ended is tried again at once, ${watched ? "watched" : "unwatched"}`, async (t) => {
      const page = await openPage(t);
      const sent = Promise.withResolvers();
      const target = await server(t, async (request) => {
        if (request.target === "/sent") return sent.promise.then(() => ({ body: "yes" }));
        const isFirst = target.requests.filter(({ method }) => method === "PUT").length === 1;
        if (request.method !== "PUT" || !isFirst) return welcome(request);
        sent.resolve();
        return { hang: true };
      });
      // By its patience it would take longer than a test may.
      const call = { url: target.url, watched, stops: true, sink: { timeoutMs: 2 ** 30 } };
      const { value, error } = await page.evaluate(syncInPage, call);
      assert.ok(value, error?.message);
    });
  }

  for (const [how, change] of Object.entries({
    "replaced by another image": async (file) => writeFile(file, await data("lighthouse.webp")),
    "replaced by one of the same size": async (file) => {
      const bytes = await readFile(file);
      await writeFile(file, bytes.fill(7, bytes.length - 30));
    },
    "made shorter": (file) => writeFile(file, "short"),
    removed: (file) => rm(file),
  })) {
    for (const watched of [false, true]) {
      test(`a file that is ${how} while a retry waits is an invalid image, ${watched ? "watched" : "unwatched"}`, async (t) => {
        const page = await openPage(t);
        const folder = await mkdtemp(path.join(os.tmpdir(), "imagen-picked-"));
        t.after(() => rm(folder, { recursive: true, force: true }));
        const file = path.join(folder, "picked.png");
        await writeFile(file, await data("lighthouse.png"));
        let changed = false;
        const target = await server(t, async (request) => {
          if (request.method !== "PUT" || changed) return welcome(request);
          changed = true;
          await change(file);
          await utimes(file, 1, 1).catch(() => {}); // also where a file's time is known by the second
          return { status: 503 };
        });
        await page.evaluate(() => {
          document.body.innerHTML = '<input type="file" id="picked">';
        });
        await pick(page, "#picked", file);
        const { error } = await page.evaluate(syncInPage, { url: target.url, watched, picked: true });
        assert.deepEqual(
          [error?.code, error?.field, error?.retryable],
          ["invalid_image", "image", false],
          error?.message,
        );
        assert.equal(target.requests.length, 1, "nothing is sent of it");
      });
    }
  }

  test("a file that is replaced while the token is waited for is an invalid image", async (t) => {
    const page = await openPage(t);
    const folder = await mkdtemp(path.join(os.tmpdir(), "imagen-picked-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const file = path.join(folder, "picked.png");
    await writeFile(file, await data("lighthouse.png"));
    const target = await server(t, async (request) => {
      if (request.target !== "/token") return welcome(request);
      await writeFile(file, await data("lighthouse.webp"));
      await utimes(file, 1, 1); // also where a file's time is known by the second
      return { body: "a.b.c" };
    });
    await page.evaluate(() => {
      document.body.innerHTML = '<input type="file" id="picked">';
    });
    await pick(page, "#picked", file);
    const { error } = await page.evaluate(syncInPage, { url: target.url, picked: true, asks: true });
    assert.deepEqual([error?.code, error?.field, error?.retryable], ["invalid_image", "image", false], error?.message);
    assert.deepEqual(
      target.requests.filter(({ method, body }) => method === "PUT" && body.length > 0),
      [],
    );
  });

  test("large buffers of any kind arrive as they were", async (t) => {
    const page = await openPage(t);
    const target = await server(t, welcome);
    const [size, sink] = [7 * MIB, { resumableFrom: 100 * MIB }];
    const expected = Buffer.alloc(size, 7);
    expected.set(await data("lighthouse.png"));
    for (const kind of ["plain", "shared", "resizable", "of an iframe"]) {
      for (const free of [false, true]) {
        target.requests.length = 0;
        const { value, error } = await page.evaluate(syncInPage, { url: target.url, sink, buffer: kind, size, free });
        assert.ok(value, `${kind}: ${error?.message}`);
        assert.ok(target.requests[0].body.equals(expected), kind);
      }
    }
  });

  test("progress is told twenty times a second at most, and of the last byte", async (t) => {
    const page = await openPage(t);
    const target = await server(t, welcome);
    const sink = { resumableFrom: 100 * MIB };
    const { value, error, events, tookMs } = await page.evaluate(syncInPage, {
      url: target.url,
      watched: true,
      sink,
      buffer: "plain",
      size: 30 * MIB,
    });
    assert.ok(value, error?.message);
    const within = events.filter(({ stage }) => stage === "upload");
    assert.ok(within.length <= tookMs / 50 + 4, `${within.length} events in ${tookMs} ms`);
    assert.equal(within.at(-1).sent, 30 * MIB);
    t.diagnostic(`${within.length} events in ${Math.round(tookMs)} ms`);
  });
}

/** A server that takes everything. */
function welcome({ method, target, body, headers }) {
  if (target.startsWith("/rest/")) return { status: 201, body: [JSON.parse(body)] };
  if (target.startsWith("/storage/v1/upload/")) {
    const offset = { "upload-offset": String(Number(headers["upload-offset"] ?? 0) + body.length) };
    const location = `http://${headers.host}/storage/v1/upload/resumable/x`;
    return method === "POST" ? { status: 201, headers: { location, ...offset } } : { status: 204, headers: offset };
  }
  return { body: { Key: "imagen-generated/x.png", storagePath: "x/y.png" } };
}

/** Runs in the page: syncs an image as told, and tells what came of it. */
async function syncInPage({ url, watched, relay, sink, request, picked, asks, stops, buffer, size, free }) {
  const { createSink, createRelay, sync } = await import("/pkg/browser.js");
  const png = new Uint8Array(await (await fetch("/data/lighthouse.png")).arrayBuffer());
  const shared = (bytes) => new WebAssembly.Memory({ initial: bytes / 65536 + 1, maximum: 200, shared: true }).buffer;
  const make = () => {
    if (picked) return document.querySelector("#picked").files[0];
    if (!buffer) return png;
    const made = {
      plain: () => new ArrayBuffer(size),
      // A page that is not isolated has no SharedArrayBuffer, but WebAssembly gives one; of whole pages of memory.
      shared: () => shared(size),
      resizable: () => new ArrayBuffer(size, { maxByteLength: size + 1 }),
      "of an iframe": () => {
        const frame = document.body.appendChild(document.createElement("iframe"));
        return new frame.contentWindow.ArrayBuffer(size);
      },
    }[buffer]();
    const view = new Uint8Array(made, 0, size);
    view.fill(7);
    view.set(png);
    return buffer === "shared" ? view : made;
  };
  const accessToken = async () => (asks ? (await fetch(`${url}/token`)).text() : "a.b.c");
  const common = { url, accessToken, initialBackoffMs: 10, timeoutMs: 20_000, ...sink };
  const options = { ...common, apiKey: "sb_publishable_x", ownerUserId: "7d6f2b8e-1111-4222-8333-444455556666" };
  const given = {
    date: "2026-05-11",
    slug: "lighthouse",
    seed: 1,
    prompt: "p",
    backend: "b",
    image: make(),
    ...request,
  };
  const events = [];
  const call = watched ? { onProgress: (event) => events.push(event) } : {};
  if (stops) fetch(`${url}/sent`).then(() => window.stop());
  const started = performance.now();
  const run = async () => {
    if (free) return sync(options, given, call);
    const made = relay ? await createRelay(common) : await createSink(options);
    return made.sync(given, call).finally(() => made.free());
  };
  return run().then(
    (value) => ({ value, events, tookMs: performance.now() - started }),
    ({ code, stage, field, retryable, message }) => ({ error: { code, stage, field, retryable, message }, events }),
  );
}
