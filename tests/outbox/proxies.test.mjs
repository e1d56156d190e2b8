// Outboxes in the stores of page frameworks, which wrap what they hold in proxies, and outboxes whose sink is freed.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { imageBytes, outboxWorld, sinkOf } from "../support/outbox.mjs";
import { wrap } from "../support/proxies.mjs";

const world = outboxWorld();
let stores;
before(async () => {
  const entryPoints = [fileURLToPath(new URL("../support/proxies.mjs", import.meta.url))];
  const define = { "process.env.NODE_ENV": '"production"' };
  const { outputFiles } = await build({
    entryPoints,
    bundle: true,
    format: "iife",
    globalName: "stores",
    define,
    write: false,
  });
  stores = `${outputFiles[0].text}; window.stores = stores;`;
});

/** Runs in the page: an image's whole way through an outbox whose sink and itself are wrapped. */
async function deliver([sink, token, name]) {
  const { createOutbox, createSink } = await import("/pkg/outbox-browser.js");
  const wrapped = window.stores.wrap[name];
  const made = wrapped(await createSink({ ...sink, accessToken: () => token }));
  const outbox = wrapped(await createOutbox(made, { automatic: false }));
  made.free(); // the outbox has what it needs
  const states = [];
  const end = outbox.onChange(({ state }) => states.push(state));
  const image = new Blob([await (await fetch("/data/lighthouse.png")).arrayBuffer(), "image 1"]);
  const fields = { date: "2026-05-11", slug: "lighthouse", seed: 1, prompt: "p1", backend: "b" };
  const result = await outbox.enqueue({ ...fields, image });
  const [{ id }] = await outbox.list();
  const { size } = await outbox.image(id);
  await outbox.pause();
  const isPaused = await outbox.isPaused();
  await outbox.resume();
  await outbox.retry(id);
  const drained = await outbox.drain();
  end();
  await outbox.clear();
  await outbox[Symbol.asyncDispose](); // what `await using` calls
  const isOver = await outbox.list().then(
    () => false,
    () => true,
  );
  return { result, size, isPaused, drained, isOver, isTold: states.includes("done") };
}

for (const name of Object.keys(wrap)) {
  test(`an outbox and its sink work through ${name}, also once the sink is freed`, async (t) => {
    const user = await world.user();
    const { page } = await world.tab(t, user, { open: false });
    await page.evaluate(stores);
    const sink = sinkOf({ user, supabase: world.supabase, target: world.recorder.url });
    const { result, ...rest } = await page.evaluate(deliver, [sink, user.accessToken, name]);
    const drained = { done: 1, failed: 0, waiting: 0 };
    assert.deepEqual(rest, { size: imageBytes(1).length, isPaused: true, drained, isOver: true, isTold: true });
    await world.arrived(user, [1], [result]);
  });
}
