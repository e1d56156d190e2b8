// Large images over bad lines, in Node: every kind of fault, pieces that are cut in their midst, tokens that live for a
// second or two. Counted is what the client sends.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createSink } from "imagen-cloud";
import { signJwt } from "../../supabase/keys.mjs";
import { startChaos } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { startSlowLine } from "../support/slow.mjs";
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
  const chaos = await chaosFor(t, user, { faults: ["cut-midway"], rate: 0.4, seed: 1 });
  const recorder = await record(t, chaos.url);
  await syncTo(t, user, recorder.url, SIZE);
  const faults = faultsOf(chaos);
  assert.ok(faults >= 3, `${faults} faults`);
  const sent = bytesSent(recorder);
  assert.ok(sent <= SIZE + CHUNK * faults, `${sent} bytes for ${faults} faults`);
  // The server keeps what it got of a cut piece, and the next one starts there.
  const heads = recorder.requests.filter(({ method }) => method === "HEAD");
  const offsets = heads.map(({ answerHeaders }) => Number(answerHeaders["upload-offset"]));
  assert.ok(
    offsets.some((offset) => offset % CHUNK !== 0),
    `${offsets}`,
  );
  const starts = pieces(recorder).map(({ headers }) => Number(headers["upload-offset"]));
  for (const offset of offsets) assert.ok(starts.includes(offset), `no piece starts at ${offset}`);
  t.diagnostic(`${faults} faults, ${sent - SIZE} bytes sent again`);
});

for (const seed of [1, 2]) {
  test(`every kind of fault at 30 % costs one piece each at most (seed ${seed})`, async (t) => {
    const user = await supabase.createUser();
    const chaos = await chaosFor(t, user, { rate: 0.3, seed });
    const recorder = await record(t, chaos.url);
    const chunkSize = 256 * 1024;
    await syncTo(t, user, recorder.url, SOME_PIECES, { chunkSize });
    const faults = faultsOf(chaos);
    const sent = bytesSent(recorder);
    assert.ok(sent <= SOME_PIECES + chunkSize * faults, `${sent} bytes for ${faults} faults`);
    assert.ok(Object.keys(chaos.stats.faults).length >= 10, JSON.stringify(chaos.stats.faults));
    t.diagnostic(`${faults} faults, ${sent - SOME_PIECES} bytes sent again: ${JSON.stringify(chaos.stats.faults)}`);
  });
}

test("tokens that live for a second or two are replaced as often as they are refused", async (t) => {
  const user = await supabase.createUser();
  const recorder = await record(t, supabase.url);
  const line = await startSlowLine({ target: recorder.url, bytesPerSecond: 20_000_000 });
  t.after(() => line.close());

  const claims = { sub: user.id, role: "authenticated", aud: "authenticated" };
  const mint = () => signJwt({ ...claims, exp: Math.floor(Date.now() / 1000) + 2 }, supabase.jwtSecret);
  let token = mint();
  let refusals = 0;
  const tokens = new Set();
  // As an application does that renews its session when it is told that it has ended, and not before.
  const accessToken = () => {
    const told = recorder.requests.filter(({ status }) => status === 400 || status === 401).length;
    if (told > refusals) token = mint();
    refusals = told;
    tokens.add(token);
    return token;
  };
  await syncTo(t, user, line.url, SIZE, { accessToken });
  assert.ok(refusals >= 2, `${refusals} refusals`);
  assert.equal(
    recorder.requests.filter(({ method, target }) => method === "POST" && target.endsWith("resumable")).length,
    1,
  );
  const sent = bytesSent(recorder);
  assert.ok(sent <= SIZE + CHUNK * refusals, `${sent} bytes for ${refusals} refusals`);
  t.diagnostic(`${tokens.size} tokens, ${refusals} refusals, ${sent - SIZE} bytes sent again`);
});
