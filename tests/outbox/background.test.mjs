// The service worker delivers with no page open.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dispatchSync, stopWorkers } from "../support/background.mjs";
import { outboxWorld, range } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();

const rowsOf = async (user) => world.supabase.sql("select 1 from imagen.images where owner_user_id = $1", [user.id]);

/** A browser context, so a service worker, of the user's own; its pages are gone when this resolves. */
async function enqueueAndLeave(t, user, worker, numbers) {
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context, worker });
  world.recorder.offline(true);
  const results = await tab.enqueueAll(numbers);
  await tab.page.close();
  return { context, results };
}

test("Background Sync delivers with no page open", async (t) => {
  const user = await world.user();
  const { context, results } = await enqueueAndLeave(t, user, world.worker(user), range(3));
  await stopWorkers(context);
  world.recorder.offline(false);
  await dispatchSync(context, world.site.url);
  await until(async () => (await rowsOf(user)).length === 3, "three rows");
  await world.arrived(user, range(3), results);
  const tab = await world.tab(t, user, { context });
  assert.deepEqual(await tab.list(), []);
});

test("Background Sync that finds the server unreachable loses nothing, the next one delivers", async (t) => {
  const user = await world.user();
  const { context, results } = await enqueueAndLeave(t, user, world.worker(user), range(2));
  await dispatchSync(context, world.site.url);
  assert.deepEqual(await rowsOf(user), []);
  world.recorder.offline(false);
  await dispatchSync(context, world.site.url);
  await until(async () => (await rowsOf(user)).length === 2, "two rows");
  await world.arrived(user, range(2), results);
});

test("a service worker drains when it starts, whatever started it", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context });
  await tab.enqueueAll(range(2));
  await tab.page.evaluate((url) => navigator.serviceWorker.register(url, { type: "module" }), world.worker(user));
  await tab.empty();
  await world.arrived(user, range(2));
});

test("an enqueue asks for Background Sync", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  await context.grantPermissions(["background-sync"]);
  world.recorder.offline(true);
  const tab = await world.tab(t, user, { context, worker: world.worker(user) });
  // The browser fires it at once where it is online: what was asked for is seen by listening in.
  await tab.page.evaluate(() => {
    const { register } = SyncManager.prototype;
    window.tags = [];
    SyncManager.prototype.register = function (tag) {
      window.tags.push(tag);
      return register.call(this, tag);
    };
  });
  await tab.enqueue(1);
  assert.deepEqual(await tab.page.evaluate(() => window.tags), ["imagen-cloud-outbox"]);
});
