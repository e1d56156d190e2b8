// Large images that are interrupted: by a reload, by a killed browser, by chaos, by a token that expires. Each time the upload
// goes on from the server's offset.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createSink } from "imagen-cloud";
import { signJwt } from "../../supabase/keys.mjs";
import { createProfile, startOnProfile } from "../support/browser.mjs";
import { startChaos } from "../support/chaos.mjs";
import { openTab, outboxWorld, pathOf } from "../support/outbox.mjs";
import { sha256, verify } from "../support/verify.mjs";
import { CHUNK, image, SIZE, SOME_PIECES } from "./image.mjs";

const world = outboxWorld();

/** Requests of resumable uploads, as the proxy saw them. */
const resumable = (method) =>
  world.recorder.requests.filter(
    (request) => request.method === method && request.target.includes("/upload/resumable"),
  );

const bytesSent = () =>
  [...resumable("POST"), ...resumable("PATCH")].reduce(
    (sum, { headers }) => sum + Number(headers["content-length"]),
    0,
  );

async function arrivedOnce(user, imageId, size = SIZE) {
  const bytes = image.subarray(0, size);
  const beliefs = [{ storagePath: pathOf(user, 1), imageId, sha256: sha256(bytes), ok: true }];
  const { url, serviceKey } = world.supabase;
  const report = await verify({ url, serviceKey, beliefs, prefix: `${user.id}/` });
  assert.deepEqual(report.problems, []);
  assert.deepEqual([report.rows, report.objects], [1, 1]);
}

/** Enqueues so many bytes in the page. */
function enqueue(tab, size = SIZE) {
  return tab.page.evaluate(async (size) => {
    const bytes = new Uint8Array(size);
    for (let index = 0; index < size; index += 4096) bytes[index] = (index / 4096) % 251;
    bytes.set(new Uint8Array(await (await fetch("/data/lighthouse.png")).arrayBuffer()));
    const { value, error } = await window.kit.run("enqueue", "mine", 1, { image: new Blob([bytes]) });
    if (error) throw new Error(error.message);
    return value;
  }, size);
}

/** Drains until the proxy has let a few pieces through, and holds the next one. */
async function interruptAtPiece(tab, number) {
  const hold = world.recorder.hold({ method: "PATCH", at: "request", skip: number - 1 });
  tab.drain().catch(() => {}); // dies with the page
  await hold.reached;
  return hold;
}

/** After the last of so many faults. */
function assertGoesOn({ size = SIZE, faults }) {
  assert.equal(resumable("POST").length, 1, "it is one upload");
  const [head] = resumable("HEAD").slice(-1);
  assert.ok(head, "the server is asked how far it got");
  const said = head.answerHeaders["upload-offset"];
  assert.ok(Number(said) > 0);
  const next = resumable("PATCH").find(({ startedAt }) => startedAt > head.startedAt);
  assert.equal(next.headers["upload-offset"], said, "it goes on from there");
  assert.ok(bytesSent() <= size + CHUNK * faults, `${bytesSent()} bytes for ${faults} faults`);
}

test("an upload goes on from the server's offset in a reloaded page, then in a killed browser's next start", async (t) => {
  const user = await world.user();
  world.recorder.requests.length = 0;
  const profile = await createProfile();
  t.after(() => profile.remove());
  const settings = { url: world.site.url, user, supabase: world.supabase, target: world.recorder.url };
  const first = await startOnProfile(profile.folder);
  t.after(() => first.kill());
  const tab = await openTab(first.context, settings);
  const { imageId } = await enqueue(tab);
  const reloading = await interruptAtPiece(tab, 4);
  await tab.reload();
  reloading.release();
  await tab.open();
  const dying = await interruptAtPiece(tab, 4);
  assertGoesOn({ faults: 1 });
  await first.kill();
  dying.release();

  const second = await startOnProfile(profile.folder);
  t.after(() => second.kill());
  const next = await openTab(second.context, settings);
  assert.deepEqual(await next.drain(), { done: 1, failed: 0, waiting: 0 });
  assertGoesOn({ faults: 2 });
  await arrivedOnce(user, imageId);
});

test("a paused upload goes on with what the server has", async (t) => {
  const user = await world.user();
  world.recorder.requests.length = 0;
  const tab = await world.tab(t, user);
  const { imageId } = await enqueue(tab, SOME_PIECES);
  const hold = await interruptAtPiece(tab, 3);
  await tab.pause();
  hold.release();
  assert.equal((await tab.drain()).stopped, "paused");
  await tab.resume();
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  assertGoesOn({ size: SOME_PIECES, faults: 1 });
  await arrivedOnce(user, imageId, SOME_PIECES);
});

/** A sink in Node for a user, through the recording proxy and whatever is before it. */
const sinkFor = (user, url, options) =>
  createSink({
    url,
    apiKey: world.supabase.publishableKey,
    accessToken: () => user.accessToken,
    ownerUserId: user.id,
    pathPrefix: user.id,
    initialBackoffMs: 5,
    maxBackoffMs: 2000,
    ...options,
  });

const request = {
  date: "2026-05-11",
  slug: "lighthouse",
  seed: 1,
  prompt: "p",
  backend: "b",
  image: new Blob([image]),
};

test("chaos at 20 % costs one piece a fault at most", async (t) => {
  const user = await world.user();
  world.recorder.requests.length = 0;
  const chaos = await startChaos({
    target: world.recorder.url,
    seed: 1,
    rate: 0.2,
    blackoutMs: 200,
    ignore: [user.id],
  });
  t.after(() => chaos.close());
  const sink = await sinkFor(user, chaos.url, { maxRetries: 20 });
  const sent = [];
  const { imageId } = await sink.sync(request, { onProgress: (progress) => sent.push(progress.sent) });
  assert.deepEqual(
    sent,
    [...sent].sort((one, other) => one - other),
    "progress never goes back",
  );
  const faults = Object.values(chaos.stats.faults).reduce((sum, count) => sum + count, 0);
  assert.ok(bytesSent() <= SIZE + CHUNK * Math.max(faults, 1), `${bytesSent()} bytes for ${faults} faults`);
  await arrivedOnce(user, imageId);
});

test("a token that expires mid-way is replaced, and the upload goes on", async () => {
  const user = await world.user();
  world.recorder.requests.length = 0;
  const now = () => Math.floor(Date.now() / 1000);
  const claims = { sub: user.id, role: "authenticated", aud: "authenticated" };
  const expired = signJwt({ ...claims, exp: now() - 60 }, world.supabase.jwtSecret);
  let asked = 0;
  // The third request's token has expired on its way.
  const accessToken = () => (++asked === 3 ? expired : user.accessToken);
  const sink = await sinkFor(user, world.recorder.url, { accessToken });
  const { imageId } = await sink.sync({ ...request, image: new Blob([image.subarray(0, SOME_PIECES)]) });
  assert.equal(resumable("POST").length, 1, "it is one upload");
  assert.ok(bytesSent() <= SOME_PIECES + CHUNK, `${bytesSent()} bytes`);
  await arrivedOnce(user, imageId, SOME_PIECES);
});
