// Large images over bad lines, in Node: every kind of fault, pieces that are cut in their midst, tokens that live for a
// few requests. Counted is what the client sends.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createSink } from "imagen-cloud";
import { signJwt } from "../../supabase/keys.mjs";
import { FAULTS, inTurn, startChaos } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { until } from "../support/until.mjs";
import { sha256, verify } from "../support/verify.mjs";
import { CHUNK, image, SIZE, SOME_PIECES } from "./image.mjs";

let supabase;

before(async () => {
  supabase = await startEmbedded();
});
after(() => supabase?.close());

/** A proxy that records what comes from the client, before `target`. */
async function record(t, target) {
  const recorder = await startRecorder({ target });
  t.after(() => recorder.close());
  return recorder;
}

async function chaosFor(t, user, settings) {
  const chaos = await startChaos({
    target: supabase.url,
    ignore: [user.id],
    blackoutMs: 50,
    delayMs: 20,
    retryAfterSeconds: 0,
    ...settings,
  });
  t.after(() => chaos.close());
  return chaos;
}

async function syncTo(t, user, url, size, options) {
  const sink = await createSink({
    url,
    apiKey: supabase.publishableKey,
    accessToken: () => user.accessToken,
    ownerUserId: user.id,
    pathPrefix: user.id,
    // At 30 % faults, and with blackouts that take along what comes in their time, eleven in a row happen now and then.
    maxRetries: 40,
    initialBackoffMs: 5,
    maxBackoffMs: 500,
    ...options,
  });
  t.after(() => sink.free());
  const progress = [];
  const request = { date: "2026-05-11", slug: "lighthouse", seed: 1, prompt: "p", backend: "b" };
  const result = await sink.sync(
    { ...request, image: new Blob([image.subarray(0, size)]) },
    { onProgress: ({ sent }) => progress.push(sent) },
  );
  for (const [index, sent] of progress.entries()) assert.ok(sent >= (progress[index - 1] ?? 0), "never back");
  const beliefs = [{ ...result, sha256: sha256(image.subarray(0, size)), ok: true }];
  const report = await verify({ url: supabase.url, serviceKey: supabase.serviceKey, beliefs, prefix: `${user.id}/` });
  assert.deepEqual(report.problems, []);
  assert.deepEqual([report.rows, report.objects], [1, 1]);
}

const pieces = ({ requests }) =>
  requests.filter(({ method, target }) => ["POST", "PATCH"].includes(method) && target.includes("/upload/resumable"));

const bytesSent = (recorder) =>
  pieces(recorder).reduce((sum, { headers }) => sum + Number(headers["content-length"]), 0);

/** How often the client came to no good: a late answer is one all the same. */
const faultsOf = ({ stats }) =>
  Object.entries(stats.faults).reduce((sum, [kind, count]) => sum + (kind === "delay" ? 0 : count), 0);

test("pieces that are cut in their midst are not sent again from their start", async (t) => {
  const user = await supabase.createUser();
  let patches = 0;
  const chaos = await chaosFor(t, user, {
    // The second, the fourth and so on, and each not before the server has kept something of it.
    place: ({ method }) => (method === "PATCH" && ++patches % 2 === 0 ? "cut-midway" : undefined),
    beforeCut: ({ target, headers }) =>
      until(
        async () => (await supabase.resumableBytes(target)) > Number(headers["upload-offset"]),
        "the server to keep a part of the piece",
      ),
  });
  const recorder = await record(t, chaos.url);
  await syncTo(t, user, recorder.url, SIZE);
  const faults = faultsOf(chaos);
  assert.ok(faults >= Math.floor(SIZE / CHUNK / 2), `${faults} faults`);
  const sent = bytesSent(recorder);
  assert.ok(sent <= SIZE + CHUNK * faults, `${sent} bytes for ${faults} faults`);
  // The server keeps what it got of a cut piece, and the next one starts there.
  const heads = recorder.requests.filter(({ method }) => method === "HEAD");
  const offsets = heads.map(({ answerHeaders }) => Number(answerHeaders["upload-offset"]));
  assert.equal(new Set(offsets).size, faults);
  const starts = pieces(recorder).map(({ headers }) => Number(headers["upload-offset"]));
  for (const offset of offsets) assert.ok(starts.includes(offset), `no piece starts at ${offset}`);
  t.diagnostic(`${faults} faults, ${sent - SIZE} bytes sent again`);
});

for (const every of [2, 3]) {
  test(`every kind of fault, at every ${every}. request, costs one piece each at most`, async (t) => {
    const user = await supabase.createUser();
    const chaos = await chaosFor(t, user, { place: inTurn(every) });
    const recorder = await record(t, chaos.url);
    const chunkSize = 256 * 1024;
    // Enough requests for every kind to have its turn.
    const size = (every * SOME_PIECES) / 2;
    await syncTo(t, user, recorder.url, size, { chunkSize });
    const faults = faultsOf(chaos);
    const sent = bytesSent(recorder);
    assert.ok(sent <= size + chunkSize * faults, `${sent} bytes for ${faults} faults`);
    for (const fault of FAULTS) assert.ok(fault in chaos.stats.faults || fault === "serialization", fault);
    t.diagnostic(`${faults} faults, ${sent - size} bytes sent again: ${JSON.stringify(chaos.stats.faults)}`);
  });
}

test("tokens that live for a few requests are replaced as often as they are refused", async (t) => {
  const user = await supabase.createUser();
  const recorder = await record(t, supabase.url);
  const claims = { sub: user.id, role: "authenticated", aud: "authenticated" };
  const expired = signJwt({ ...claims, exp: Math.floor(Date.now() / 1000) - 60 }, supabase.jwtSecret);
  let token = user.accessToken;
  let asked = 0;
  let refusals = 0;
  // As an application does that renews its session when it is told that it has ended, and not before.
  const accessToken = () => {
    const told = recorder.requests.filter(({ status }) => status === 400 || status === 401).length;
    asked += 1;
    if (told > refusals) token = user.accessToken;
    // To find the way back after one refusal takes up to five requests, when its answer is lost too.
    else if (asked % 7 === 0) token = expired;
    refusals = told;
    return token;
  };
  await syncTo(t, user, recorder.url, SIZE, { accessToken });
  assert.ok(refusals >= 3, `${refusals} refusals`);
  assert.equal(
    recorder.requests.filter(({ method, target }) => method === "POST" && target.endsWith("resumable")).length,
    1,
  );
  const sent = bytesSent(recorder);
  assert.ok(sent <= SIZE + CHUNK * refusals, `${sent} bytes for ${refusals} refusals`);
  t.diagnostic(`${refusals} refusals, ${sent - SIZE} bytes sent again`);
});
