// The outbox through the Worker: small images in one request, large ones by ticket, and what the Worker keeps meanwhile.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startWorker } from "../../www/local/worker.mjs";
import { imageBytes, outboxWorld } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();
const SIGNED = "/upload/resumable/sign";
let worker;
before(async () => {
  // Hooks of the file itself begin side by side.
  await until(() => world.recorder, "the world", 60_000);
  worker = await startWorker({
    bindings: {
      SUPABASE_URL: world.recorder.url,
      SUPABASE_SERVICE_KEY: world.supabase.serviceKey,
      SUPABASE_JWT_SECRET: world.supabase.jwtSecret,
      ALLOWED_ORIGINS: world.site.url,
      SYNC_BACKOFF_MS: "5",
      RETRY_DELAY_SECONDS: "1",
    },
    log: () => {},
    rateLimit: { limit: 1_000_000, period: 60 },
  });
});
after(() => worker?.close());

/** A tab whose outbox goes through the Worker, by pieces of 10,000 bytes if `large`. */
function openTab(t, user, { large = false, ...settings } = {}) {
  const pieces = large && { resumableFrom: 1, chunkSize: 10_000 };
  const relay = { url: worker.url, maxRetries: 2, initialBackoffMs: 10, maxBackoffMs: 200, ...pieces };
  return world.tab(t, user, { relay, ...settings });
}

const statesOf = async (tab) => {
  const states = (await tab.changes()).map(({ state }) => state).filter((state) => state !== "progress");
  return states.filter((state, index) => state !== states[index - 1]);
};

test("small and large images arrive, without the key and with their progress", async (t) => {
  const user = await world.user();
  for (const [number, large] of [false, true].entries()) {
    const tab = await openTab(t, user, { large });
    const result = await tab.enqueue(number);
    assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
    assert.deepEqual(await statesOf(tab), ["queued", "uploading", "done"]);
    const progress = (await tab.changes()).filter(({ state }) => state === "progress");
    const { sent, total } = progress.at(-1);
    assert.deepEqual([sent, total], [imageBytes(number).length, imageBytes(number).length]);
    assert.equal(result.storagePath, `${user.id}/2026-05-11/lighthouse-${number}.png`);
  }
  await world.arrived(user, [0, 1]);
});

test("an image that the Worker keeps is kept here too, asked for, and sent again only where the Worker has none", async (t) => {
  const user = await world.user();
  const tab = await openTab(t, user);
  const asked = [];
  tab.page.on("request", (request) => {
    const { origin, pathname } = new URL(request.url());
    if (origin === new URL(worker.url).origin && request.method() !== "OPTIONS")
      asked.push([request.method(), pathname]);
  });
  await tab.enqueueAll([1, 2, 3]);
  world.recorder.offline(true);
  assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 3 });
  await tab.reload();
  await tab.open();
  const jobs = await tab.list();
  assert.deepEqual(
    jobs.map(({ state }) => state),
    ["handed-over", "handed-over", "handed-over"],
  );
  assert.deepEqual((await tab.image(jobs[0].id)).bytes, imageBytes(1));
  const [, lost, removed] = jobs.map(({ id }) => id);
  asked.length = 0;
  // Still down: nothing changes, however often it is tried, and nothing is sent again.
  assert.equal((await tab.drain()).waiting, 3);
  assert.deepEqual(
    asked.map(([method]) => method),
    ["GET", "GET", "GET"],
  );

  await (await worker.staged()).delete(`staged/${lost}`);
  const headers = { authorization: `Bearer ${user.accessToken}`, origin: world.site.url };
  await fetch(`${worker.url}/api/images/${removed}`, { method: "DELETE", headers });
  world.recorder.offline(false);
  asked.length = 0;
  await until(async () => (await tab.drain()).waiting === 0, "the Worker's delivery", 60_000);
  assert.equal(asked.filter(([method]) => method !== "GET").length, 1, JSON.stringify(asked));
  const ends = (await tab.changes()).filter(({ state }) => ["done", "discarded"].includes(state));
  assert.deepEqual(new Map(ends.map(({ id, state }) => [id, state])).get(removed), "discarded");
  assert.equal(ends.length, 3);
  assert.deepEqual(await tab.list(), []);
  await world.arrived(user, [1, 2]);
  const { objects } = await (await worker.staged()).list({ prefix: "staged/" });
  assert.deepEqual(objects, []);
});

test("a retry, in another tab, of an image that the Worker has is heard by the tab that drains", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const relay = { url: worker.url, maxRetries: 0, initialBackoffMs: 60_000, maxBackoffMs: 60_000 };
  const tabs = [await world.tab(t, user, { context, relay }), await world.tab(t, user, { context, relay })];
  const { imageId } = await tabs[0].enqueue(1);
  world.recorder.offline(true);
  assert.equal((await tabs[0].drain()).waiting, 1);
  await tabs[0].enqueue(2);
  let asked = 0;
  await tabs[0].page.route(`**/api/images/${imageId}`, (route) => {
    asked += route.request().method() === "GET" ? 1 : 0;
    return route.continue();
  });
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  await tabs[0].page.route("**/api/sync", async (route) => {
    await released;
    await route.continue();
  });
  const drained = tabs[0].drain();
  const attempts = async () => (await tabs[1].list())[0].attempts;
  await until(async () => (await attempts()) === 2, "the answer to a first question");
  await tabs[1].retry(imageId);
  await until(() => asked === 2, "a second one, while another image is held");
  world.recorder.offline(false);
  release();
  await drained;
  await until(async () => (await tabs[1].drain()).waiting === 0, "the Worker's delivery", 60_000);
  await world.arrived(user, [1, 2]);
});

test("a killed tab's large image goes on in the next page by another ticket, and none was kept", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await openTab(t, user, { context, large: true });
  await tab.enqueue(1);
  const from = world.recorder.requests.length;
  const hold = world.recorder.hold({ method: "PATCH", target: SIGNED, at: "request", skip: 1 });
  tab.drain().catch(() => {});
  await hold.reached;
  const dump = await tab.dump();
  await tab.kill();
  t.after(() => hold.release());
  const next = await openTab(t, user, { context, large: true });
  assert.equal((await next.drain()).done, 1);
  await world.arrived(user, [1]);

  const since = world.recorder.requests.slice(from);
  const tickets = since.filter(({ target }) => target.includes("/object/upload/sign/"));
  assert.equal(tickets.length, 2, "each page asks for a ticket of its own");
  const sent = since.filter(({ target }) => target.includes(SIGNED));
  assert.equal(sent.filter(({ method }) => method === "POST").length, 1, "one upload");
  const offsets = sent.filter(({ method }) => method === "PATCH").map(({ headers }) => headers["upload-offset"]);
  assert.equal(offsets.filter((offset) => offset === "10000").length, 1, "what the server had is not sent again");
  const signatures = [...new Set(sent.map(({ headers }) => headers["x-signature"]))];
  assert.ok(dump.includes("ticketUploadId"), "the search looks at something");
  for (const secret of [...signatures, user.accessToken, "eyJhbGciOi"]) assert.ok(!dump.includes(secret), secret);
});

test("a job that was put in for the Worker may go straight to Supabase, and the other way round", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const byRelay = await openTab(t, user, { context, large: true });
  const bySink = await world.tab(t, user, { context });
  await byRelay.enqueue(1);
  assert.equal((await bySink.drain()).done, 1);
  await bySink.enqueue(2);
  assert.equal((await byRelay.drain()).done, 1);
  await world.arrived(user, [1, 2]);
});
