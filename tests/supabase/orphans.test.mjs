import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { as, BUCKET, insert, onEveryDatabase, row, send } from "./helpers.mjs";

const REALTIME = await readFile(new URL("../../supabase/optional/realtime.sql", import.meta.url), "utf8");

onEveryDatabase("imagen.orphaned_objects", (backend) => {
  let user;
  before(async () => {
    user = await backend().createUser();
  });

  const ask = (headers, olderThan = "0 seconds") =>
    send(
      backend(),
      "POST",
      "/rest/v1/rpc/orphaned_objects",
      { ...headers, "content-type": "application/json", "content-profile": "imagen" },
      JSON.stringify({ older_than: olderThan }),
    );
  const upload = async (path) => {
    const headers = { ...as.service(backend()), "content-type": "image/png" };
    assert.equal((await send(backend(), "POST", `/storage/v1/object/${BUCKET}/${path}`, headers, "png")).status, 200);
  };
  const add = async (path) => {
    const answer = await insert(backend(), as.service(backend()), row(user, { storage_path: path }));
    assert.equal(answer.status, 201, answer.text);
    return answer.json[0].id;
  };

  test("tells of objects without a row and rows without an object, and of no pair", async () => {
    const path = (name) => `${user.id}/${name}-${randomUUID()}.png`;
    const [pair, object, alone] = [path("pair"), path("object"), path("row")];
    for (const name of [pair, `${pair}.thumb`, object, `${object}.thumb`, `.incoming/${randomUUID()}`])
      await upload(name);
    await add(pair);
    const id = await add(alone);
    const { status, json } = await ask(as.service(backend()));
    assert.equal(status, 200);
    const told = json.map(({ kind, storage_path, image_id }) => [kind, storage_path, image_id]);
    const wanted = [
      ["object", object, null],
      ["object", `${object}.thumb`, null],
      ["row", alone, id],
    ];
    assert.deepEqual(told.toSorted(), wanted.toSorted());
    for (const { changed_at } of json) assert.ok(Date.now() - Date.parse(changed_at) < 600_000);
    assert.deepEqual((await ask(as.service(backend()), "1 hour")).json, [], "they are young");
  });

  test("tells nobody but the service", async () => {
    for (const who of [as.user(backend(), user), as.anon(backend())]) {
      const { status, text } = await ask(who);
      assert.ok([401, 403, 404].includes(status), `${status} ${text}`);
    }
  });

  test("realtime is told of the table where there is realtime, once, and nowhere else is anything done", async () => {
    const tables = () =>
      backend().sql("select tablename::text from pg_publication_tables where pubname = 'supabase_realtime'");
    await backend().script(REALTIME);
    assert.deepEqual(await tables(), []);
    await backend().script("create publication supabase_realtime");
    for (let again = 0; again < 2; again += 1) {
      await backend().script(REALTIME);
      assert.deepEqual(await tables(), [{ tablename: "images" }]);
    }
  });
});
