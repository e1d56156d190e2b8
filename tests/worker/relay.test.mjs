// The package's relay before the real Worker: what a page does.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { createRelay, isImagenCloudError } from "imagen-cloud";
import { decodeJwt } from "jose";
import { LEGAL_NAMES } from "../support/legal-names.mjs";
import { until } from "../support/until.mjs";
import { importModule } from "./modules.mjs";
import { BUCKET, fields, PIXEL, PNG, pngOf, startBench } from "./support.mjs";

const MIB = 1024 * 1024;

let bench;
let user;
let other;
before(async () => {
  bench = await startBench({ SYNC_BACKOFF_MS: "5" });
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
});
after(() => bench?.close());

async function relayOf(t, { id, accessToken }, options = {}) {
  const own = { url: bench.url, ownerUserId: id, accessToken: () => accessToken };
  const relay = await createRelay({ initialBackoffMs: 10, ...own, ...options });
  t.after(() => relay.free());
  return relay;
}

const wish = (image, changes) => fields({ slug: randomUUID(), image, ...changes });

/** Row and object are there, once, and nothing is left over. */
async function assertThere({ storagePath, imageId }, owner, bytes) {
  const rows = await bench.supabase.sql(
    "select owner_user_id, storage_path from imagen.images where id = $1 or storage_path = $2",
    [imageId, storagePath],
  );
  assert.deepEqual(rows, [{ owner_user_id: owner.id, storage_path: storagePath }]);
  const { data } = await bench.admin.storage.from(BUCKET).download(storagePath);
  assert.ok(Buffer.from(await data.arrayBuffer()).equals(bytes), "every byte");
  const objects = JSON.parse(await bench.snapshot()).objects.map(({ name }) => name);
  assert.deepEqual(
    objects.filter((name) => name.includes(".incoming")),
    [],
  );
}

async function refusalOf(call) {
  const error = await call.then(
    () => assert.fail("resolved"),
    (reason) => reason,
  );
  assert.ok(isImagenCloudError(error), error);
  return error;
}

test("a small image, its row with every digit, and its URL", async (t) => {
  const relay = await relayOf(t, user);
  const request = wish(PNG, { seed: -9223372036854775808n, model: "m", costUsdEstimate: 0.25, sidecar: { a: [1] } });
  const result = await relay.sync(request);
  assert.equal(result.storagePath, `${user.id}/2026-05-11/${request.slug}--9223372036854775808.png`);
  assert.equal(result.queued, undefined);
  await assertThere(result, user, PNG);
  const [row] = await bench.supabase.sql(
    "select seed::text, model, width, height, cost_usd_estimate::text cost, sidecar from imagen.images where id = $1",
    [result.imageId],
  );
  const { cost, ...rest } = row;
  assert.equal(Number(cost), 0.25);
  const wanted = { seed: "-9223372036854775808", model: "m", width: 320, height: 240, sidecar: { a: [1] } };
  assert.deepEqual(rest, wanted);
  const url = await relay.signedUrl(result.storagePath, 60);
  assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), PNG);
});

test("13 MiB by ticket, through cut pieces and a commit whose answer is lost", async (t) => {
  const bytes = pngOf(13 * MIB);
  let requests = 0;
  const cuts = ["PATCH", "PATCH", "COMMIT"];
  // A page's line: it breaks on the way there, and on the way back.
  const line = async (url, init) => {
    requests += 1;
    const isCommit = url.endsWith("/commit");
    if (init.method === cuts[0] || (isCommit && cuts[0] === "COMMIT")) {
      cuts.shift();
      if (isCommit) await (await fetch(url, init)).arrayBuffer();
      throw new TypeError("the line broke");
    }
    return fetch(url, init);
  };
  const relay = await relayOf(t, user, { fetch: line, maxRetries: 2 });
  const result = await relay.sync(wish(bytes));
  assert.deepEqual(cuts, []);
  assert.ok(requests < 14, `${requests} requests`);
  await assertThere(result, user, bytes);
});

test("an image is handed over while Supabase is down, and the same one again tells when it is there", async (t) => {
  const relay = await relayOf(t, user);
  const request = wish(PNG, { imageId: randomUUID() });
  bench.front.down = true;
  t.after(() => {
    bench.front.down = false;
  });
  const place = { storagePath: `${user.id}/2026-05-11/${request.slug}-42.png`, imageId: request.imageId };
  assert.deepEqual(await relay.sync(request), { ...place, queued: true });
  const large = await relayOf(t, user, { resumableFrom: 1, maxRetries: 0 });
  const refused = await refusalOf(large.sync(wish(PNG)));
  assert.deepEqual([refused.code, refused.retryable, refused.retryAfterMs], ["unavailable", true, 5000]);
  bench.front.down = false;
  await until(async () => (await relay.sync(request)).queued === undefined, "the image to be there");
  await assertThere(place, user, PNG);
  const { objects } = await (await bench.worker.staged()).list();
  assert.deepEqual(objects, []);
});

test("a ticket that expired on the way is renewed for the same upload", async (t) => {
  const bytes = pngOf(7 * MIB);
  const { issueTicket } = await importModule("ticket.ts");
  const over = { serviceKey: bench.supabase.serviceKey, ticketTtlSeconds: -1 };
  const asked = { tickets: 0, creations: 0, commits: 0 };
  const late = async (url, init) => {
    if (init.method === "POST" && url.endsWith("/resumable/sign")) asked.creations += 1;
    if (url.endsWith("/commit")) asked.commits += 1;
    const answer = await fetch(url, init);
    if (!/\/api\/tickets(\/[^/]+\/renew)?$/.test(url) || ++asked.tickets > 1) return answer;
    const issued = await answer.json();
    return Response.json({ ...issued, ...(await issueTicket(decodeJwt(issued.ticket), user, over)) }, answer);
  };
  const relay = await relayOf(t, user, { fetch: late });
  await assertThere(await relay.sync(wish(bytes)), user, bytes);
  assert.deepEqual(asked, { tickets: 2, creations: 1, commits: 2 });
});

test("another's imageId is taken, small or large, and what is theirs stays", async (t) => {
  const imageId = randomUUID();
  const theirs = await (await relayOf(t, other)).sync(wish(PNG, { imageId }));
  const before = await bench.snapshot();
  for (const options of [{}, { resumableFrom: 1 }]) {
    const relay = await relayOf(t, user, options);
    const error = await refusalOf(relay.sync(wish(PNG, { imageId })));
    assert.deepEqual([error.code, error.status, error.serverCode], ["id_taken", 409, "id_taken"]);
  }
  assert.equal(await bench.snapshot(), before);
  await assertThere(theirs, other, PNG);
});

test("who is not signed in, and another's path, are refused by name", async (t) => {
  const nobody = await relayOf(t, { id: user.id, accessToken: "none" });
  assert.equal((await refusalOf(nobody.sync(wish(PNG)))).code, "unauthorized");
  const relay = await relayOf(t, user);
  const error = await refusalOf(relay.signedUrl(`${other.id}/x.png`));
  assert.deepEqual([error.code, error.serverCode], ["forbidden", "not_yours"]);
  assert.equal((await refusalOf(relay.signedUrl(`${user.id}/x.png`))).code, "object_missing");
  const long = await refusalOf(relay.signedUrl(`${user.id}/x.png`, 100_000));
  assert.deepEqual([long.code, long.field], ["invalid_request", "ttl"]);
});

test("whatever Storage takes in a name goes through the Worker, and its URL works", async (t) => {
  const relay = await relayOf(t, user, { resumableFrom: 2 * MIB });
  const run = randomUUID();
  const requests = LEGAL_NAMES.map((slug, seed) => wish(PNG, { slug: `${run}/${slug}`, seed }));
  const outcomes = await relay.syncMany(requests, { concurrency: 4 });
  for (const [index, { storagePath, error }] of outcomes.entries()) {
    assert.equal(storagePath, `${user.id}/2026-05-11/${requests[index].slug}-${index}.png`, String(error));
    const url = await relay.signedUrl(storagePath, 60, { download: "a,b;c?.png" });
    assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), PNG, url);
  }
});

test("many at once, each with its own outcome", async (t) => {
  const relay = await relayOf(t, user, { resumableFrom: MIB, chunkSize: MIB });
  const sizes = [PNG.length, 2 * MIB, 5000];
  const images = [PNG, pngOf(2 * MIB), pngOf(5000)];
  let last;
  const requests = [...images.map((image) => wish(image)), wish(PNG, { prompt: "x", slug: "a\\b" })];
  const outcomes = await relay.syncMany(requests, {
    onProgress: (event) => {
      last = event;
    },
  });
  assert.deepEqual(
    outcomes.map(({ ok }) => ok),
    [true, true, true, false],
  );
  for (const [index, bytes] of images.entries()) await assertThere(outcomes[index], user, bytes);
  const total = sizes.reduce((sum, size) => sum + size, PNG.length);
  assert.deepEqual(last, { stage: "done", sent: total, total });
});

test("two users list and remove their own images, and nobody else's", async (t) => {
  const [alice, bob] = [await bench.supabase.createUser(), await bench.supabase.createUser()];
  const [hers, his] = [await relayOf(t, alice), await relayOf(t, bob)];
  const send = async (relay) =>
    (await relay.syncMany([wish(PNG, { seed: 1n << 60n }), wish(PNG), wish(PNG)])).map(({ ok, ...image }) => image);
  const [sent, theirs] = [await send(hers), await send(his)];
  const before = await bench.snapshot();
  const idsOf = async (relay) => (await relay.list({ signedUrl: false })).images.map(({ imageId }) => imageId).sort();
  const ids = (images) => images.map(({ imageId }) => imageId).sort();
  assert.deepEqual([await idsOf(hers), await idsOf(his)], [ids(sent), ids(theirs)]);
  const { images } = await hers.list({ limit: 3 });
  assert.ok(images.some(({ seed }) => seed === 1n << 60n));
  assert.equal((await fetch(images[0].signedUrl)).status, 200);
  // By id, by path, by both, one's own id beside another's path, and the other way round.
  const [own, other] = [sent[0], theirs[0]];
  const tries = [
    { imageId: other.imageId },
    { storagePath: other.storagePath },
    other,
    { imageId: own.imageId, storagePath: other.storagePath },
    { imageId: other.imageId, storagePath: own.storagePath },
  ];
  const nobodys = await relayOf(t, { ...alice, id: undefined });
  for (const image of tries) {
    const error = await refusalOf(nobodys.remove(image));
    assert.deepEqual([error.code, error.serverCode], ["forbidden", "not_yours"], JSON.stringify(image));
    assert.ok(["forbidden", "invalid_request"].includes((await refusalOf(hers.remove(image))).code));
  }
  assert.equal(await bench.snapshot(), before);
  const outcomes = await hers.remove([sent[0], theirs[0], { imageId: sent[1].imageId }]);
  assert.deepEqual(
    outcomes.map(({ ok }) => ok),
    [true, false, true],
  );
  assert.deepEqual([await idsOf(hers), await idsOf(his)], [ids(sent.slice(2)), ids(theirs)]);
  const { objects } = JSON.parse(await bench.snapshot());
  const left = objects.map(({ name }) => name);
  assert.deepEqual(
    sent.map(({ storagePath }) => left.includes(storagePath)),
    [false, false, true],
  );
  assert.ok(theirs.every(({ storagePath }) => left.includes(storagePath)));
});

test("20 removals by the Worker at a rate of 20 % leave nothing of them, and nothing of others is gone", async (t) => {
  const [owner, bystander] = [await bench.supabase.createUser(), await bench.supabase.createUser()];
  const requests = (count) => Array.from({ length: count }, () => wish(PIXEL));
  const relay = await relayOf(t, owner, { maxRetries: 2, maxBackoffMs: 50 });
  const sent = await relay.syncMany(requests(22));
  const [theirs] = await (await relayOf(t, bystander)).syncMany(requests(1));
  assert.ok([...sent, theirs].every(({ ok }) => ok));
  let count = 0;
  // Every fifth request to Supabase: in turn it never arrives, is refused, or its answer is lost.
  bench.front.before = async (_, response) => {
    count += 1;
    if (count % 15 === 5) response.destroy();
    if (count % 15 === 10) response.writeHead(503).end("down");
  };
  bench.front.lose = () => count % 15 === 14;
  try {
    let left = sent.slice(2);
    // What the Worker says that it could not end, the same removal ends.
    for (let round = 0; left.length > 0; round += 1) {
      assert.ok(round < 20, `${left.length} are left`);
      const outcomes = await relay.remove(left, { concurrency: 8 });
      const failures = outcomes.filter(({ ok }) => !ok).map(({ error }) => error.code);
      assert.deepEqual(failures, Array(failures.length).fill("unavailable"));
      left = left.filter((_, index) => !outcomes[index].ok);
    }
  } finally {
    bench.front.before = undefined;
    bench.front.lose = undefined;
  }
  assert.ok(count > 60, `${count} requests`);
  const { rows, objects } = JSON.parse(await bench.snapshot());
  const kept = [...sent.slice(0, 2), theirs].map(({ storagePath }) => storagePath).sort();
  const folders = [owner.id, bystander.id];
  const ours = (path) => folders.includes(path.split("/")[0]);
  assert.deepEqual(
    rows
      .map(({ storage_path: path }) => path)
      .filter(ours)
      .sort(),
    kept,
  );
  assert.deepEqual(
    objects
      .map(({ name }) => name)
      .filter(ours)
      .sort(),
    kept,
  );
});

for (const [name, status, code] of [
  ["a trigger", 400, "P0001"],
  ["a foreign key", 409, "23503"],
  ["a column that may not be null", 400, "23502"],
]) {
  test(`what ${name} of the table refuses is refused for good, and not sent again and again`, async (t) => {
    const words = { code, message: "no more images this month", details: null, hint: null };
    for (const options of [{}, { resumableFrom: 1 }]) {
      const relay = await relayOf(t, user, options);
      let tries = 0;
      bench.front.before = async ({ method, path }, response) => {
        if (method !== "POST" || !path.startsWith("/rest/v1/images")) return;
        tries += 1;
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(words));
      };
      try {
        const error = await refusalOf(relay.sync(wish(PIXEL)));
        const told = [error.code, error.status, error.serverCode, error.retryable, tries];
        assert.deepEqual(told, ["rejected", 422, "row_refused", false, 1]);
        assert.ok(!error.message.includes("this month"), "its words may quote values");
      } finally {
        bench.front.before = undefined;
      }
    }
  });
}
