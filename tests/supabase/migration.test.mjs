import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { promisify } from "node:util";
import { as, insert, onEveryDatabase, row, select } from "./helpers.mjs";

const ROOT = new URL("../../", import.meta.url);
const MIGRATIONS = new URL("supabase/migrations/", ROOT);
const MIGRATION = await readFile(new URL("20260511000000_imagen_schema_init.sql", MIGRATIONS), "utf8");

onEveryDatabase("imagen.images", (backend) => {
  let user;
  before(async () => {
    user = await backend().createUser();
  });

  test("takes the least that the library sends, and fills in an id and a time", async () => {
    const answer = await insert(backend(), as.service(backend()), row(user, { prompt: "", backend: "" }));
    assert.equal(answer.status, 201, answer.text);
    const [inserted] = answer.json;
    assert.match(inserted.id, /^[0-9a-f-]{36}$/);
    assert.match(inserted.created_at, /^\d{4}-\d\d-\d\dT[\d:.]+\+00:00$/);
    assert.equal(inserted.cost_usd_estimate, null);
  });

  test("keeps a cost of 0 and every column as it was sent", async () => {
    const full = row(user, {
      id: randomUUID(),
      model: "m",
      seed: 42,
      steps: 20,
      width: 1024,
      height: 768,
      latency_ms: 0,
      cost_usd_estimate: 0,
      sidecar: { nested: { list: [1, "two", null] }, dot: 0.1 },
    });
    const answer = await insert(backend(), as.service(backend()), full);
    assert.equal(answer.status, 201, answer.text);
    const known = Object.entries(answer.json[0]).filter(([name, value]) => name !== "created_at" && value !== null);
    assert.deepEqual(Object.fromEntries(known), full);
  });

  for (const seed of ["9223372036854775807", "-9223372036854775808", "9007199254740993"]) {
    test(`keeps every digit of the seed ${seed}`, async () => {
      const json = JSON.stringify(row(user, { seed: 0 })).replace('"seed":0', `"seed":${seed}`);
      const headers = { ...as.service(backend()), "content-profile": "imagen", prefer: "return=representation" };
      const response = await fetch(`${backend().url}/rest/v1/images`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: json,
      });
      const text = await response.text();
      assert.equal(response.status, 201, text);
      assert.ok(text.includes(`"seed":${seed},`), text);
    });
  }

  const refused = {
    "a hash that is not SHA-256 in lower-case hex": { prompt_hash: "A".repeat(64) },
    "negative steps": { steps: -1 },
    "a width of 0": { width: 0 },
    "a negative height": { height: -5 },
    "a negative latency": { latency_ms: -1 },
    "a negative cost": { cost_usd_estimate: -0.01 },
    "an empty path": { storage_path: "" },
    "a path with a leading slash": { storage_path: "/a.png" },
    "a path with a trailing slash": { storage_path: "a/" },
    "a path with an empty segment": { storage_path: "a//b.png" },
    "a path that goes up": { storage_path: "a/../b.png" },
    "a path with a dot for a segment": { storage_path: "a/./b.png" },
    "a path longer than an object's name can be": { storage_path: `${"a".repeat(200)}/`.repeat(6).slice(0, -1) },
  };
  for (const [what, fields] of Object.entries(refused)) {
    test(`refuses ${what}`, async () => {
      const answer = await insert(backend(), as.service(backend()), row(user, fields));
      assert.equal(answer.status, 400, answer.text);
      assert.equal(answer.json.code, "23514");
    });
  }

  test("a refused row is quoted to who passes the policies, and to nobody else", async () => {
    const refused = row(user, { steps: -1, prompt: "a secret lighthouse" });
    const told = await insert(backend(), as.service(backend()), refused);
    assert.deepEqual([told.status, told.json.code], [400, "23514"]);
    assert.match(told.json.message, /violates check constraint "images_steps_not_negative"/);
    assert.match(told.json.details, /^Failing row contains \(.*a secret lighthouse.*\)/);
    const hidden = await insert(backend(), as.user(backend(), user), refused);
    assert.deepEqual([hidden.status, hidden.json.code, hidden.json.details], [400, "23514", null]);
    const { prompt: _, ...incomplete } = refused;
    const lacking = await insert(backend(), as.service(backend()), incomplete);
    assert.deepEqual([lacking.status, lacking.json.code], [400, "23502"]);
    assert.match(lacking.json.details, /^Failing row contains \(/);
  });

  test("takes dots inside a name", async () => {
    for (const storage_path of ["a/..b.png", "a/b..png", ".hidden/c.png", "a/..."]) {
      const answer = await insert(backend(), as.service(backend()), row(user, { storage_path }));
      assert.equal(answer.status, 201, answer.text);
    }
  });

  test("says which owner it does not know", async () => {
    const stranger = randomUUID();
    const answer = await insert(backend(), as.service(backend()), row({ id: stranger }));
    assert.equal(answer.status, 409, answer.text);
    assert.equal(answer.json.code, "23503");
    assert.match(answer.json.message, /images_owner_user_id_is_a_user/);
    assert.match(answer.json.details, new RegExp(stranger));
  });

  test("the same path may be written down again: re-runs are the library's", async () => {
    const again = row(user, { storage_path: "2026-05-11/again-1.png" });
    assert.equal((await insert(backend(), as.service(backend()), again)).status, 201);
    assert.equal((await insert(backend(), as.service(backend()), again)).status, 201);
  });

  test("a user's rows go when the user goes", async () => {
    const leaving = await backend().createUser();
    assert.equal((await insert(backend(), as.user(backend(), leaving), row(leaving))).status, 201);
    await backend().sql("delete from auth.users where id = $1", [leaving.id]);
    const left = await select(backend(), as.service(backend()), `?owner_user_id=eq.${leaving.id}`);
    assert.deepEqual(left.json, []);
  });

  test("my newest images come from the index, in its order", async () => {
    await backend().sql(
      `insert into imagen.images (owner_user_id, prompt, prompt_hash, backend, storage_path, created_at)
       select $1::uuid, '', repeat('0', 64), '', $1 || '/' || n, now() - n * interval '1 minute'
       from generate_series(1, 2000) n`,
      [user.id],
    );
    await backend().sql("analyze imagen.images");
    const plan = await backend().sql(
      `explain select id from imagen.images where owner_user_id = '${user.id}'
       order by created_at desc, id limit 20`,
    );
    const text = plan.map((line) => line["QUERY PLAN"]).join("\n");
    assert.match(text, /Index.* using images_owner_newest/);
    assert.doesNotMatch(text, /Sort/);
  });

  test("a path is found by the index", async () => {
    const plan = await backend().sql("explain select id from imagen.images where storage_path = 'a/b.png'");
    assert.match(plan.map((line) => line["QUERY PLAN"]).join("\n"), /images_storage_path/);
  });

  test("a second run is refused and changes nothing", async () => {
    const state = () =>
      backend().sql(
        `select (select count(*)::int from imagen.images) as images,
                (select count(*)::int from pg_policies) as policies,
                (select count(*)::int from pg_indexes where schemaname = 'imagen') as indexes`,
      );
    const before = await state();
    await assert.rejects(backend().script(MIGRATION), /relation "images" already exists/);
    assert.deepEqual(await state(), before);
  });

  test("a_change_of_the_database_may_run_twice", async () => {
    const policies = () => backend().sql("select * from pg_policies order by schemaname, tablename, policyname");
    const before = await policies();
    const files = (await readdir(MIGRATIONS)).sort();
    assert.ok(files.length > 1);
    for (const file of files.slice(1)) await backend().script(await readFile(new URL(file, MIGRATIONS), "utf8"));
    assert.deepEqual(await policies(), before);
  });

  test("the history names them as the Supabase CLI would", async () => {
    const history = await backend().sql("select version, name from supabase_migrations.schema_migrations order by 1");
    const files = await readdir(MIGRATIONS);
    assert.deepEqual(
      history.map(({ version, name }) => `${version}_${name}.sql`),
      files.sort(),
    );
  });

  test("the bucket is private and takes images up to 100 MiB", async () => {
    const [bucket] = await backend().sql(
      `select public, file_size_limit::text, allowed_mime_types from storage.buckets where id = 'imagen-generated'`,
    );
    assert.deepEqual(bucket, {
      public: false,
      file_size_limit: String(100 * 1024 * 1024),
      allowed_mime_types: ["image/png", "image/jpeg", "image/webp", "image/avif", "image/gif"],
    });
  });

  test("a bucket made by hand before is brought into line", async () => {
    const bucket =
      "select public, file_size_limit is null as unlimited from storage.buckets where id = 'imagen-generated'";
    await backend().sql(
      "update storage.buckets set public = true, file_size_limit = null where id = 'imagen-generated'",
    );
    const [statement] = /insert into storage\.buckets[^;]+;/.exec(MIGRATION);
    await backend().script(statement);
    assert.deepEqual(await backend().sql(bucket), [{ public: false, unlimited: false }]);
  });

  test("the documented way to other names makes the same again beside it", async () => {
    const page = await readFile(new URL("docs/supabase.md", ROOT), "utf8");
    const [, command] = page.match(/^```sh\n(sed .*?) > my-migration\.sql\n```/ms);
    const { stdout } = await promisify(execFile)("sh", ["-c", command], { cwd: ROOT });
    await backend().script(stdout);
    const count = (schema) =>
      backend().sql(
        `select (select count(*)::int from information_schema.columns where table_schema = $1) as columns,
                (select count(*)::int from pg_policies where schemaname = $1) as policies,
                (select count(*)::int from pg_policies where policyname like $1 || ': users%') as storage_policies`,
        [schema],
      );
    assert.deepEqual(await count("studio"), await count("imagen"));
    assert.equal((await count("studio"))[0].storage_policies, 5);
    const [bucket] = await backend().sql("select public from storage.buckets where id = 'my-bucket'");
    assert.deepEqual(bucket, { public: false });
  });
});
