// Objects without a row: the cron trigger removes them, where that is wanted, and nothing else.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { BUCKET, fields, file, PNG, startBench } from "./support.mjs";

const HOURS = 168;
/** In seconds. */
const OLD = (HOURS + 1) * 3_600;

let bench;
let user;
let other;
before(async () => {
  bench = await startBench({ SYNC_BACKOFF_MS: "5", REMOVE_ORPHANS_AFTER_HOURS: String(HOURS) });
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
});
after(() => bench?.close());

/** As if it had been written then. Storage sets the time of a change itself, by a trigger that this is kept from. */
function makeOlder(path, seconds) {
  const then = new Date(Date.now() - seconds * 1000).toISOString();
  return bench.supabase.script(
    `do $$ begin
       set local session_replication_role = replica;
       update storage.objects set created_at = '${then}', updated_at = '${then}',
         metadata = jsonb_set(metadata::jsonb, '{lastModified}', '"${then}"') where name = '${path}';
       update imagen.images set created_at = '${then}' where storage_path = '${path}';
     end $$`,
  );
}

async function orphan(seconds, owner = user, path = `${owner.id}/2026-05-11/${randomUUID()}.png`) {
  const { error } = await bench.admin.storage.from(BUCKET).upload(path, PNG, { contentType: "image/png" });
  assert.equal(error, null);
  await makeOlder(path, seconds);
  return path;
}

async function image(seconds, owner = user) {
  const answer = await bench.post(owner.accessToken, { request: fields({ slug: randomUUID() }), image: file(PNG) });
  assert.equal(answer.status, 201);
  const { storagePath } = await answer.json();
  await makeOlder(storagePath, seconds);
  return storagePath;
}

const isThere = async (path) => {
  const found = await bench.supabase.sql("select id from storage.objects where name = $1", [path]);
  return found.length === 1;
};

async function lastRun() {
  await bench.allLogged();
  return bench.logs.map((line) => JSON.parse(line)).findLast(({ event }) => event?.startsWith("orphans"));
}

test("old objects without a row go, of all users, and all else stays", async () => {
  const gone = [await orphan(OLD), await orphan(OLD, other)];
  const named = await image(OLD);
  const kept = [named, await orphan(OLD, user, `${named}.thumb`), await orphan(OLD - 7_200), await image(0, other)];
  gone.push(await orphan(OLD, user, `${randomUUID()}/a.png.thumb`));
  await bench.worker.runCron();
  for (const path of gone) assert.equal(await isThere(path), false, path);
  for (const path of kept) assert.equal(await isThere(path), true, path);
  const { event, count } = await lastRun();
  assert.deepEqual([event, count], ["orphans_removed", 3]);
});

test("a row or an upload that comes while they are listed keeps its object", async () => {
  const [first, second] = [await orphan(OLD), await orphan(OLD)];
  bench.front.before = async ({ method, path }) => {
    if (method !== "GET" || !path.startsWith("/storage/v1/object/info/")) return;
    bench.front.before = undefined;
    await bench.supabase.sql(
      `insert into imagen.images (owner_user_id, prompt, prompt_hash, backend, storage_path)
       values ($1, '', repeat('0', 64), 'test', $2)`,
      [user.id, first],
    );
    await makeOlder(second, 0);
  };
  await bench.worker.runCron();
  assert.deepEqual([await isThere(first), await isThere(second)], [true, true]);
  assert.equal((await lastRun()).count, 0);
});

test("a run removes some at a time, the oldest first, and the next one goes on", async () => {
  const paths = [];
  // After each small picture's own row its image's is looked for.
  for (let index = 0; index < 10; index += 1) {
    paths.push(await orphan(OLD + 3_600 * (10 - index), user, `${user.id}/${randomUUID()}.png.thumb`));
  }
  // As much of the trigger's other work as there may be.
  await bench.supabase.sql(
    `insert into storage.objects (bucket_id, name, created_at, updated_at, metadata)
      select '${BUCKET}', '.incoming/' || gen_random_uuid() || '.' || gen_random_uuid(), time, time, '{}'
      from (select now() - interval '1 year' + n * interval '1 second' as time from generate_series(1, 1100) n) t`,
  );
  const before = bench.front.requests.length;
  await bench.worker.runCron();
  const made = bench.front.requests.length - before;
  assert.ok(made <= 50, `${made} requests, of the 50 that a Worker may make on the free plan`);
  assert.deepEqual(await Promise.all(paths.map(isThere)), [...Array(7).fill(false), true, true, true]);
  await bench.worker.runCron();
  assert.deepEqual(await Promise.all(paths.map(isThere)), Array(10).fill(false));
});

test("names that lead elsewhere in a URL, which some servers take, keep nothing else from being removed", async () => {
  const names = ["..", ".", "../x", "a/../x", "./x", "a/."].flatMap((end) => [
    `${user.id}/${end}`,
    `${other.id}/${end}`,
  ]);
  for (const name of names) {
    await bench.supabase.sql(
      `insert into storage.objects (bucket_id, name, created_at, updated_at, metadata)
         values ('${BUCKET}', $1, now() - interval '1 year', now() - interval '1 year', '{"size": 1}')`,
      [name],
    );
  }
  const plain = [await orphan(OLD), await orphan(OLD, user, `${user.id}/${randomUUID()}/.x.png`)];
  await bench.worker.runCron();
  assert.deepEqual(await Promise.all(plain.map(isThere)), [false, false]);
  await bench.supabase.sql("delete from storage.objects where name like '%/.%' or name like '%/x'");
});

test("a project that lacks the migration, or does not answer, is told of in the log", async () => {
  bench.front.before = async ({ path }, response) => {
    if (path.startsWith("/rest/v1/rpc/")) response.writeHead(404).end('{"code":"PGRST202","message":"none"}');
  };
  try {
    await bench.worker.runCron();
  } finally {
    bench.front.before = undefined;
  }
  const { event, level } = await lastRun();
  assert.deepEqual([event, level], ["orphans_not_removed", "warn"]);
});

test("nothing is removed unless it is asked for, and never before a week", async () => {
  for (const [hours, asked] of [
    [undefined, false],
    ["24", true],
  ]) {
    const own = await startBench({ REMOVE_ORPHANS_AFTER_HOURS: hours });
    try {
      await own.worker.runCron();
      assert.deepEqual(
        own.front.requests.filter(({ path }) => path.includes("/rpc/")),
        [],
      );
      assert.equal((await own.call("/api/health")).status, asked ? 500 : 200);
    } finally {
      await own.close();
    }
  }
});
