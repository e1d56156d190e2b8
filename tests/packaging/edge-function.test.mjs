// The Worker's API as a Supabase Edge Function, as `make edge-function` makes it, in Deno before an embedded Supabase.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
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
  await promisify(execFile)(process.execPath, [`${ROOT}scripts/edge-function.mjs`], { cwd: ROOT });
  const port = await freePort();
  // What the platform sets, and what its owner may set: nothing of one's own begins with SUPABASE_.
  const env = {
    DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
    SUPABASE_URL: front.url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: backend.secretKey }),
    SUPABASE_SERVICE_ROLE_KEY: "an old key that is off",
    IMAGEN_JWT_SECRET: backend.jwtSecret,
    ALLOWED_ORIGINS: PAGE,
    SYNC_BACKOFF_MS: "1",
    SYNC_DEADLINE_MS: "3000",
    DENO_NO_UPDATE_CHECK: "1",
  };
  const args = ["run", "--no-check", "--allow-net", "--allow-env", `--allow-read=${FOLDER}`, `${FOLDER}index.ts`];
  deno = spawn(denoProgram(), args, { env, cwd: FOLDER, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [deno.stdout, deno.stderr]) stream.setEncoding("utf8").on("data", (text) => (log += text));
  url = `http://127.0.0.1:${port}/imagen`;
  await until(() => {
    assert.equal(deno.exitCode, null, log);
    return fetch(`${url}/api/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  }, "the function to answer");
});

after(async () => {
  if (deno?.exitCode === null) {
    deno.kill();
    await once(deno, "exit");
  }
  await front?.close();
  await backend?.close();
});

const relay = (options) => createRelay({ url, ownerUserId: user.id, accessToken: () => user.accessToken, ...options });
const about = (changes) => ({ ...fields(changes), image: PNG });
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const post = async (headers) => {
  const form = new FormData();
  form.append("request", JSON.stringify(fields()));
  form.append("image", file(PIXEL));
  return fetch(`${url}/api/sync`, { method: "POST", ...(await encode(form, headers)) });
};

test("an_image_goes_through_the_function_and_comes_back_by_its_link", async () => {
  const sender = await relay();
  const { storagePath, imageId } = await sender.sync(about());
  const [row] = await backend.sql("select owner_user_id, storage_path from imagen.images where id = $1", [imageId]);
  assert.deepEqual(row, { owner_user_id: user.id, storage_path: storagePath });
  const shown = await fetch(await sender.signedUrl(storagePath));
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

test("its_log_holds_no_key_and_no_token", () => {
  for (const secret of [backend.secretKey, backend.jwtSecret, user.accessToken]) assert.ok(!log.includes(secret));
  assert.match(log, /"route":"\/api\/sync"/);
});
