/**
 * Writes `version-1.json`: the database of a real outbox with jobs in every state, as the package writes it that lies in
 * `pkg/`. It was made with 0.1.0, and stays as it is, since browsers out there hold such databases.
 *
 *   node --test tests/outbox/kept/make.mjs
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, test } from "node:test";
import { startWorker } from "../../../www/local/worker.mjs";
import { databaseOf, imageBytes, outboxWorld } from "../../support/outbox.mjs";
import { until } from "../../support/until.mjs";

const world = outboxWorld();
let worker;
after(() => worker?.close());

/** Runs in the page. */
async function read(name) {
  const { settled } = window.kit;
  const database = await settled(indexedDB.open(name));
  const all = (store) => database.transaction(store).objectStore(store);
  const jobs = await settled(all("jobs").getAll());
  const keys = await settled(all("images").getAllKeys());
  const images = await settled(all("images").getAll());
  const base64 = (buffer) => new Uint8Array(buffer).reduce((text, byte) => text + String.fromCharCode(byte), "");
  const settings = await settled(all("settings").getAll());
  const names = await settled(all("settings").getAllKeys());
  return {
    version: database.version,
    jobs,
    images: Object.fromEntries(keys.map((key, at) => [key, btoa(base64(images[at]))])),
    settings: Object.fromEntries(names.map((key, at) => [key, settings[at]])),
  };
}

test("a database with jobs in every state is written", async (t) => {
  const { recorder, supabase, site } = world;
  const user = await world.user();
  worker = await startWorker({
    bindings: {
      SUPABASE_URL: recorder.url,
      SUPABASE_SERVICE_KEY: supabase.serviceKey,
      SUPABASE_JWT_SECRET: supabase.jwtSecret,
      ALLOWED_ORIGINS: site.url,
      SYNC_BACKOFF_MS: "5",
      RETRY_DELAY_SECONDS: "600",
    },
    log: () => {},
    rateLimit: { limit: 1_000_000, period: 60 },
  });
  const context = await world.context(t);
  // Images with a number of one digit go in one piece, those of three in pieces.
  const common = { maxRetries: 0, resumableFrom: imageBytes(100).length, chunkSize: 10_000 };

  // One is refused for good, one's row for an hour.
  const sink = { ...common, initialBackoffMs: 1000 };
  const tab = await world.tab(t, user, { context, sink });
  await tab.enqueueAll([3, 4]);
  const body = { code: "42501", message: "new row violates row-level security policy", details: null, hint: null };
  recorder.answer({ method: "POST", image: "lighthouse-3.", status: 403, body });
  const headers = { "retry-after": "3600", "access-control-expose-headers": "retry-after" };
  recorder.answer({ method: "POST", image: "lighthouse-4.", status: 503, headers, body: {} });
  await tab.drain();

  // One is handed over, while Supabase doesn't take it, and one half sent by ticket.
  const relay = { ...common, url: worker.url, initialBackoffMs: 1000 };
  const relayed = await world.tab(t, user, { context, relay });
  await relayed.enqueueAll([1, 200]);
  const isTaken = recorder.answer({ method: "PUT", image: "lighthouse-1.", status: 503, body: {} });
  const byTicket = recorder.hold({ method: "PATCH", target: "resumable", at: "request", skip: 1 });
  relayed.drain().catch(() => {});
  await byTicket.reached;
  const isHandedOver = async () => (await tab.list()).some(({ state }) => state === "handed-over");
  await until(isHandedOver, "an image handed over");
  await relayed.page.close();
  isTaken();

  // One is half sent, and one waits for its turn, as all others are held.
  recorder.hold({ method: "PUT", image: "lighthouse-1.", at: "request" });
  recorder.hold({ method: "POST", target: "resumable", at: "request" });
  const direct = recorder.hold({ method: "PATCH", target: "resumable", at: "request", skip: 1 });
  await tab.enqueueAll([500, 6]);
  tab.drain().catch(() => {});
  await direct.reached;
  const kept = await tab.page.evaluate(read, databaseOf(user));
  const { jobs } = kept;
  const about = ({ text }) => {
    const { state, uploaded, uploadId, ticketUploadId } = JSON.parse(text);
    return [state, uploaded, Boolean(uploadId), Boolean(ticketUploadId)];
  };
  assert.deepEqual(jobs.map(about), [
    ["failed", true, false, false],
    ["uploaded", true, false, false],
    ["handed-over", false, false, false],
    ["uploading", false, false, true],
    ["uploading", false, true, false],
    ["queued", false, false, false],
  ]);
  const file = new URL("version-1.json", import.meta.url);
  await writeFile(file, `${JSON.stringify({ user: user.id, ...kept }, undefined, 2)}\n`);
});
