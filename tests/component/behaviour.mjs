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
    const first = await sink.list({ limit: 2, signedUrl: {} });
    const rest = await sink.list({ limit: 2, before: first.before });
    assert.deepEqual([first.images.length, rest.images.length, rest.before], [2, 1, undefined]);
    const listed = [...first.images, ...rest.images];
    assert.deepEqual(listed.map(({ imageId }) => imageId).sort(), requests.map(({ imageId }) => imageId).sort());
    for (const { imageId, seed, prompt, sidecar: kept, columns } of listed) {
      const request = requests.find((each) => each.imageId === imageId);
      assert.deepEqual([BigInt(seed), prompt], [request.seed, request.prompt]);
      assert.deepEqual([JSON.parse(kept), columns], [{ cfg: 1.5 }, "{}"]);
    }
    assert.equal((await fetch(first.images[0].signedUrl)).status, 200);
    assert.equal(rest.images[0].signedUrl, undefined);
    assert.deepEqual(await fieldOf(sink.list({ limit: 501 })), ["invalid-request", "limit"]);
  });

  test("an image comes with its link where one is wanted, of many too, and it fails no image", async (t) => {
    const { sink } = await own(t);
    const requests = Array.from({ length: 3 }, (_, at) => requestOf(700 + at));
    const single = await sink.sync(requests[0], { signedUrl: { expiresIn: 60, download: "a b.png" } });
    assert.match(single.signedUrl, /&download=a%20b\.png$/);
    const many = await sink.syncMany(requests.slice(1), { signedUrl: {} });
    const urls = [single.signedUrl, ...many.map(({ value }) => value.signedUrl)];
    for (const [at, url] of urls.entries()) {
      const seen = Buffer.from(await (await fetch(url)).arrayBuffer());
      assert.equal(sha256(seen), sha256(requests[at].image));
    }
    assert.equal((await sink.sync(requests[0])).signedUrl, undefined);

    server.play({
      "PUT /storage/v1/object/": [{ body: { Key: "x" } }],
      "POST /rest/v1/": [{ status: 201, body: [{ id: OWNER }] }],
      "POST /storage/v1/object/sign/": [{ status: 404, body: {} }],
    });
    const unlinked = await (await scripted(t)).sync(requestOf(703), { signedUrl: {} });
    assert.deepEqual([unlinked.imageId, unlinked.signedUrl], [OWNER, undefined]);
  });

  test("Storage is asked to make a picture smaller, and nothing that it would refuse", async (t) => {
    const transform = { width: 256, height: 128, resize: "contain", quality: 60, format: "origin" };
    const path = "2026-05-11/lighthouse-1.png";
    const signed = { body: { signedURL: `/render/image/sign/imagen-generated/${path}?token=t` } };
    server.play([signed]);
    server.requests.length = 0;
    const sink = await scripted(t);
    const url = await sink.signedUrl(path, { ttlSeconds: 60, transform });
    assert.equal(url, `${server.url}/storage/v1/render/image/sign/imagen-generated/${path}?token=t`);
    assert.deepEqual(await sink.signedUrls([path, path], { transform: { width: 64 } }), [url, url]);
    const asked = server.requests.map(({ body }) => JSON.parse(body));
    const small = { expiresIn: 3600, transform: { width: 64 } };
    assert.deepEqual(asked, [{ expiresIn: 60, transform }, small, small]);

    server.requests.length = 0;
    const wrong = { transform: { width: 0 } };
    for (const call of [
      sink.signedUrl(path, wrong),
      sink.signedUrls([path], wrong),
      sink.list({ signedUrl: wrong }),
      sink.sync(requestOf(710), { signedUrl: wrong }),
      sink.syncMany([requestOf(710)], { signedUrl: wrong }).then(([{ error }]) => Promise.reject(error)),
    ]) {
      assert.deepEqual(await fieldOf(call), ["invalid-request", "transform.width"]);
    }
    const odd = sink.signedUrls(["2026-05-11/what?-1.png"], { transform: { width: 64 } });
    assert.deepEqual(await fieldOf(odd), ["invalid-request", "storagePath"]);
    assert.deepEqual(server.requests, []);
  });

  test("links lead to the small pictures that were sent beside images, and to nothing where there are none", async (t) => {
    const { sink } = await own(t);
    const [pictured, bare] = [await sink.sync(requestOf(720)), await sink.sync(requestOf(721))];
    const small = Buffer.from("a small picture");
    const headers = { authorization: `Bearer ${supabase.serviceKey}`, "content-type": "image/webp" };
    const object = `${supabase.url}/storage/v1/object/imagen-generated/${pictured.storagePath}.thumb`;
    const put = await fetch(object, { method: "PUT", headers, body: small });
    assert.equal(put.status, 200, await put.text());

    const read = async (url) => Buffer.from(await (await fetch(url)).arrayBuffer());
    const url = await sink.signedUrl(pictured.storagePath, { thumbnail: true });
    assert.deepEqual(await read(url), small);
    const paths = [pictured.storagePath, bare.storagePath];
    const [there, missing] = await sink.signedUrls(paths, { thumbnail: true });
    assert.deepEqual([await read(there), missing], [small, undefined]);
    const { images } = await sink.list({ signedUrl: {}, thumbnail: true });
    const listed = new Map(images.map((image) => [image.imageId, image]));
    assert.deepEqual(await read(listed.get(pictured.imageId).thumbnailUrl), small);
    assert.deepEqual(await read(listed.get(pictured.imageId).signedUrl), Buffer.from(imageOf(720)));
    assert.equal(listed.get(bare.imageId).thumbnailUrl, undefined);
    assert.deepEqual(await fieldOf(sink.list({ thumbnail: true })), ["invalid-request", "thumbnail"]);
  });

  test("columns of one's own are listed beside ours, with their digits, and a missing one is told", async (t) => {
    await supabase.script("alter table imagen.images add column if not exists project jsonb");
    await supabase.script("notify pgrst, 'reload schema'");
    const { sink } = await own(t);
    const { imageId } = await sink.sync(requestOf(730));
    await sink.sync(requestOf(731));
    const project = '{"number":1.5}';
    await supabase.sql("update imagen.images set project = $1::text::jsonb where id = $2", [project, imageId]);
    const { images } = await sink.list({ columns: ["project"], signedUrl: {} });
    const listed = Object.fromEntries(images.map(({ prompt, columns }) => [prompt, columns.replaceAll(" ", "")]));
    assert.deepEqual(listed, { p730: `{"project":${project}}`, p731: '{"project":null}' });
    assert.ok(images.every(({ signedUrl }) => signedUrl));
    const unknown = await sink.list({ columns: ["no_such_column"] }).then(assert.fail, (error) => error);
    assert.deepEqual([unknown.stage, unknown.retryable], ["list", false]);
    assert.deepEqual(await fieldOf(sink.list({ columns: ["prompt"] })), ["invalid-request", "columns.prompt"]);

    const texts = { id: OWNER, owner_user_id: OWNER, storage_path: "a/b.png", created_at: "2026-05-11T08:00:00Z" };
    const row = JSON.stringify({ ...texts, prompt: "p", prompt_hash: "h", backend: "b" });
    server.play([{ body: `[${row.replace("}", ',"project":[1.50,18446744073709551615]}')}]` }]);
    const page = await (await scripted(t)).list({ ids: [OWNER], columns: ["project"] });
    assert.equal(page.images[0].columns, '{"project":[1.50,18446744073709551615]}');
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

/** What a call fails with, and of which field. */
async function fieldOf(call) {
  const { code, field } = await call.then(assert.fail, (error) => error);
  return [code, field];
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
    if (op !== "sync") return { value: await sink.signedUrl(storagePath, { ttlSeconds }) };
    const { storagePath: path, imageId } = await sync();
    return { value: { storagePath: path, imageId } };
  } catch (error) {
    // A WIT writes names with hyphens.
    error.code = error.code?.replaceAll("-", "_");
    return { error };
  } finally {
    await sink.drop();
  }
}
