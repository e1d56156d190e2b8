// Who reaches what, over HTTP with real tokens: a user their own rows and folder, anon nothing, the service all.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { startEmbedded } from "../support/embedded.mjs";
import {
  as,
  assertStorageError,
  BUCKET,
  insert,
  objectUrl,
  onEveryDatabase,
  put,
  row,
  select,
  send,
  sendJson,
} from "./helpers.mjs";

onEveryDatabase("rows", (backend) => {
  let alice;
  let bob;
  let hers;
  before(async () => {
    alice = await backend().createUser();
    bob = await backend().createUser();
    const answer = await insert(backend(), as.user(backend(), alice), row(alice));
    assert.equal(answer.status, 201, answer.text);
    [hers] = answer.json;
  });

  test("a user reads their own", async () => {
    const answer = await select(backend(), as.user(backend(), alice), "?select=id");
    assert.deepEqual(answer.json, [{ id: hers.id }]);
  });

  test("an_owner_reads_the_row_that_a_server_wrote_without_their_folder", async () => {
    const storage_path = `2026-05-11/server-${randomUUID()}.png`;
    const [written] = (await insert(backend(), as.service(backend()), row(alice, { storage_path }))).json;
    const seen = (user) => select(backend(), as.user(backend(), user), `?select=id&id=eq.${written.id}`);
    assert.deepEqual((await seen(alice)).json, [{ id: written.id }]);
    assert.deepEqual((await seen(bob)).json, []);
    // Reading is all: what has not their folder is not theirs to remove.
    const headers = { ...as.user(backend(), alice), "content-profile": "imagen", prefer: "return=representation" };
    assert.deepEqual((await send(backend(), "DELETE", `/rest/v1/images?id=eq.${written.id}`, headers)).json, []);
    await backend().sql("delete from imagen.images where id = $1", [written.id]);
  });

  test("another user sees none of them", async () => {
    const answer = await select(backend(), as.user(backend(), bob), `?id=eq.${hers.id}`);
    assert.deepEqual(answer.json, []);
  });

  const forged = {
    "another owner": () => ({ owner_user_id: alice.id }),
    "another's folder": () => ({ storage_path: `${alice.id}/x.png` }),
    "no folder of theirs": () => ({ storage_path: "2026-05-11/x.png" }),
    "a folder that begins with their id": () => ({ storage_path: `${bob.id}x/x.png` }),
    "another owner and their folder": () => ({ owner_user_id: alice.id, storage_path: `${alice.id}/x.png` }),
  };
  for (const [what, fields] of Object.entries(forged)) {
    test(`a user cannot insert a row with ${what}`, async () => {
      const answer = await insert(backend(), as.user(backend(), bob), row(bob, fields()));
      assert.equal(answer.status, 403, answer.text);
      assert.equal(answer.json.code, "42501");
    });
  }

  test("another user's id answers 23505 without telling whose it is", async () => {
    const answer = await insert(backend(), as.user(backend(), bob), row(bob, { id: hers.id }));
    assert.equal(answer.status, 409, answer.text);
    assert.equal(answer.json.code, "23505");
    assert.equal(answer.json.details, null);
  });

  test("sent again with its id, a row is taken once", async () => {
    const mine = row(alice, { id: randomUUID() });
    const again = { query: "?on_conflict=id", prefer: "resolution=ignore-duplicates,return=representation" };
    const first = await insert(backend(), as.user(backend(), alice), [mine], again);
    const second = await insert(backend(), as.user(backend(), alice), [mine], again);
    assert.deepEqual([first.status, first.json.length, second.status, second.json], [201, 1, 201, []]);
  });

  test("a user removes their own and nobody else's", async () => {
    const remove = (user, id) =>
      send(backend(), "DELETE", `/rest/v1/images?id=eq.${id}`, {
        ...as.user(backend(), user),
        "content-profile": "imagen",
        prefer: "return=representation",
      });
    const mine = await insert(backend(), as.user(backend(), alice), row(alice));
    assert.deepEqual((await remove(bob, mine.json[0].id)).json, []);
    assert.equal((await remove(alice, mine.json[0].id)).json.length, 1);
  });

  test("a user cannot rewrite a row, not even their own", async () => {
    const headers = { ...as.user(backend(), alice), "content-profile": "imagen", prefer: "return=representation" };
    const answer = await sendJson(backend(), "PATCH", `/rest/v1/images?id=eq.${hers.id}`, headers, { prompt: "other" });
    assert.equal(answer.status, 403, answer.text);
    assert.equal(answer.json.code, "42501");
  });

  test("anon neither reads nor inserts", async () => {
    for (const answer of [
      await select(backend(), as.anon(backend())),
      await select(backend(), { apikey: backend().publishableKey }),
      await insert(backend(), as.anon(backend()), row(alice)),
    ]) {
      assert.equal(answer.status, 401, answer.text);
      assert.equal(answer.json.code, "42501");
    }
  });

  test("the service key inserts for any owner under any path, and reads all", async () => {
    const answer = await insert(backend(), as.service(backend()), row(bob, { storage_path: "2026-05-11/seed-1.png" }));
    assert.equal(answer.status, 201, answer.text);
    const all = await select(backend(), { apikey: backend().secretKey }, "?select=owner_user_id");
    assert.ok(all.json.some(({ owner_user_id }) => owner_user_id === alice.id));
    assert.ok(all.json.some(({ owner_user_id }) => owner_user_id === bob.id));
  });

  test("many requests of two users at once each act as their own user", async () => {
    const requests = Array.from({ length: 40 }, (_, index) => {
      const user = index % 2 ? alice : bob;
      return insert(backend(), as.user(backend(), user), row(user)).then(({ status, json }) => ({
        status,
        own: json[0]?.owner_user_id === user.id,
      }));
    });
    for (const outcome of await Promise.all(requests)) assert.deepEqual(outcome, { status: 201, own: true });
  });
});

onEveryDatabase("objects", (backend) => {
  let alice;
  let bob;
  let key;
  before(async () => {
    alice = await backend().createUser();
    bob = await backend().createUser();
    key = `${alice.id}/2026-05-11/a b-1.png`;
    await put(backend(), key, as.user(backend(), alice), "hers");
  });
  const read = (headers) => send(backend(), "GET", objectUrl(key), headers);
  const write = (method, name, headers, more = {}) =>
    send(backend(), method, objectUrl(name), { ...headers, "content-type": "image/png", ...more }, "other");

  test("a user reads, signs and overwrites their own", async () => {
    const mine = as.user(backend(), alice);
    assert.equal((await read(mine)).text, "hers");
    const signed = await sendJson(backend(), "POST", objectUrl(key, "object/sign"), mine, { expiresIn: 60 });
    assert.equal(signed.status, 200, signed.text);
    await put(backend(), key, mine, "hers");
  });

  test("an_owner_reads_and_signs_the_object_that_a_row_of_theirs_names_and_writes_it_not", async () => {
    const name = `2026-05-11/server-${randomUUID()}.png`;
    for (const path of [name, `${name}.thumb`]) await put(backend(), path, as.service(backend()), "made by a server");
    const answers = async (user) => {
      const headers = as.user(backend(), user);
      const small = await send(backend(), "GET", objectUrl(`${name}.thumb`), headers);
      const link = await sendJson(backend(), "POST", objectUrl(name, "object/sign"), headers, { expiresIn: 60 });
      return {
        read: (await send(backend(), "GET", objectUrl(name), headers)).text === "made by a server",
        info: (await send(backend(), "GET", objectUrl(name, "object/info"), headers)).status === 200,
        signed: link.status === 200,
        small: small.text === "made by a server",
      };
    };
    const none = { read: false, info: false, signed: false, small: false };
    assert.deepEqual(await answers(alice), none);
    const inserted = await insert(backend(), as.service(backend()), row(alice, { storage_path: name }));
    assert.equal(inserted.status, 201, inserted.text);
    assert.deepEqual(await answers(alice), { read: true, info: true, signed: true, small: true });
    assert.deepEqual(await answers(bob), none);
    const hers = as.user(backend(), alice);
    assertStorageError(await write("PUT", name, hers), "403", "AccessDenied");
    const removed = await sendJson(backend(), "DELETE", `/storage/v1/object/${BUCKET}`, hers, { prefixes: [name] });
    assert.deepEqual(removed.json, []);
    await backend().sql("delete from imagen.images where storage_path = $1", [name]);
    assert.deepEqual(await answers(alice), none);
  });

  test("no_row_that_a_user_can_make_opens_another_users_object", async () => {
    const his = as.user(backend(), bob);
    const server = `2026-05-11/server-${randomUUID()}.png`;
    await put(backend(), server, as.service(backend()), "nobody's");
    for (const storage_path of [key, server, `${bob.id}/../${key}`, `${bob.id}/${key}`]) {
      const made = await insert(backend(), his, row(bob, { storage_path }));
      assert.ok(made.status >= 400 || storage_path === `${bob.id}/${key}`, made.text);
    }
    // Nor can he give a row of his own another path, or another owner.
    const own = await insert(backend(), his, row(bob));
    const headers = { ...his, "content-profile": "imagen", prefer: "return=representation" };
    const target = `/rest/v1/images?id=eq.${own.json[0].id}`;
    assert.equal((await sendJson(backend(), "PATCH", target, headers, { storage_path: key })).status, 403);
    const merged = { query: "?on_conflict=id", prefer: "resolution=merge-duplicates,return=representation" };
    const again = row(bob, { id: own.json[0].id, storage_path: key });
    assert.equal((await insert(backend(), his, again, merged)).status, 403);
    for (const name of [key, server]) {
      assertStorageError(await send(backend(), "GET", objectUrl(name), his), "404", "NoSuchKey");
    }
  });

  test("another user cannot read, ask about or sign them", async () => {
    const his = as.user(backend(), bob);
    assertStorageError(await read(his), "404", "NoSuchKey");
    assertStorageError(await send(backend(), "GET", objectUrl(key, "object/info"), his), "404", "NoSuchKey");
    const signed = await sendJson(backend(), "POST", objectUrl(key, "object/sign"), his, { expiresIn: 60 });
    assertStorageError(signed, "404", "NoSuchKey");
  });

  test("another user cannot overwrite, add to or copy into the folder", async () => {
    const his = as.user(backend(), bob);
    await put(backend(), `${bob.id}/his.png`, his);
    const copy = { bucketId: BUCKET, sourceKey: `${bob.id}/his.png`, destinationKey: `${alice.id}/his.png` };
    for (const answer of [
      await write("PUT", key, his),
      await write("POST", key, his, { "x-upsert": "true" }),
      await write("PUT", `${alice.id}/new.png`, his),
      await write("POST", `${alice.id}/new.png`, his),
      await write("PUT", "2026-05-11/nobodys.png", his),
      await write("PUT", `${alice.id}x/near.png`, his),
      await sendJson(backend(), "POST", "/storage/v1/object/copy", his, copy),
      await send(backend(), "POST", objectUrl(`${alice.id}/up.png`, "object/upload/sign"), his),
    ]) {
      assertStorageError(answer, "403", "AccessDenied");
    }
    assert.equal((await read(as.user(backend(), alice))).text, "hers");
  });

  test("another user's deletion removes nothing", async () => {
    const answer = await sendJson(backend(), "DELETE", `/storage/v1/object/${BUCKET}`, as.user(backend(), bob), {
      prefixes: [key],
    });
    assert.deepEqual(answer.json, []);
    assert.equal((await read(as.user(backend(), alice))).text, "hers");
  });

  test("anon neither reads nor writes", async () => {
    const anon = as.anon(backend());
    assert.equal((await read(anon)).status, 400);
    assertStorageError(await write("PUT", `${alice.id}/anon.png`, anon), "403", "AccessDenied");
    assertStorageError(await write("PUT", "anon.png", anon), "403", "AccessDenied");
  });

  test("the service key reads and writes anywhere in the bucket", async () => {
    assert.equal((await read(as.service(backend()))).text, "hers");
    await put(backend(), "2026-05-11/seed-1.png", as.service(backend()));
  });

  test("a user cannot write to another bucket", async () => {
    await backend().sql("insert into storage.buckets (id, name) values ('other', 'other') on conflict do nothing");
    const headers = { ...as.user(backend(), alice), "content-type": "image/png" };
    const answer = await send(backend(), "PUT", `/storage/v1/object/other/${alice.id}/x.png`, headers, "x");
    assertStorageError(answer, "403", "AccessDenied");
  });
});

/** What policies for some commands alone let a user do. Storage asks for more than one of them for most of its requests. */
const ALONE = {
  INSERT: { post: true, put: false, overwrite: false, info: false, sign: false },
  "INSERT, SELECT": { post: true, put: true, overwrite: false, info: true, sign: true },
  "INSERT, SELECT, UPDATE": { post: true, put: true, overwrite: true, info: true, sign: true },
};

describe("a bucket with policies of somebody's own", () => {
  let backend;
  before(async () => {
    backend = await startEmbedded({ databaseUrl: "" });
  });
  after(() => backend?.close());

  for (const [commands, allowed] of Object.entries(ALONE)) {
    test(`for ${commands}`, async () => {
      const own = "select policyname from pg_policies where schemaname = 'storage' and tablename = 'objects'";
      for (const { policyname } of await backend.sql(own)) {
        await backend.script(`drop policy "${policyname}" on storage.objects`);
      }
      for (const command of commands.split(", ")) {
        const whose = command === "INSERT" ? "with check (true)" : "using (true)";
        await backend.script(`create policy "${command}" on storage.objects for ${command} to authenticated ${whose}`);
      }
      const user = as.user(backend, await backend.createUser());
      const write = (method, name) =>
        send(backend, method, objectUrl(name), { ...user, "content-type": "image/png" }, "bytes");
      const folder = randomUUID();
      const answers = {
        post: await write("POST", `${folder}/posted.png`),
        put: await write("PUT", `${folder}/put.png`),
        overwrite: await write("PUT", `${folder}/posted.png`),
        info: await send(backend, "GET", objectUrl(`${folder}/posted.png`, "object/info"), user),
        sign: await sendJson(backend, "POST", objectUrl(`${folder}/posted.png`, "object/sign"), user, {
          expiresIn: 60,
        }),
      };
      assert.deepEqual(
        Object.fromEntries(Object.entries(answers).map(([what, { status }]) => [what, status === 200])),
        allowed,
      );
    });
  }
});
