// The API apart from Cloudflare: by Node's own Request and Response, below another path, without a place for staged images.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { importModule } from "./modules.mjs";
import { encode, fields, file, mint, PIXEL } from "./support.mjs";

const ROOT = new URL("../../www/worker/src/", import.meta.url);
const SECRET = "a-secret-of-the-test-that-is-long-enough-for-it";
const USER = "00000000-0000-4000-8000-00000000000a";
const ENV = {
  SUPABASE_URL: "https://project.example",
  SUPABASE_SERVICE_KEY: "the-service-key",
  SUPABASE_JWT_SECRET: SECRET,
  SYNC_BACKOFF_MS: "1",
};

let createApi;
before(async () => {
  ({ createApi } = await importModule("api.ts"));
});

/** Supabase, as far as the test goes: `answer` gets method and path of each request. */
function standIn(t, answer) {
  const asked = [];
  t.mock.method(globalThis, "fetch", async (input, init) => {
    const { pathname } = new URL(input);
    asked.push(`${init?.method ?? "GET"} ${pathname}`);
    return answer(pathname);
  });
  t.mock.method(console, "log", () => {});
  return asked;
}

async function post(url, body = { request: fields(), image: file(PIXEL) }, sub = USER) {
  const form = new FormData();
  form.append("request", JSON.stringify(body.request));
  form.append("image", body.image);
  const authorization = `Bearer ${await mint(SECRET, { sub })}`;
  return new Request(url, { method: "POST", ...(await encode(form, { authorization })) });
}

const arrives = (path) =>
  path.startsWith("/rest/") ? Response.json([{ id: "x" }], { status: 201 }) : Response.json({ Key: "x", Id: "x" });

test("an_image_arrives_below_any_base_path_and_nowhere_else", async (t) => {
  const asked = standIn(t, arrives);
  const api = createApi({ env: { ...ENV, BASE_PATH: "/functions/v1/imagen/" } });
  const answer = await api(await post("https://edge.example/functions/v1/imagen/api/sync"));
  assert.equal(answer.status, 201, await answer.clone().text());
  const { storagePath } = await answer.json();
  assert.equal(storagePath, `${USER}/2026-05-11/lighthouse-42.png`);
  assert.equal(asked.length, 2);
  for (const path of ["/api/sync", "/functions/v1/imagen", "/functions/v1/imagen2/api/sync", "/x/api/sync"]) {
    assert.equal((await api(await post(`https://edge.example${path}`))).status, 404, path);
  }
});

test("without_a_place_to_stage_images_an_outage_is_503_with_a_time_to_come_again", async (t) => {
  standIn(t, () => new Response("down", { status: 503 }));
  const api = createApi({ env: ENV });
  const answer = await api(await post("https://edge.example/api/sync"));
  assert.equal(answer.status, 503);
  assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
  const problem = await answer.json();
  assert.equal(problem.code, "unavailable");
  assert.match(problem.imageId, /^[0-9a-f-]{36}$/);
});

test("an_answer_about_the_image_ends_an_outage_as_a_success_does", async (t) => {
  const id = "11111111-2222-4333-8444-555555555555";
  const supabase = { hangs: true };
  standIn(t, (path) => arrives(path));
  globalThis.fetch.mock.mockImplementation(async (input, init) => {
    if (supabase.hangs) {
      return new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
    }
    const { pathname, search } = new URL(input);
    if (search.includes(id)) return Response.json([{ owner_user_id: "another", storage_path: "another/a.png" }]);
    return arrives(pathname);
  });
  const none = async () => undefined;
  const staging = { find: none, findRemover: none, keep: async () => true, release: none };
  const { createApi } = await importModule("api.ts");
  const api = createApi({ env: { ...ENV, SYNC_DEADLINE_MS: "2000" }, staging });
  const send = async (changes, sub = USER) => {
    const body = { request: fields(changes), image: file(PIXEL) };
    return (await api(await post("https://edge.example/api/sync", body, sub))).status;
  };
  const other = USER.replace(/a$/, "b");
  assert.deepEqual(await Promise.all([send({}), send({}, other), send({})]), [202, 202, 202]);
  assert.equal(await send({}), 202);
  supabase.hangs = false;
  assert.equal(await send({}), 202, "nobody tries yet");
  const { now } = Date;
  t.mock.method(Date, "now", () => now() + 5_000);
  assert.equal(await send({ imageId: id }), 409);
  assert.equal(await send({}), 201);
});

test("a_body_in_pieces_that_the_host_did_not_make_for_byob_is_read", async (t) => {
  standIn(t, arrives);
  const api = createApi({ env: ENV });
  const whole = await post("https://edge.example/api/sync");
  const bytes = new Uint8Array(await whole.clone().arrayBuffer());
  const pieces = new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 100) controller.enqueue(bytes.subarray(at, at + 100));
      controller.close();
    },
  });
  const request = new Request(whole.url, { method: "POST", headers: whole.headers, body: pieces, duplex: "half" });
  assert.equal((await api(request)).status, 201);
});

test("a_host_may_count_requests_and_is_told_of_work_that_outlives_an_answer", async (t) => {
  standIn(t, arrives);
  const counted = [];
  const kept = [];
  const isOverRate = async ({ id }) => counted.push(id) > 1;
  const api = createApi({ env: ENV, isOverRate });
  const context = { waitUntil: (work) => kept.push(work) };
  assert.equal((await api(await post("https://edge.example/api/sync"), context)).status, 201);
  const second = await api(await post("https://edge.example/api/sync"), context);
  assert.deepEqual([second.status, second.headers.get("retry-after")], [429, "10"]);
  assert.deepEqual(counted, [USER, USER]);
  assert.equal(kept.length, 1);
});

test("a_setting_that_is_no_good_is_told_to_the_log_and_not_to_the_caller", async (t) => {
  standIn(t, arrives);
  const api = createApi({ env: { ...ENV, BASE_PATH: "https://edge.example" } });
  const answer = await api(new Request("https://edge.example/api/health"));
  assert.equal(answer.status, 500);
  assert.equal((await answer.json()).code, "misconfigured");
  assert.match(console.log.mock.calls[0].arguments[0], /BASE_PATH is no path/);
});

test("HEAD_is_answered_as_GET_without_a_body", async (t) => {
  standIn(t, () => new Response());
  const answer = await createApi({ env: ENV })(new Request("https://edge.example/api/health", { method: "HEAD" }));
  assert.deepEqual([answer.status, answer.body], [200, null]);
});

test("what_is_not_in_the_folder_cloudflare_knows_nothing_of_it", async () => {
  const files = (await readdir(ROOT)).filter((name) => name.endsWith(".ts"));
  assert.ok(files.length > 20);
  for (const name of files) {
    const text = await readFile(new URL(name, ROOT), "utf8");
    const found =
      /["'](?:\.\/)?cloudflare[/:]|\bR2[A-Z]|\bQueue|RateLimit\b|ExportedHandler|ExecutionContext|\bscheduler\b/;
    assert.doesNotMatch(text, found, name);
  }
  // Its types are no part of the project that all of these are checked by.
  assert.match(await readFile(new URL("../tsconfig.json", ROOT), "utf8"), /"types": \[\]/);
});
