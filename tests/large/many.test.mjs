// Many images in one call, against a real database and bucket: what each outcome says is what is there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startChaos } from "../support/chaos.mjs";
import {
  assertInOrder,
  COUNT,
  check,
  inserts,
  MODES,
  recorder,
  requestOf,
  requests,
  setUp,
  start,
  supabase,
  uuid,
} from "../support/many.mjs";

setUp();

const POISONED = [3, 27, 50, 74, 99];

/** Images that somebody refuses: four the library, one Storage. */
const POISONS = [
  { image: new Uint8Array(), expected: { stage: "request", code: "invalid_image" } },
  { mimeType: "image/jpeg", expected: { stage: "request", code: "invalid_image" } },
  { slug: "../lighthouse", expected: { stage: "request", code: "invalid_request", field: "slug" } },
  {
    image: new Uint8Array(2000).fill(7),
    mimeType: "application/pdf",
    expected: { stage: "upload", code: "type_not_allowed" },
  },
  { slug: "Dämmerung", expected: { stage: "request", code: "invalid_request", field: "slug" } },
];

for (const [index, mode] of Object.keys(MODES).entries()) {
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
    // What the migration's own checks refuse, the library refuses before it is sent: a project may have others.
    await supabase.sql("alter table imagen.images add constraint images_no_poison check (backend <> 'poison')");
    t.after(() => supabase.sql("alter table imagen.images drop constraint images_no_poison"));
    const outcomes = await sink.syncMany(
      requests((number) => (POISONED.includes(number) ? { backend: "poison" } : {})),
    );
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
      assert.match(error.message, /images_no_poison/);
      assert.ok(error.storagePath.endsWith(`-${number}.png`), error.storagePath);
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

  const seed = index + 1; // other faults for each
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
