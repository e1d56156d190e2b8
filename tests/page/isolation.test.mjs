// What one user may not do to another's image, tried in the browser with everything a page has.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { BUCKET, enter, send, sessionOf, startSite } from "./support.mjs";

const WASM = new URL("../../pkg/wasm/imagen_cloud_bg.wasm", import.meta.url);

let site;
before(async () => {
  site = await startSite();
});
after(() => site?.close());

/** Serves the package and supabase-js to the page as modules of its own origin, as its policy demands. */
async function offerLibraries(page) {
  const { outputFiles } = await build({
    stdin: {
      contents: 'export * from "imagen-cloud"; export { createClient } from "@supabase/supabase-js";',
      resolveDir: fileURLToPath(new URL(".", import.meta.url)),
    },
    bundle: true,
    write: false,
    format: "esm",
  });
  await page.route("**/test/libraries.js", (route) =>
    route.fulfill({ contentType: "text/javascript", body: outputFiles[0].text }),
  );
  await page.route("**/*_bg.wasm", (route) =>
    route.fulfill({ contentType: "application/wasm", body: readFileSync(WASM) }),
  );
}

test("a second demo user can neither read nor overwrite the first one's image", async () => {
  const victimPage = await site.openPage();
  await enter(victimPage);
  const image = await send(victimPage, { prompt: "mine alone" });
  const [owner] = image.storagePath.split("/");
  const stored = async () => {
    const { data: rows } = await site.admin.schema("imagen").from("images").select("*").eq("owner_user_id", owner);
    const { data: object } = await site.admin.storage.from(BUCKET).download(image.storagePath);
    return { rows, bytes: Buffer.from(await object.arrayBuffer()).toString("base64") };
  };
  const before = await stored();
  assert.equal(before.rows.length, 1);

  const page = await site.openPage();
  await enter(page);
  await offerLibraries(page);
  const outcome = await page.evaluate(tryEverything, {
    url: site.recorder.url,
    key: site.supabase.anonKey,
    bucket: BUCKET,
    owner,
    session: await sessionOf(page),
    ...image,
  });

  assert.notEqual(outcome.me, owner);
  assert.deepEqual(outcome.seen, { row: [], all: [], objects: [] });
  for (const [name, result] of Object.entries(outcome.refused)) assert.match(result, /^refused/, name);
  assert.match(outcome.refused["sync with the other's imageId"], /id_taken/);
  assert.deepEqual(outcome.changed, { updated: [], deleted: [], removed: [] });
  assert.deepEqual(await stored(), before);

  // Through the Worker, with a token that is good for oneself.
  const signed = await page.evaluate(
    async ({ path, token }) => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`/api/signed-url?path=${encodeURIComponent(path)}`, { headers })).status;
    },
    { path: image.storagePath, token: outcome.token },
  );
  assert.equal(signed, 403);
});

/** Runs in the page. */
async function tryEverything({ url, key, bucket, owner, session, storagePath, imageId }) {
  const { createClient, createSink } = await import("/test/libraries.js");
  const client = createClient(url, key, { accessToken: async () => session.access_token });
  const me = session.user.id;
  const images = () => client.schema("imagen").from("images");
  const objects = client.storage.from(bucket);
  const png = await new Promise((resolve) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 8;
    canvas.getContext("2d").fillRect(0, 0, 8, 8);
    canvas.toBlob(resolve);
  });

  const outcome = async (work) => {
    try {
      const answer = await work();
      return answer?.error ? `refused: ${answer.error.message}` : `done: ${JSON.stringify(answer)}`;
    } catch (error) {
      return `refused: ${error.code} ${error.message}`;
    }
  };
  const [, date, name] = storagePath.split("/");
  const [, slug, seed] = /^(.*)-(\d+)\.png$/.exec(name);
  const sync = async (options, request) => {
    const sink = await createSink({ url, apiKey: key, accessToken: () => session.access_token, ...options });
    return sink.sync({ date, slug, seed: BigInt(seed), image: png, prompt: "stolen", backend: "test", ...request });
  };
  const sink = await createSink({ url, apiKey: key, accessToken: () => session.access_token });
  const attempts = {
    "sync to the other's path as oneself": () => sync({ ownerUserId: me, pathPrefix: owner }),
    "sync to the other's path as the other": () => sync({ ownerUserId: owner, pathPrefix: owner }),
    "sync to one's own path as the other": () => sync({ ownerUserId: owner, pathPrefix: me }),
    "sync with the other's imageId": () => sync({ ownerUserId: me, pathPrefix: me }, { imageId }),
    "sync without a token": () => sync({ ownerUserId: owner, pathPrefix: owner, accessToken: undefined }),
    "signedUrl of the other's path": () => sink.signedUrl(storagePath),
    "supabase-js download": () => objects.download(storagePath),
    "supabase-js createSignedUrl": () => objects.createSignedUrl(storagePath, 60),
    "supabase-js upload over it": () => objects.upload(storagePath, png, { upsert: true }),
    "supabase-js update": () => objects.update(storagePath, png),
    "supabase-js move": () => objects.move(storagePath, `${me}/stolen.png`),
    "supabase-js copy": () => objects.copy(storagePath, `${me}/stolen.png`),
    "supabase-js upload beside it": () => objects.upload(`${owner}/beside.png`, png),
    "supabase-js insert of a row for the other": () =>
      images().insert({
        owner_user_id: owner,
        prompt: "x",
        prompt_hash: "0".repeat(64),
        backend: "x",
        storage_path: storagePath,
      }),
    "supabase-js insert of a row on the other's path": () =>
      images().insert({
        owner_user_id: me,
        prompt: "x",
        prompt_hash: "0".repeat(64),
        backend: "x",
        storage_path: storagePath,
      }),
  };
  const refused = {};
  for (const [what, work] of Object.entries(attempts)) refused[what] = await outcome(work);
  const updated = await images().update({ prompt: "stolen" }).eq("id", imageId).select();
  const deleted = await images().delete().eq("id", imageId).select();
  const removed = await objects.remove([storagePath]);
  return {
    me,
    token: session.access_token,
    seen: {
      row: (await images().select("id").eq("id", imageId)).data,
      all: (await images().select("id").neq("owner_user_id", me)).data,
      objects: (await objects.list(owner)).data,
    },
    refused,
    changed: { updated: updated.data ?? [], deleted: deleted.data ?? [], removed: removed.data ?? [] },
  };
}
