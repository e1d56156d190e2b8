// A bucket that answers late, or never, and one that holds more than one run can look through: nobody waits for it for long, and what
// was taken arrives once. In Node, since workerd's own is neither.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { importModule, startClock } from "./modules.mjs";

const ID = "11111111-2222-4333-8444-555555555555";
const OWNER = "00000000-0000-4000-8000-00000000000a";
const ENV = { SUPABASE_URL: "https://project.example", SUPABASE_SERVICE_KEY: "the-service-key", SYNC_BACKOFF_MS: "1" };
/** What a Worker may ask of bucket and queue in one run, on Cloudflare's free plan. */
const MOST_ASKED = 1_000;
const never = () => new Promise(() => {});

let StagedInR2;
before(async () => {
  ({ StagedInR2 } = await importModule("cloudflare/staged.ts"));
});

const stagingOf = (STAGED, DELIVERIES = {}) => StagedInR2.of({ ...ENV, STAGED, DELIVERIES });

/** A bucket of one staged image, of which this operation is never answered. */
function deafTo(operation) {
  const object = {
    key: `staged/${ID}`,
    body: "a form",
    customMetadata: { owner: OWNER, storagePath: `${OWNER}/a.png` },
    arrayBuffer: operation === "read" ? never : async () => new ArrayBuffer(1),
    text: operation === "read" ? never : async () => "staged/0",
  };
  const answers = { get: object, head: object, put: {}, delete: undefined, list: { objects: [], truncated: false } };
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [name, name === operation ? never : async () => answer]),
  );
}

for (const [name, operations, work] of [
  ["a delivery", ["get", "read"], (staging) => staging.open(ID)],
  [
    "who puts an image aside",
    ["get", "put", "delete", "head"],
    (staging) => staging.bury(ID, "invalid_image", "of the test"),
  ],
  ["the trigger, for what is staged", ["get", "read", "list"], (staging) => staging.requeue(0)],
  ["the trigger, for marks", ["get", "read", "list", "delete"], (staging) => staging.forgetRemovals()],
]) {
  test(`${name} does not wait for ever for a bucket that does not answer`, async (t) => {
    const clock = startClock(t);
    for (const operation of operations) {
      let outcome;
      work(stagingOf(deafTo(operation))).catch((error) => {
        outcome = error.message;
      });
      await clock.advance(10_000);
      assert.equal(outcome, "bucket or queue did not answer", operation);
    }
  });
}

/** A bucket with so many staged images, of which a list tells a thousand, and a queue; `asked` counts what they are asked. */
function startCrowd(count) {
  const crowd = { asked: 0, queued: [], notes: new Map() };
  const keyOf = (number) => `staged/${String(number).padStart(8, "0")}`;
  const counted = (answer) => {
    crowd.asked += 1;
    return answer;
  };
  const bucket = {
    get: async (key) => counted(crowd.notes.has(key) ? { text: async () => crowd.notes.get(key) } : null),
    put: async (key, text) => counted(crowd.notes.set(key, text)),
    delete: async (key) => counted(crowd.notes.delete(key)),
    list: async ({ startAfter, cursor }) => {
      const from = Number((startAfter ?? cursor)?.slice("staged/".length) ?? -1) + 1;
      const to = Math.min(from + 1_000, count);
      const objects = Array.from({ length: to - from }, (_, index) => ({
        key: keyOf(from + index),
        uploaded: new Date(0),
      }));
      return counted({ objects, truncated: to < count, cursor: keyOf(to - 1) });
    },
  };
  const queue = {
    sendBatch: async (messages) => counted(crowd.queued.push(...messages.map(({ body }) => Number(body.imageId)))),
  };
  return Object.assign(crowd, { staging: stagingOf(bucket, queue) });
}

test("of more staged images than a run may queue the next run queues the others, and the one after it begins anew", async () => {
  const count = 120_500;
  const crowd = startCrowd(count);
  const runs = [];
  for (let run = 0; run < 4; run += 1) {
    const queued = await crowd.staging.requeue(0);
    assert.equal(queued, crowd.queued.length);
    assert.ok(crowd.asked <= MOST_ASKED - 50, `${crowd.asked} asked, and the trigger's other work asks some more`);
    runs.push(crowd.queued.splice(0));
    crowd.asked = 0;
  }
  assert.deepEqual(
    runs.slice(0, 3).flat(),
    Array.from({ length: count }, (_, number) => number),
  );
  assert.deepEqual(runs[3], runs[0]);
});
