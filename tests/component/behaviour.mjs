// What the component of the world `library` does, in whichever engine: each has a file of its own that says how it is started.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { inTurn, startChaos } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { startScripted } from "../support/scripted.mjs";
import { sha256, verify } from "../support/verify.mjs";
import { IMAGE, play, vectors } from "../vectors/seed.mjs";

const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));
const OWNER = "7d6f2b8e-1111-4222-8333-444455556666";
const MANY = 25;

/** Each image has bytes of its own, so that a mix-up shows. */
const imageOf = (number) => new Uint8Array(Buffer.concat([PNG, Buffer.from(`image ${number}`)]));

const requestOf = (number, fields) => ({
  date: "2026-05-11",
  slug: "lighthouse",
  seed: BigInt(number),
  prompt: `p${number}`,
  backend: "b",
  image: imageOf(number),
  imageId: uuid(`component ${number}`),
  ...fields,
});

/** A UUID that is the same in every run, so that the same requests meet the same faults. */
function uuid(text) {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/**
 * @param {typeof import("./guest.mjs").startGuest} startGuest
 * @param {{ endsRequests: boolean }} engine whether its host ends a request that the component lets go
 */
export function testLibrary(startGuest, { endsRequests }) {
  let guest;
  let server;
  let supabase;
  before(async () => {
    guest = startGuest();
    [server, supabase] = await Promise.all([startScripted(), startEmbedded()]);
  });
  after(() => Promise.all([guest?.close(), server?.close(), supabase?.close()]));

  /** A sink for one test. */
  async function connect(t, options) {
    const sink = await guest.connect({ initialBackoffMs: 5, maxBackoffMs: 500, ...options });
    t.after(() => sink.drop());
    return sink;
  }
  const scripted = (t, options) => connect(t, { url: server.url, apiKey: "test-key", ownerUserId: OWNER, ...options });

  /** A sink for a new user, and what is there of theirs in the end. */
  async function own(t, { url = supabase.url, ...options } = {}) {
    const user = await supabase.createUser();
    const prefix = user.id;
    const sink = await connect(t, {
      url,
      apiKey: supabase.serviceKey,
      ownerUserId: user.id,
      pathPrefix: prefix,
      ...options,
    });
    const check = (beliefs) =>
      verify({ url: supabase.url, serviceKey: supabase.serviceKey, beliefs, prefix: `${prefix}/` });
    return { user, sink, check };
  }

  describe("the vectors of the seed", () => {
    for (const vector of vectors) test(vector.name, () => play(vector, server, (given) => run(guest, server, given)));
  });

  test("many images through faults arrive once each", async (t) => {
    const faults = { place: inTurn(3), delayMs: 20, blackoutMs: 50, retryAfterSeconds: 0 };
    const chaos = await startChaos({ target: supabase.url, ...faults });
    t.after(() => chaos.close());
    const { sink, check } = await own(t, { url: chaos.url, maxRetries: 12 });
    const requests = Array.from({ length: MANY }, (_, number) => requestOf(number));
    const outcomes = await sink.syncMany(requests);
    assert.deepEqual(outcomes.map(({ error }) => error?.message).filter(Boolean), []);
    const beliefs = outcomes.map(({ value }, at) => ({ ...value, sha256: sha256(requests[at].image), ok: true }));
    const { problems, rows, objects } = await check(beliefs);
    assert.deepEqual([problems, rows, objects], [[], MANY, MANY]);
    assert.ok(Object.keys(chaos.stats.faults).length >= 4, `only ${Object.keys(chaos.stats.faults)} happened`);
  });

  test("a large image goes in pieces and resumes where the line was cut", async (t) => {
    const cuts = ["cut-midway", "cut-after", "bad-gateway"];
    const place = ({ method }) => (method === "PATCH" ? cuts.shift() : undefined);
    const chaos = await startChaos({ target: supabase.url, place });
    t.after(() => chaos.close());
    const { sink, check } = await own(t, { url: chaos.url, resumableFrom: 1n << 16n, chunkSize: 1n << 16n });
    const image = new Uint8Array(1 << 19).map((_, at) => at * 31 + (at >> 12));
    image.set(PNG);
    const synced = await sink.sync(requestOf(100, { image }));
    const { problems, rows } = await check([{ ...synced, sha256: sha256(image), ok: true }]);
    assert.deepEqual([problems, rows, cuts], [[], 1, []]);
  });

  test("an image that is begun gets on as it is asked for, and tells what it waits for", async (t) => {
    const { sink, check } = await own(t);
    const sending = await sink.start(requestOf(200));
    t.after(() => sending.drop());
    let outcome;
    while (outcome === undefined) {
      assert.ok((await sending.subscribe()) > 0);
      outcome = await sending.finish();
    }
    assert.deepEqual((await check([{ ...outcome.value, sha256: sha256(imageOf(200)), ok: true }])).problems, []);
    assert.deepEqual(await sending.finish(), outcome, "the outcome stays");
    assert.equal(await sending.subscribe(), 1, "and whoever waits is told so at once");
  });

  test("dropping what was begun ends it: nothing follows", async (t) => {
    const { promise: held, resolve: release } = Promise.withResolvers();
    const key = { status: 200, body: { Key: "x" } };
    server.play((_, index) => (index === 0 ? held.then(() => key) : undefined));
    server.requests.length = 0;
    const sink = await scripted(t);
    const sending = await sink.start(requestOf(201, { image: IMAGE }));
    while (server.requests.length === 0) assert.equal(await sending.finish(), undefined);
    await sending.drop();
    if (endsRequests) await server.until(() => server.requests[0].aborted);
    release();
    server.play([key]);
    await sink.signedUrl("2026-05-11/lighthouse-1.png").catch(() => {});
    const others = server.requests.slice(1).filter(({ target }) => !target.includes("/sign/"));
    assert.deepEqual(others, []);
  });

  test("a wrong request is told where the others are, and nothing is sent", async (t) => {
    server.play([]);
    server.requests.length = 0;
    const sink = await scripted(t);
    const sending = await sink.start(requestOf(202, { prompt: "a\0b" }));
    t.after(() => sending.drop());
    const { error } = await sending.finish();
    assert.deepEqual([error.code, error.stage, error.field], ["invalid-request", "request", "prompt"]);
    for (const [field, value] of Object.entries({
      sidecar: "[1]",
      columns: "1",
      costUsdEstimate: Number.NaN,
      imageId: "x",
      slug: "../x",
      image: new Uint8Array(),
    })) {
      const failed = await sink.sync(requestOf(203, { [field]: value })).then(assert.fail, (error) => error);
      assert.deepEqual([failed.field ?? failed.code, failed.retryable], [field, false]);
    }
    const wrong = { url: "ftp://x", apiKey: "k" };
    const refused = await guest.connect(wrong).then(assert.fail, (error) => error);
    assert.deepEqual([refused.stage, refused.code, refused.field], ["config", "invalid-config", "url"]);
    assert.deepEqual(server.requests, []);
  });

  test("an answer that breaks off is asked for again, and one that does not come is given up in time", async (t) => {
    const key = { status: 200, body: { Key: "x" } };
    server.play([{ ...key, truncate: true }, key, { status: 201, body: [{ id: OWNER }] }]);
    const sink = await scripted(t, { timeoutMs: 30_000 });
    assert.equal((await sink.sync(requestOf(204, { image: IMAGE }))).imageId, OWNER);
    server.play([{ hang: true }]);
    const late = await sink.sync(requestOf(205), { deadlineMs: 50 }).then(assert.fail, (error) => error);
    assert.deepEqual([late.code, late.stage, late.retryable], ["deadline-exceeded", "upload", true]);
    const impatient = await scripted(t, { timeoutMs: 50, maxRetries: 1 });
    const silent = await impatient.sync(requestOf(205, { image: IMAGE })).then(assert.fail, (error) => error);
    assert.deepEqual([silent.code, silent.attempts], ["timeout", 2]);
  });

  test("columns of one's own and a sidecar stand in the row, with their digits and without spaces", async (t) => {
    server.requests.length = 0;
    server.play([{ body: { Key: "x" } }, { status: 201, body: [{ id: OWNER }] }]);
    const sink = await scripted(t);
    const columns = ' { "project_id" : "a \\" b" , "n":[ 1.50, 18446744073709551615 ] } ';
    await sink.sync(requestOf(207, { columns, sidecar: "{ }" }));
    const row = server.requests[1].body.toString();
    assert.ok(row.endsWith(String.raw`,"project_id":"a \" b","n":[1.50,18446744073709551615]}`), row);
    assert.ok(!row.includes("sidecar"), row);
  });

  test("a redirect is not followed", async (t) => {
    server.requests.length = 0;
    server.play([{ status: 307, headers: { location: `${server.url}/elsewhere` } }]);
    const sink = await scripted(t);
    const refused = await sink.sync(requestOf(206)).then(assert.fail, (error) => error);
    assert.deepEqual([refused.code, server.requests.length], ["bad-response", 1]);
  });

  test("a user's token goes along, and another one once it is set", async (t) => {
    const { user, sink, check } = await own(t, { apiKey: supabase.publishableKey, accessToken: "stale" });
    const request = requestOf(300);
    const refused = await sink.sync(request).then(assert.fail, (error) => error);
    assert.deepEqual([refused.code, refused.attempts], ["unauthorized", 1]);
    await sink.setAccessToken(user.accessToken);
    const synced = await sink.sync(request);
    assert.deepEqual((await check([{ ...synced, sha256: sha256(request.image), ok: true }])).problems, []);
  });

  test("signed URLs lead to the bytes, and to nothing where there is nothing", async (t) => {
    const { sink } = await own(t);
    const { storagePath } = await sink.sync(requestOf(400));
    const url = await sink.signedUrl(storagePath, { download: "a.png" });
    const response = await fetch(url);
    assert.equal(sha256(Buffer.from(await response.arrayBuffer())), sha256(imageOf(400)));
    const [there, missing] = await sink.signedUrls([storagePath, "2026-05-11/nowhere-1.png"], { ttlSeconds: 60 });
    assert.equal((await fetch(there)).status, 200);
    assert.equal(missing, undefined);
    const none = await sink.signedUrl("2026-05-11/nowhere-1.png").then(assert.fail, (error) => error);
    assert.deepEqual([none.stage, none.code], ["sign", "object-missing"]);
  });

  test("images are listed page by page, with every digit of a seed and a link each", async (t) => {
    const { sink } = await own(t);
    const sidecar = '{"cfg":1.5}';
    const seeds = [2n ** 63n - 1n, -5n, 7n];
    const requests = seeds.map((seed, at) => ({ ...requestOf(600 + at, { sidecar }), seed }));
    for (const request of requests) await sink.sync(request);
    const first = await sink.list({ limit: 2, links: true });
    const rest = await sink.list({ limit: 2, links: false, before: first.before });
    assert.deepEqual([first.images.length, rest.images.length, rest.before], [2, 1, undefined]);
    const listed = [...first.images, ...rest.images];
    assert.deepEqual(listed.map(({ imageId }) => imageId).sort(), requests.map(({ imageId }) => imageId).sort());
    for (const { imageId, seed, prompt, sidecar: kept } of listed) {
      const request = requests.find((each) => each.imageId === imageId);
      assert.deepEqual([BigInt(seed), prompt], [request.seed, request.prompt]);
      assert.deepEqual(JSON.parse(kept), { cfg: 1.5 });
    }
    assert.equal((await fetch(first.images[0].signedUrl)).status, 200);
    assert.equal(rest.images[0].signedUrl, undefined);
    const wrong = await sink.list({ limit: 501, links: false }).then(assert.fail, (error) => error);
    assert.deepEqual([wrong.code, wrong.field], ["invalid-request", "limit"]);
  });

  test("an image is removed with its row, and once more without harm", async (t) => {
    const { sink, check } = await own(t);
    const { imageId, storagePath } = await sink.sync(requestOf(500));
    assert.deepEqual({ ...(await sink.remove({ imageId })) }, { imageId, storagePath });
    assert.equal((await sink.remove({ storagePath })).storagePath, storagePath);
    const { rows, objects } = await check([]);
    assert.deepEqual([rows, objects], [0, 0]);
    const refused = await sink.remove({}).then(assert.fail, (error) => error);
    assert.deepEqual([refused.code, refused.field], ["invalid-request", "imageId"]);
  });
}

/** Runs a vector as its user would, and settles: `{ value }` or `{ error }`. */
async function run(guest, server, { op, ownerUserId, maxRetries, request, storagePath, ttlSeconds }) {
  const sink = await guest.connect({
    url: server.url,
    apiKey: "test-key",
    ownerUserId,
    maxRetries,
    initialBackoffMs: 1,
  });
  const { costUsdEstimate, sidecar, seed, ...fields } = request;
  const sync = () =>
    sink.sync({
      ...fields,
      seed: BigInt(seed),
      image: IMAGE,
      costUsdEstimate: costUsdEstimate === null ? undefined : Number(costUsdEstimate),
      sidecar: sidecar ? JSON.stringify(sidecar) : undefined,
    });
  try {
    return { value: await (op === "sync" ? sync() : sink.signedUrl(storagePath, { ttlSeconds })) };
  } catch (error) {
    // A WIT writes names with hyphens.
    error.code = error.code?.replaceAll("-", "_");
    return { error };
  } finally {
    await sink.drop();
  }
}
