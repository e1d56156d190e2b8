// What must hold of the package in whichever browser: sending, resumed pieces, the outbox over a closed tab, two tabs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld, range, sinkOf } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

/** Registers the tests. @param {Parameters<typeof outboxWorld>[1]} start starts the browser */
export function testLibrary(start) {
  const world = outboxWorld(undefined, start);

  for (const [name, size] of [
    ["an image", 0],
    ["a large image, in pieces,", 14 * 1024 * 1024],
  ]) {
    test(`${name} arrives, reports its progress and comes back by its signed URL`, async (t) => {
      const user = await world.user();
      const { page } = await world.tab(t, user, { open: false });
      const { progress, isSame, type, storagePath, imageId, size: sent } = await sync(world, page, user, size);
      assert.deepEqual([isSame, type], [true, "image/png"]);
      const rows = await world.supabase.sql(
        "select id, storage_path, seed::text, width from imagen.images where id = $1",
        [imageId],
      );
      assert.deepEqual(rows, [{ id: imageId, storage_path: storagePath, seed: String(2n ** 60n), width: 320 }]);
      assert.ok(progress.length > 0);
      const counts = progress.map(({ sent }) => sent);
      assert.deepEqual(
        counts,
        counts.toSorted((one, other) => one - other),
      );
      assert.equal(counts.at(-1), sent);
    });
  }

  testThumbnails(world);

  test("what is enqueued without a connection outlives its tab, and arrives once by the next one", async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const first = await world.tab(t, user, { context, options: { automatic: true } });
    world.recorder.offline(true);
    const results = await first.enqueueAll(range(4));
    await until(async () => (await first.list()).some(({ error }) => error !== undefined), "a try in vain");
    await first.page.close();

    world.recorder.offline(false);
    const second = await world.tab(t, user, { context, options: { automatic: true } });
    await second.empty();
    await world.arrived(user, range(4), results);
  });

  test("of two tabs one sends, and both hear of it", async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const [one, other] = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
    await one.enqueueAll(range(6));
    await Promise.all([one.drain(), other.drain()]);
    await one.empty();
    await world.arrived(user, range(6));
    for (const tab of [one, other]) {
      await until(
        async () => (await tab.changes()).filter(({ state }) => state === "done").length === 6,
        "six arrivals",
      );
    }
  });

  test("a page without Background Sync says nothing of it, and its database holds no token", async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user, { worker: world.worker(user) });
    await tab.enqueue(1);
    assert.ok(!(await tab.dump()).includes(user.accessToken));
    await tab.drain();
    await tab.empty();
    await world.arrived(user, [1]);
  });
}

/** Registers the tests of small pictures. @param {Awaited<ReturnType<typeof outboxWorld>>} world */
export function testThumbnails(world) {
  test("a small picture goes beside an image, straight or by an outbox, and where none was asked for there is none", async (t) => {
    const user = await world.user();
    const { page } = await world.tab(t, user, { open: false });
    const settings = { sink: sinkOf({ ...world, user, target: world.supabase.url }), token: user.accessToken };
    const seen = await page.evaluate(async ({ sink: options, token }) => {
      const { createSink, createOutbox } = await import("/pkg/outbox-browser.js");
      const accessToken = () => token;
      const canvas = Object.assign(document.createElement("canvas"), { width: 1600, height: 1200 });
      canvas.getContext("2d").fillRect(0, 0, 800, 600);
      const image = await new Promise((resolve) => canvas.toBlob(resolve));
      const request = { date: "2026-05-11", image, prompt: "a fox", backend: "b", seed: 1 };
      const sink = await createSink({ ...options, accessToken, thumbnail: { side: 400 } });
      const plain = await createSink({ ...options, accessToken });
      const outbox = await createOutbox(sink, { automatic: false });
      const paths = [
        (await sink.sync({ ...request, slug: "straight" })).storagePath,
        (await outbox.enqueue({ ...request, slug: "kept" })).storagePath,
        (await plain.sync({ ...request, slug: "plain" })).storagePath,
      ];
      await outbox.drain();
      const urls = await sink.signedUrls(paths, 60, { thumbnail: true });
      const look = async (url) => {
        if (url === null) return null;
        const blob = await (await fetch(url)).blob();
        const { width, height } = await createImageBitmap(blob);
        return { type: blob.type, width, height };
      };
      const made = await new Promise((resolve) => canvas.toBlob(resolve, "image/webp"));
      await outbox.close();
      return { small: await Promise.all(urls.map(look)), writesWebp: made.type === "image/webp" };
    }, settings);
    const small = { type: seen.writesWebp ? "image/webp" : "image/jpeg", width: 400, height: 300 };
    assert.deepEqual(seen.small, [small, small, null]);
  });
}

/** Syncs an image of that many bytes in the page. */
function sync(world, page, user, size) {
  const settings = { sink: sinkOf({ ...world, user, target: world.recorder.url }), token: user.accessToken, size };
  return page.evaluate(async ({ sink: options, token, size }) => {
    const { createSink } = await import("/pkg/browser.js");
    const png = new Uint8Array(await (await fetch("/data/lighthouse.png")).arrayBuffer());
    const bytes = new Uint8Array(Math.max(size, png.length)).fill(7);
    bytes.set(png);
    const sink = await createSink({ ...options, accessToken: () => token });
    const progress = [];
    const place = await sink.sync(
      { date: "2026-05-11", slug: "fox", seed: 2n ** 60n, image: new Blob([bytes]), prompt: "a fox", backend: "b" },
      { onProgress: (event) => progress.push(event) },
    );
    const answer = await fetch(await sink.signedUrl(place.storagePath, 60));
    const back = new Uint8Array(await answer.arrayBuffer());
    sink.free();
    const isSame = back.length === bytes.length && back.every((byte, i) => byte === bytes[i]);
    return { ...place, type: answer.headers.get("content-type"), isSame, progress, size: bytes.length };
  }, settings);
}
