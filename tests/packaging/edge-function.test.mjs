// The Worker's API as a Supabase Edge Function, as `make edge-function` makes it, in Deno before an embedded Supabase.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createRelay } from "imagen-cloud";
import { startEmbedded } from "../support/embedded.mjs";
import { freePort } from "../support/port.mjs";
import { until } from "../support/until.mjs";
import { encode, fields, file, mint, PIXEL, PNG, startFront } from "../worker/support.mjs";
import { denoProgram } from "./environments.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FOLDER = `${ROOT}supabase/functions/imagen/`;
const PAGE = "https://app.example";
const run = promisify(execFile);

let backend;
let front;
let deno;
let url;
let user;
let log = "";

before(async () => {
  backend = await startEmbedded();
  front = await startFront(backend.url);
  user = await backend.createUser();
  await run(process.execPath, [`${ROOT}scripts/edge-function.mjs`], { cwd: ROOT });
  // What its owner may set, besides: nothing of one's own begins with SUPABASE_.
  const env = {
    SUPABASE_SERVICE_ROLE_KEY: "an old key that is off",
    IMAGEN_JWT_SECRET: backend.jwtSecret,
    IMAGEN_PUBLIC_URL: backend.url,
    ALLOWED_ORIGINS: PAGE,
    SYNC_BACKOFF_MS: "1",
    SYNC_DEADLINE_MS: "3000",
  };
  deno = await startFunction(FOLDER, "index.ts", env, (text) => (log += text));
  url = `${deno.url}/imagen`;
});

after(async () => {
  await deno?.stop();
  await front?.close();
  await backend?.close();
});

/** A function in Deno, with what the platform sets, once it answers. */
async function startFunction(folder, entry, env, listen) {
  const port = await freePort();
  const platform = {
    DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
    SUPABASE_URL: front.url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: backend.secretKey }),
    DENO_NO_UPDATE_CHECK: "1",
  };
  const args = ["run", "--no-check", "--allow-net", "--allow-env", `--allow-read=${folder}`, path.join(folder, entry)];
  const stdio = ["ignore", "pipe", "pipe"];
  const child = spawn(denoProgram(), args, { env: { ...platform, ...env }, cwd: folder, stdio });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      said += text;
      listen?.(text);
    });
  }
  const stop = async () => {
    if (child.exitCode !== null) return;
    child.kill();
    await once(child, "exit");
  };
  const address = `http://127.0.0.1:${port}`;
  await until(() => {
    assert.equal(child.exitCode, null, said);
    return fetch(address).then(
      () => true,
      () => false,
    );
  }, "the function to answer");
  return { url: address, stop };
}

const relay = (options) => createRelay({ url, ownerUserId: user.id, accessToken: () => user.accessToken, ...options });
const about = (changes) => ({ ...fields(changes), image: PNG });
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const post = async (headers, changes, thumbnail) => {
  const form = new FormData();
  form.append("request", JSON.stringify(fields(changes)));
  form.append("image", file(PIXEL));
  if (thumbnail) form.append("thumbnail", file(thumbnail));
  return fetch(`${url}/api/sync`, { method: "POST", ...(await encode(form, headers)) });
};

test("an_image_goes_through_the_function_and_comes_back_by_its_link", async () => {
  const sender = await relay();
  const { storagePath, imageId } = await sender.sync(about());
  const [row] = await backend.sql("select owner_user_id, storage_path from imagen.images where id = $1", [imageId]);
  assert.deepEqual(row, { owner_user_id: user.id, storage_path: storagePath });
  const link = await sender.signedUrl(storagePath);
  assert.ok(link.startsWith(`${backend.url}/storage/v1/`), "pages know no other address of the project");
  const shown = await fetch(link);
  assert.equal(sha256(Buffer.from(await shown.arrayBuffer())), sha256(PNG));
  const again = await sender.sync({ ...about(), imageId });
  assert.deepEqual(again, { storagePath, imageId });
  sender.free();
});

test("a_large_image_goes_by_ticket_straight_to_storage", async () => {
  const sender = await relay({ resumableFrom: 1, chunkSize: 8192 });
  const { storagePath } = await sender.sync(about({ slug: "large" }));
  const shown = await fetch(await sender.signedUrl(storagePath));
  assert.equal(sha256(Buffer.from(await shown.arrayBuffer())), sha256(PNG));
  sender.free();
});

test("images_are_listed_with_their_small_pictures_and_removed_by_their_own_user", async () => {
  const [sender, other] = [await relay(), await backend.createUser()];
  const stranger = await createRelay({ url, accessToken: () => other.accessToken });
  const sent = await post({ authorization: `Bearer ${user.accessToken}` }, { slug: "small" }, PNG);
  const { imageId, storagePath } = await sent.json();
  const [newest] = (await sender.list({ limit: 1, thumbnail: true })).images;
  assert.deepEqual([newest.imageId, newest.storagePath], [imageId, storagePath]);
  const links = await Promise.all([newest.signedUrl, newest.thumbnailUrl].map((link) => fetch(link)));
  const bytes = await Promise.all(links.map(async (shown) => Buffer.from(await shown.arrayBuffer())));
  assert.deepEqual(bytes.map(sha256), [PIXEL, PNG].map(sha256));
  assert.deepEqual((await stranger.list()).images, []);
  await assert.rejects(stranger.remove({ imageId }), { code: "forbidden", serverCode: "not_yours" });
  assert.deepEqual({ ...(await sender.remove({ imageId })) }, { imageId, storagePath });
  const left = await backend.sql("select name from storage.objects where name like $1", [`${storagePath}%`]);
  assert.deepEqual(left, []);
  for (const handle of [sender, stranger]) handle.free();
});

test("a_page_may_ask_and_its_preflight_needs_no_token", async () => {
  const asked = { "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
  const allowed = await fetch(`${url}/api/sync`, { method: "OPTIONS", headers: { origin: PAGE, ...asked } });
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get("access-control-allow-origin"), PAGE);
  const other = await fetch(`${url}/api/sync`, {
    method: "OPTIONS",
    headers: { origin: "https://x.example", ...asked },
  });
  assert.notEqual(other.headers.get("access-control-allow-origin"), "https://x.example");
});

test("who_has_no_good_token_is_refused", async () => {
  const expired = await mint(backend.jwtSecret, { sub: user.id, exp: Math.floor(Date.now() / 1000) - 600 });
  const forged = await mint("another secret, of another project, long enough", { sub: user.id });
  for (const token of [undefined, expired, forged, backend.anonKey]) {
    assert.equal((await post(token ? { authorization: `Bearer ${token}` } : {})).status, 401);
  }
});

test("below_its_own_name_only", async () => {
  const { origin } = new URL(url);
  for (const path of ["/api/health", "/other/api/health"]) assert.equal((await fetch(origin + path)).status, 404, path);
});

test("while_supabase_is_down_the_sender_is_told_to_keep_the_image_and_to_come_again", async () => {
  front.down = true;
  try {
    const answer = await post({ authorization: `Bearer ${user.accessToken}` });
    assert.equal(answer.status, 503, await answer.text());
    assert.match(answer.headers.get("retry-after") ?? "", /^\d+$/);
  } finally {
    front.down = false;
  }
});

test("an_odd_head_of_a_request_is_answered_and_harms_nobody", async () => {
  const { port } = new URL(url);
  const ask = (lines) =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(port), "127.0.0.1", () => socket.end(`${lines.join("\r\n")}\r\n\r\n{}`));
      let text = "";
      socket.setEncoding("latin1").on("data", (data) => (text += data));
      socket.on("error", reject).on("close", () => resolve(Number(text.split(" ")[1])));
    });
  assert.equal(await ask(["GET /imagen/api/health HTTP/1.1", "Host: a b", "Connection: close"]), 400);
  const length = "Content-Length: 2";
  const token = `Authorization: Bearer ${user.accessToken}`;
  const head = ["POST /imagen/api/sync HTTP/1.1", "Host: x", "Connection: close", token];
  const type = "Content-Type: multipart/form-data; boundary=x";
  assert.equal(await ask([...head, type, length, length]), 400);
  const sent = await Promise.all(
    [1, 2, 3].map((seed) => post({ authorization: `Bearer ${user.accessToken}` }, { seed })),
  );
  assert.deepEqual(
    sent.map(({ status }) => status),
    [201, 201, 201],
  );
});

test("its_log_holds_no_key_and_no_token", () => {
  for (const secret of [backend.secretKey, backend.jwtSecret, user.accessToken]) assert.ok(!log.includes(secret));
  assert.match(log, /"route":"\/api\/sync"/);
});

test("a_function_of_ones_own_sends_lists_and_removes_as_the_docs_have_it", async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "imagen-function-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [deploy, recipes] = await Promise.all(
    ["deploy", "recipes"].map((page) => readFile(`${ROOT}docs/${page}.md`, "utf8")),
  );
  const named = (page, name) => page.match(new RegExp(`^\`\`\`ts ${name}\n(.*?)^\`\`\``, "ms"))[1];
  await writeFile(path.join(folder, "pictures.ts"), named(deploy, "pictures.ts"));
  await writeFile(path.join(folder, "worker.ts"), named(recipes, "worker.ts"));
  await symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
  const [, commands] = deploy.match(/^npm install --save-dev esbuild\n(.*?)^```/ms); // that one is here
  await run("bash", ["-ec", commands], { cwd: folder });
  const made = path.join(folder, "supabase/functions/pictures");
  const own = await startFunction(made, "index.js", {});
  t.after(own.stop);

  const ask = (method, at = "", body = undefined, token = user.accessToken) =>
    fetch(`${own.url}/pictures${at}`, { method, body, headers: { authorization: `Bearer ${token}` } });
  assert.equal((await ask("GET", "", undefined, "none")).status, 401);
  const { url: link } = await (await ask("POST", "", PNG)).json();
  assert.equal(sha256(Buffer.from(await (await fetch(link)).arrayBuffer())), sha256(PNG));
  const [newest, ...others] = await (await ask("GET")).json();
  assert.equal((await ask("DELETE", `/${newest.imageId}`)).status, 200);
  assert.deepEqual(
    await (await ask("GET")).json().then((left) => left.map(({ imageId }) => imageId)),
    others.map(({ imageId }) => imageId),
  );
});
