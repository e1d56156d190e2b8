// What the package does against an embedded Supabase, read back with @supabase/supabase-js: the same tests for each
// database below it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { createClient } from "@supabase/supabase-js";
import { createSink, createSinkFromEnv, isImagenCloudError } from "imagen-cloud";
import { SignJWT } from "jose";
import { startEmbedded } from "../support/embedded.mjs";
import { sha256, verify } from "../support/verify.mjs";

const BUCKET = "imagen-generated";
const image = (ext) => readFile(new URL(`../data/lighthouse.${ext}`, import.meta.url));
const PNG = await image("png");

/**
 * Defines the tests.
 * @param {string} name Of the database, for the tests' names.
 * @param {() => Promise<{ databaseUrl: string, close: () => Promise<void> }>} startDatabase
 */
export function describeIntegration(name, startDatabase) {
  describe(`the package against the embedded Supabase on ${name}`, () => {
    let database;
    let supabase;
    let owner;
    let other;
    let service;

    before(async () => {
      database = await startDatabase();
      supabase = await startEmbedded({ databaseUrl: database.databaseUrl });
      [owner, other] = [await supabase.createUser(), await supabase.createUser()];
      service = clientOf(supabase, supabase.serviceKey);
    });
    after(async () => {
      await supabase?.close();
      await database?.close();
    });

    /** A sink of the server's side, with the service key. */
    const serverSink = (options) =>
      createSink({ url: supabase.url, apiKey: supabase.serviceKey, ownerUserId: owner.id, ...options });
    /** A sink of the page's side: the publishable key and a user's JWT, under row-level security. */
    const userSink = (user, options) =>
      createSink({
        url: supabase.url,
        apiKey: supabase.publishableKey,
        ownerUserId: user.id,
        accessToken: () => user.accessToken,
        ...options,
      });
    const rowOf = async (id) => {
      const { data, error } = await service.from("images").select("*").eq("id", id).single();
      assert.equal(error, null);
      return data;
    };
    const bytesOf = async (path, client = service) => {
      // storage-js puts a path into the URL as it is.
      const escaped = path.split("/").map(encodeURIComponent).join("/");
      const { data, error } = await client.storage.from(BUCKET).download(escaped);
      assert.equal(error, null);
      return Buffer.from(await data.arrayBuffer());
    };

    test("every column and the bytes arrive", async () => {
      const sink = await serverSink();
      const sidecar = { cfg: 1.5, loras: ["a", "b"], nested: { none: null, yes: true } };
      const request = aRequest({
        model: "schnell",
        steps: 4,
        width: 1024,
        height: 768,
        latencyMs: 1234,
        costUsdEstimate: 0.004,
        sidecar,
      });
      const { storagePath, imageId } = await sink.sync(request);
      const { created_at: createdAt, ...row } = await rowOf(imageId);
      assert.deepEqual(row, {
        id: imageId,
        owner_user_id: owner.id,
        prompt: request.prompt,
        prompt_hash: sha256(request.prompt),
        backend: "flux",
        model: "schnell",
        seed: request.seed,
        steps: 4,
        width: 1024,
        height: 768,
        latency_ms: 1234,
        cost_usd_estimate: 0.004,
        sidecar,
        storage_path: storagePath,
      });
      assert.ok(Date.parse(createdAt) > 0);
      assert.deepEqual(await bytesOf(storagePath), PNG);
      const { data } = await service.storage.from(BUCKET).info(storagePath);
      assert.equal(data.contentType, "image/png");
    });

    test("what is left out is null, a size comes from the header, a cost of 0 stays", async () => {
      const sink = await serverSink();
      const { imageId } = await sink.sync(aRequest({ costUsdEstimate: 0 }));
      const row = await rowOf(imageId);
      for (const column of ["model", "steps", "latency_ms", "sidecar"]) assert.equal(row[column], null, column);
      assert.deepEqual([row.width, row.height, row.cost_usd_estimate], [320, 240, 0]);
    });

    test("all of int64 is exact in path and row", async () => {
      const sink = await serverSink();
      for (const seed of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, -7]) {
        const { storagePath, imageId } = await sink.sync(aRequest({ seed }));
        assert.ok(storagePath.endsWith(`-${seed}.png`), storagePath);
        const [row] = await supabase.sql("select seed::text as seed from imagen.images where id = $1", [imageId]);
        assert.equal(row.seed, String(seed));
      }
    });

    test("a text of any characters arrives as it was", async () => {
      const sink = await serverSink();
      const prompt = 'Leuchtturm bei Dämmerung 🗼 <b>&amp; "quoted" \\ \n\t\u2028 end';
      const { imageId } = await sink.sync(aRequest({ prompt, sidecar: { prompt } }));
      const row = await rowOf(imageId);
      assert.equal(row.prompt, prompt);
      assert.equal(row.prompt_hash, sha256(prompt));
      assert.deepEqual(row.sidecar, { prompt });
    });

    for (const ext of ["png", "jpg", "webp", "avif", "gif"]) {
      test(`a real ${ext} is stored with its type, and its signed URL gives it back`, async () => {
        const sink = await userSink(owner, { requireImage: true });
        const bytes = await image(ext);
        const { storagePath } = await sink.sync(aRequest({ image: new Blob([bytes]) }));
        const response = await fetch(await sink.signedUrl(storagePath, 60));
        assert.equal(response.status, 200);
        assert.equal(response.headers.get("content-type"), ext === "jpg" ? "image/jpeg" : `image/${ext}`);
        assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes);
      });
    }

    test("a second run of the same date, slug and seed overwrites the object and adds a row", async () => {
      const sink = await serverSink();
      const request = aRequest({ ext: "img" });
      const first = await sink.sync(request);
      const jpeg = await image("jpg");
      const second = await sink.sync({ ...request, image: jpeg });
      assert.equal(second.storagePath, first.storagePath);
      assert.notEqual(second.imageId, first.imageId);
      assert.deepEqual(await bytesOf(first.storagePath), jpeg);
      const { data } = await service.from("images").select("id").eq("storage_path", first.storagePath);
      assert.equal(data.length, 2);
    });

    test("the same imageId again is harmless, as the service and as a user, at once and later", async () => {
      for (const sink of [await serverSink(), await userSink(owner)]) {
        const request = aRequest({ imageId: randomUUID() });
        const results = await Promise.all([sink.sync(request), sink.sync(request), sink.sync(request)]);
        results.push(await sink.sync(request));
        for (const result of results) assert.deepEqual({ ...result }, { ...results[0] });
        const { data } = await service.from("images").select("id").eq("storage_path", results[0].storagePath);
        assert.deepEqual(data, [{ id: request.imageId }]);
      }
    });

    test("the imageId of another path, or of another user's row, is taken", async () => {
      const sink = await userSink(owner);
      const { imageId } = await sink.sync(aRequest());
      await rejects(sink.sync(aRequest({ imageId })), { code: "id_taken", stage: "insert", imageId });
      await rejects((await userSink(other)).sync(aRequest({ imageId })), { code: "id_taken", stage: "insert" });
      assert.equal((await rowOf(imageId)).owner_user_id, owner.id);
    });

    test("a user's image is seen by that user alone", async () => {
      const sink = await userSink(owner);
      const { storagePath, imageId } = await sink.sync(aRequest());
      assert.ok(storagePath.startsWith(`${owner.id}/`));
      const mine = clientOf(supabase, supabase.publishableKey, owner.accessToken);
      const theirs = clientOf(supabase, supabase.publishableKey, other.accessToken);
      assert.equal((await mine.from("images").select("id").eq("id", imageId)).data.length, 1);
      assert.equal((await theirs.from("images").select("id").eq("id", imageId)).data.length, 0);
      assert.deepEqual(await bytesOf(storagePath, mine), PNG);
      assert.notEqual((await theirs.storage.from(BUCKET).download(storagePath)).error, null);
      await rejects((await userSink(other)).signedUrl(storagePath, 60), { code: "object_missing", stage: "sign" });
    });

    test("another user's folder is forbidden, and what lies there stays", async () => {
      const request = aRequest();
      const { storagePath } = await (await userSink(owner)).sync(request);
      const intruder = await userSink(other, { pathPrefix: owner.id });
      const error = await rejects(intruder.sync({ ...request, image: await image("gif"), ext: "png" }), {
        code: "forbidden",
        stage: "upload",
        retryable: false,
      });
      assert.match(error.message, /pathPrefix/);
      assert.deepEqual(await bytesOf(storagePath), PNG);
      const { data } = await service.from("images").select("id").eq("storage_path", storagePath);
      assert.equal(data.length, 1);
    });

    test("a row of another owner is forbidden", async () => {
      const sink = await userSink(other, { ownerUserId: owner.id, pathPrefix: other.id });
      await rejects(sink.sync(aRequest()), { code: "forbidden", stage: "insert", serverCode: "42501" });
    });

    test("outside of their folder a user is forbidden, and without a token too", async () => {
      await rejects((await userSink(owner, { pathPrefix: "" })).sync(aRequest()), { code: "forbidden" });
      const anonymous = await userSink(owner, { apiKey: supabase.anonKey, accessToken: undefined });
      await rejects(anonymous.sync(aRequest()), { code: "forbidden" });
    });

    test("an expired token is asked for anew, once a request", async () => {
      const stale = await expired(supabase.jwtSecret, owner.id);
      const given = [stale, owner.accessToken, stale, owner.accessToken, stale, owner.accessToken];
      const sink = await userSink(owner, { accessToken: () => given.shift(), maxRetries: 0 });
      const { storagePath } = await sink.sync(aRequest());
      await sink.signedUrl(storagePath);
      assert.equal(given.length, 0);
      await rejects((await userSink(owner, { accessToken: () => stale })).sync(aRequest()), {
        code: "unauthorized",
        stage: "upload",
      });
    });

    test("a key that the project does not know is unauthorized", async () => {
      const stranger = await serverSink({ apiKey: "sb_publishable_AAAAAAAAAAAAAAAAAAAAAA_AAAAAAAA" });
      await rejects(stranger.sync(aRequest()), { code: "unauthorized", stage: "upload" });
    });

    test("every kind of key works", async () => {
      for (const apiKey of [supabase.serviceKey, supabase.secretKey])
        await (await serverSink({ apiKey })).sync(aRequest());
      for (const apiKey of [supabase.anonKey, supabase.publishableKey]) {
        await (await userSink(owner, { apiKey })).sync(aRequest());
      }
    });

    test("the environment's sink does the same", async () => {
      const sink = await createSinkFromEnv({
        SUPABASE_URL: `${supabase.url}/`,
        SUPABASE_SERVICE_KEY: supabase.serviceKey,
        IMAGEN_OWNER_USER_ID: owner.id,
      });
      const { imageId } = await sink.sync(aRequest());
      assert.equal((await rowOf(imageId)).owner_user_id, owner.id);
    });

    for (const slug of ["light house", "a!-.*'()&$@=;:+,?b_", "series/of/lighthouses", "why?token=x&y"]) {
      test(`the slug ${slug} names one object, and its signed URL gives it back`, async () => {
        const sink = await serverSink();
        const { storagePath, imageId } = await sink.sync(aRequest({ slug }));
        assert.ok(storagePath.includes(slug));
        assert.equal((await rowOf(imageId)).storage_path, storagePath);
        assert.deepEqual(await bytesOf(storagePath), PNG);
        const response = await fetch(await sink.signedUrl(storagePath, 60));
        assert.deepEqual(Buffer.from(await response.arrayBuffer()), PNG);
      });
    }

    for (const slug of ["100%", "Dämmerung", "c#", "a~b", "🗼", "a[b]", "<b>"]) {
      test(`the slug ${slug} is refused before anything is sent, as Storage would refuse it`, async () => {
        const sink = await serverSink();
        await rejects(sink.sync(aRequest({ slug })), { code: "invalid_request", stage: "request", field: "slug" });
        const key = encodeURIComponent(`${slug}-1.png`);
        const answer = await fetch(`${supabase.url}/storage/v1/object/imagen-generated/${key}`, {
          method: "PUT",
          headers: { apikey: supabase.serviceKey, authorization: `Bearer ${supabase.serviceKey}` },
          body: PNG,
        });
        assert.equal((await answer.json()).code, "InvalidKey");
      });
    }

    test("set-up mistakes are told apart", async () => {
      await rejects((await serverSink({ bucket: "no-such-bucket" })).sync(aRequest()), { code: "bucket_missing" });
      await rejects((await serverSink({ schema: "no_such_schema" })).sync(aRequest()), { code: "schema_not_exposed" });
      await rejects((await serverSink({ table: "no_such_table" })).sync(aRequest()), { code: "table_missing" });
      await rejects((await serverSink()).signedUrl("2026-05-11/nothing-1.png"), { code: "object_missing" });
      await rejects((await serverSink()).sync(aRequest({ image: Buffer.from("text"), mimeType: "text/plain" })), {
        code: "type_not_allowed",
      });
      await rejects((await serverSink({ ownerUserId: randomUUID() })).sync(aRequest()), { serverCode: "23503" });
    });

    test("a signed URL works in the form of other servers too, and ends with its time", async () => {
      const prefixed = await startEmbedded({ databaseUrl: database.databaseUrl, signedUrls: "lite" });
      try {
        const user = await prefixed.createUser();
        const options = { url: prefixed.url, apiKey: prefixed.serviceKey, ownerUserId: user.id };
        const sink = await createSink(options);
        const { storagePath } = await sink.sync(aRequest({ slug: "light house?" }));
        const link = await sink.signedUrl(storagePath, 60);
        assert.match(link, /^[\x21-\x7e]+$/);
        assert.deepEqual(Buffer.from(await (await fetch(link)).arrayBuffer()), PNG);
        assert.notEqual((await fetch(link.slice(0, -6))).status, 200, "a token that was tampered with");
      } finally {
        await prefixed.close();
      }
    });

    test("500 rows of one insert, which share their time, are listed page by page, each once", async () => {
      const user = await supabase.createUser();
      const row = (index) => ({
        ...{ owner_user_id: user.id, prompt: "p", prompt_hash: sha256("p"), backend: "b", seed: index },
        storage_path: `${user.id}/${index}.png`,
      });
      const { error } = await service.from("images").insert(Array.from({ length: 500 }, (_, index) => row(index)));
      assert.equal(error, null);
      const [{ times }] = await supabase.sql(
        "select count(distinct created_at)::int as times from imagen.images where owner_user_id = $1",
        [user.id],
      );
      assert.equal(times, 1);
      const sink = await userSink(user);
      const { storagePath } = await sink.sync(aRequest({ seed: 2n ** 63n - 1n }));
      const seen = [];
      let before;
      do {
        const page = await sink.list({
          limit: 120,
          before,
          signedUrl: seen.length === 0 ? 60 : false,
          thumbnail: seen.length === 0,
        });
        seen.push(...page.images);
        before = page.before;
      } while (before !== null);
      assert.equal(seen.length, 501);
      assert.equal(new Set(seen.map(({ imageId }) => imageId)).size, 501);
      const [newest, ...others] = seen;
      assert.deepEqual([newest.storagePath, newest.seed], [storagePath, 2n ** 63n - 1n]);
      assert.deepEqual(Buffer.from(await (await fetch(newest.signedUrl)).arrayBuffer()), PNG);
      assert.equal(others[0].signedUrl, null, "no object is there");
      assert.equal(newest.thumbnailUrl, null, "no small picture is there");
      assert.match(newest.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/);
      assert.deepEqual((await (await userSink(other)).list({ owner: user.id })).images, [], "another user sees none");
    });

    test("own columns are listed beside ours, and a missing one is told", async () => {
      await supabase.script("alter table imagen.images add column if not exists project_id text");
      await supabase.script("notify pgrst, 'reload schema'");
      const sink = await userSink(owner);
      const { imageId } = await sink.sync(aRequest());
      await supabase.sql("update imagen.images set project_id = 'x' where id = $1", [imageId]);
      const { images } = await sink.list({ ids: [imageId], columns: ["project_id"] });
      assert.deepEqual(images[0].columns, { project_id: "x" });
      await rejects(sink.list({ columns: ["no_such_column"] }), { stage: "list", retryable: false });
    });

    test("an image is removed by its owner alone, with its thumbnail and its row, and again", async () => {
      const [mine, theirs] = [await userSink(owner), await userSink(other)];
      const image = { ...(await mine.sync(aRequest({ slug: "a, b; c" }))) };
      const { storagePath, imageId } = image;
      const thumb = `${storagePath}.thumb`;
      const { error } = await service.storage.from(BUCKET).copy(storagePath, thumb);
      assert.equal(error, null);
      const left = async () => [
        (await service.from("images").select("id").eq("id", imageId)).data.length,
        (await supabase.sql("select name from storage.objects where name in ($1, $2)", [storagePath, thumb])).length,
      ];
      assert.deepEqual({ ...(await theirs.remove({ imageId })) }, { imageId, storagePath: null });
      await rejects(theirs.remove({ storagePath }), { code: "invalid_request", field: "storagePath" });
      await rejects((await serverSink({ ownerUserId: other.id })).remove({ imageId }), { code: "forbidden" });
      assert.deepEqual(await left(), [1, 2]);
      assert.deepEqual({ ...(await mine.remove({ imageId })) }, image);
      assert.deepEqual(await left(), [0, 0]);
      assert.deepEqual({ ...(await mine.remove(image)) }, image);
    });

    test("what the server wrote outside of the user's folder stays until the server removes it", async () => {
      const server = await serverSink();
      const { imageId, storagePath } = await server.sync(aRequest());
      const sink = await userSink(owner);
      assert.match(await sink.signedUrl(storagePath), /token=/, "it may be seen");
      await rejects(sink.remove({ imageId }), { code: "forbidden", stage: "remove", imageId, storagePath });
      assert.equal((await rowOf(imageId)).storage_path, storagePath);
      assert.deepEqual(await bytesOf(storagePath), PNG);
      const [outcome] = await server.remove([{ imageId }]);
      assert.deepEqual({ ...outcome }, { ok: true, imageId, storagePath });
      assert.equal((await service.from("images").select("id").eq("id", imageId)).data.length, 0);
    });

    test("100 at once, each once, and nothing is left half-done", async () => {
      const sinks = [await userSink(other), await userSink(other)];
      const prefix = `${other.id}/2026-06-06/`;
      const beliefs = await Promise.all(
        Array.from({ length: 100 }, async (_, seed) => {
          const request = { ...aRequest({ seed }), date: "2026-06-06" };
          return { ...(await sinks[seed % 2].sync(request)), sha256: sha256(PNG), ok: true };
        }),
      );
      const report = await verify({ url: supabase.url, serviceKey: supabase.serviceKey, beliefs, prefix });
      assert.deepEqual(report.problems, []);
      assert.deepEqual([report.rows, report.objects], [100, 100]);
    });
  });
}

let seeds = 1000;

/** A request whose storage path no other test has. */
function aRequest(fields = {}) {
  seeds += 1;
  const common = { date: "2026-05-11", slug: "lighthouse", prompt: "a lighthouse at dusk", backend: "flux" };
  return { ...common, seed: seeds, image: PNG, ...fields };
}

function clientOf({ url }, key, accessToken) {
  return createClient(url, key, {
    db: { schema: "imagen" },
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    ...(accessToken && { accessToken: async () => accessToken }),
  });
}

async function rejects(call, expected) {
  const error = await call.then(
    () => assert.fail(`resolved, not ${JSON.stringify(expected)}`),
    (reason) => reason,
  );
  assert.ok(isImagenCloudError(error), String(error?.stack));
  for (const [field, value] of Object.entries(expected)) {
    assert.equal(error[field], value, `${field}: ${error.message}`);
  }
  return error;
}

function expired(jwtSecret, userId) {
  const past = Math.floor(Date.now() / 1000) - 3600;
  return new SignJWT({ role: "authenticated", sub: userId, aud: "authenticated" })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt(past - 3600)
    .setExpirationTime(past)
    .sign(new TextEncoder().encode(jwtSecret));
}
