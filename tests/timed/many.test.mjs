// Many images in one call, against a real database and bucket: what each outcome says is what is there.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { createSink } from "imagen-cloud";
import { startChaos } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { sha256, verify } from "../support/verify.mjs";

const COUNT = 100;
const POISONED = [3, 27, 50, 74, 99];
const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));

let supabase;
let recorder;

before(async () => {
  supabase = await startEmbedded();
  recorder = await startRecorder({ target: supabase.url });
});
after(async () => {
  await recorder?.close();
  await supabase?.close();
});

/** Whose token goes along: under row-level security, and past it. */
const MODES = {
  "row-level security": (user) => ({ apiKey: supabase.publishableKey, accessToken: () => user.accessToken }),
  "the service key": () => ({ apiKey: supabase.serviceKey }),
};

/** A new user, a sink for their images, and what the proxy sees of it. */
async function start(t, mode, { url = recorder.url, user: given, ...options } = {}) {
  const user = given ?? (await supabase.createUser());
  recorder.requests.length = 0;
  const sink = await createSink({
    url,
    ownerUserId: user.id,
    pathPrefix: user.id,
    initialBackoffMs: 5,
    maxBackoffMs: 500,
    ...MODES[mode](user),
    ...options,
  });
  t.after(() => sink.free());
  return { user, sink };
}

/** Each image has bytes of its own, so that a mix-up shows. */
const imageOf = (number) => Buffer.concat([PNG, Buffer.from(`image ${number}`)]);

const requestOf = (number, fields) => ({
  date: "2026-05-11",
  slug: "lighthouse",
  seed: number,
  prompt: `p${number}`,
  backend: "b",
  image: imageOf(number),
  ...fields,
});

/** `COUNT` requests; `fields(number)` changes some of them. */
const requests = (fields = () => ({})) =>
  Array.from({ length: COUNT }, (_, number) => requestOf(number, fields(number)));

const inserts = () => recorder.requests.filter(({ method, target }) => method === "POST" && target.includes("/rest/"));

/** What is there, compared with what the outcomes say. */
function check(user, outcomes) {
  const beliefs = outcomes.map((outcome, number) => ({
    storagePath: outcome.storagePath ?? outcome.error?.storagePath,
    imageId: outcome.imageId ?? outcome.error?.imageId,
    sha256: sha256(imageOf(number)),
    ok: outcome.ok,
  }));
  return verify({ url: supabase.url, serviceKey: supabase.serviceKey, beliefs, prefix: `${user.id}/` });
}

/** Every acknowledged image is at its own place in the list. */
function assertInOrder(user, outcomes) {
  for (const [number, { ok, storagePath }] of outcomes.entries()) {
    if (ok) assert.equal(storagePath, `${user.id}/2026-05-11/lighthouse-${number}.png`);
  }
}

const uuid = (text) => {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
};

/** Images that somebody refuses: three the library, two Storage. */
const POISONS = [
  { image: new Uint8Array(), expected: { stage: "request", code: "invalid_image" } },
  { mimeType: "image/jpeg", expected: { stage: "request", code: "invalid_image" } },
  { slug: "../lighthouse", expected: { stage: "request", code: "invalid_request", field: "slug" } },
  {
    image: new Uint8Array(2000).fill(7),
    mimeType: "application/pdf",
    expected: { stage: "upload", code: "type_not_allowed" },
  },
  { slug: "Dämmerung", expected: { stage: "upload", code: "rejected", serverCode: "InvalidKey" } },
];

for (const mode of Object.keys(MODES)) {
  test(`five poisoned images of ${COUNT} take nobody down (${mode})`, async (t) => {
    const { user, sink } = await start(t, mode);
    const outcomes = await sink.syncMany(
      requests((number) => {
        const { expected, ...fields } = POISONS[POISONED.indexOf(number)] ?? {};
        return fields;
      }),
    );
    assert.equal(outcomes.length, COUNT);
    assertInOrder(user, outcomes);
    for (const [index, number] of POISONED.entries()) {
      const { ok, error } = outcomes[number];
      assert.equal(ok, false);
      for (const [name, value] of Object.entries(POISONS[index].expected)) {
        assert.equal(error[name], value, `${name} of image ${number}: ${error.message}`);
      }
      assert.equal(error.retryable, false);
      assert.ok(error.message.length > 10);
    }
    const report = await check(user, outcomes);
    assert.deepEqual(report.problems, []);
    assert.deepEqual([report.rows, report.objects], [COUNT - POISONED.length, COUNT - POISONED.length]);
    assert.ok(inserts().length <= 2, `${inserts().length} inserts`);
  });

  test(`five rows that the database refuses take nobody down (${mode})`, async (t) => {
    const { user, sink } = await start(t, mode);
    // An object's name of more than 1024 bytes: each segment is short enough, the whole is not for the table's check.
    const tooLong = Array.from({ length: 5 }, () => "a".repeat(240)).join("/");
    const outcomes = await sink.syncMany(requests((number) => (POISONED.includes(number) ? { slug: tooLong } : {})));
    const refused = outcomes.flatMap(({ ok }, number) => (ok ? [] : [number]));
    assert.deepEqual(refused, POISONED);
    assertInOrder(
      user,
      outcomes.map((outcome) => (outcome.ok ? outcome : { ok: false })),
    );
    for (const number of POISONED) {
      const { error } = outcomes[number];
      assert.deepEqual(
        [error.stage, error.code, error.serverCode, error.retryable],
        ["insert", "rejected", "23514", false],
        error.message,
      );
      assert.match(error.message, /images_storage_path_names_one_object/);
      assert.equal(error.storagePath, `${user.id}/2026-05-11/${tooLong}-${number}.png`);
      assert.match(error.imageId, /^[0-9a-f-]{36}$/);
    }
    const { problems, orphans, rows, objects } = await check(user, outcomes);
    assert.deepEqual(orphans.sort(), POISONED.map((number) => outcomes[number].error.storagePath).sort());
    assert.equal(problems.length, orphans.length, problems.join("\n"));
    assert.deepEqual([rows, objects], [COUNT - POISONED.length, COUNT]);
    // Halving finds one of 100 in 7 steps, each with two inserts.
    assert.ok(inserts().length <= 1 + 2 * 7 * POISONED.length, `${inserts().length} inserts`);
    t.diagnostic(`${inserts().length} inserts`);
  });

  test(`a call that is aborted half-way is finished by the same call again (${mode})`, async (t) => {
    const { user, sink } = await start(t, mode);
    const named = requests((number) => ({ imageId: uuid(`${user.id} ${number}`) }));
    const controller = new AbortController();
    let abortedAt;
    const onProgress = ({ sent, total }) => {
      if (sent < total / 2 || abortedAt) return;
      abortedAt = performance.now();
      controller.abort();
    };
    const outcomes = await sink.syncMany(named, { signal: controller.signal, onProgress });
    const tookMs = performance.now() - abortedAt;
    assert.ok(tookMs < 50, `${tookMs} ms`);
    assert.equal(outcomes.length, COUNT);
    for (const { ok, error } of outcomes) assert.deepEqual([ok, error.code], [false, "aborted"]);
    const { orphans, rows } = await check(user, outcomes);
    assert.equal(rows, 0);
    const mentioned = outcomes.flatMap(({ error }) => error.storagePath ?? []);
    assert.deepEqual(
      orphans.filter((path) => !mentioned.includes(path)),
      [],
      "no object that no outcome tells of",
    );

    for (const time of ["again", "and once more"]) {
      const again = await sink.syncMany(named);
      assertInOrder(user, again);
      assert.deepEqual(
        again.map(({ imageId }) => imageId),
        named.map(({ imageId }) => imageId),
        time,
      );
      const report = await check(user, again);
      assert.deepEqual(report.problems, [], time);
      assert.deepEqual([report.rows, report.objects], [COUNT, COUNT], time);
    }
  });

  test(`a call that is aborted while its rows are inserted tells of every object (${mode})`, async (t) => {
    const { user, sink } = await start(t, mode);
    const few = requests((number) => ({ imageId: uuid(`${user.id} ${number}`) })).slice(0, 20);
    const controller = new AbortController();
    const hold = recorder.hold({ method: "POST", image: user.id, at: "answer" });
    const call = sink.syncMany(few, { signal: controller.signal });
    await hold.reached; // the rows are there, and nobody knows
    const abortedAt = performance.now();
    controller.abort();
    const outcomes = await call;
    assert.ok(performance.now() - abortedAt < 50);
    hold.release();
    for (const { ok, error } of outcomes) {
      assert.deepEqual([ok, error.code, error.stage], [false, "aborted", "insert"]);
      assert.ok(error.storagePath && error.imageId);
    }
    const again = await sink.syncMany(few);
    const report = await check(user, again);
    assert.deepEqual(report.problems, []);
    assert.deepEqual([report.rows, report.objects], [few.length, few.length]);
  });

  for (const seed of [1, 2]) {
    test(`chaos at 20 % costs none of ${COUNT} images (${mode}, seed ${seed})`, async (t) => {
      const user = await supabase.createUser();
      const chaos = await startChaos({
        target: recorder.url,
        seed,
        rate: 0.2,
        ignore: [user.id],
        blackoutMs: 50,
        delayMs: 20,
        retryAfterSeconds: 0,
      });
      t.after(() => chaos.close());
      const { sink } = await start(t, mode, { url: chaos.url, user, maxRetries: 10, maxBackoffMs: 200 });
      const events = [];
      const named = requests((number) => ({ imageId: uuid(`chaos ${mode} ${seed} ${number}`) }));
      const outcomes = await sink.syncMany(named, { onProgress: (progress) => events.push(progress) });
      assert.deepEqual(
        outcomes.filter(({ ok }) => !ok).map(({ error }) => error.message),
        [],
      );
      assertInOrder(user, outcomes);
      const report = await check(user, outcomes);
      assert.deepEqual(report.problems, []);
      assert.deepEqual([report.rows, report.objects], [COUNT, COUNT]);
      const total = named.reduce((sum, { image }) => sum + image.length, 0);
      for (const [index, event] of events.entries()) {
        assert.equal(event.total, total);
        assert.ok(event.sent >= (events[index - 1]?.sent ?? 0), "progress over all images never goes back");
      }
      assert.deepEqual(events.at(-1), { stage: "done", sent: total, total });
      assert.ok(Object.keys(chaos.stats.faults).length >= 6, JSON.stringify(chaos.stats.faults));
      t.diagnostic(JSON.stringify(chaos.stats.faults));
    });
  }
}

test("another user's imageId fails its own image only, and says so", async (t) => {
  const { sink: first } = await start(t, "row-level security");
  const taken = uuid("taken");
  await first.sync(requestOf(1, { imageId: taken }));
  const { user, sink } = await start(t, "row-level security");
  const few = [0, 1, 2].map((number) => requestOf(number, number === 1 ? { imageId: taken } : {}));
  const outcomes = await sink.syncMany(few);
  assert.deepEqual(
    outcomes.map(({ ok }) => ok),
    [true, false, true],
  );
  const { error } = outcomes[1];
  assert.deepEqual([error.code, error.stage, error.imageId], ["id_taken", "insert", taken]);
  assert.equal(error.storagePath, `${user.id}/2026-05-11/lighthouse-1.png`);
});
