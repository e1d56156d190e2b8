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
    const method = init?.method ?? "GET";
    asked.push(`${method} ${pathname}`);
    return answer(pathname, method);
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

/** Takes what is sent, and has nothing there before. */
const arrives = (path, method) => {
  if (!path.startsWith("/rest/")) return Response.json({ Key: "x", Id: "x" });
  return method === "GET" ? Response.json([]) : Response.json([{ id: "x" }], { status: 201 });
};

test("an_image_arrives_below_any_base_path_and_nowhere_else", async (t) => {
  const asked = standIn(t, arrives);
  const api = createApi({ env: { ...ENV, BASE_PATH: "/functions/v1/imagen/" } });
  const answer = await api(await post("https://edge.example/functions/v1/imagen/api/sync"));
  assert.equal(answer.status, 201, await answer.clone().text());
  const { storagePath } = await answer.json();
  assert.equal(storagePath, `${USER}/2026-05-11/lighthouse-42.png`);
  // And beside them it is asked whether another image was there.
  assert.deepEqual(asked.toSorted(), [
    "GET /rest/v1/images",
    "POST /rest/v1/images",
    `PUT /storage/v1/object/imagen-generated/${storagePath}`,
  ]);
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
  standIn(t, arrives);
  globalThis.fetch.mock.mockImplementation(async (input, init) => {
    if (supabase.hangs) {
      return new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
    }
    const { pathname, search } = new URL(input);
    if (search.includes(id)) return Response.json([{ owner_user_id: "another", storage_path: "another/a.png" }]);
    return arrives(pathname, init?.method ?? "GET");
  });
  const none = async () => undefined;
  const staging = { find: none, findRemoval: none, keep: async () => true, release: none };
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

test("a_method_that_is_the_name_of_an_objects_member_is_none_of_a_routes", async (t) => {
  const asked = standIn(t, arrives);
  const api = createApi({ env: ENV });
  for (const method of ["constructor", "toString", "__proto__", "get", "hasOwnProperty"]) {
    const request = { url: "https://edge.example/api/health", method, headers: new Headers(), body: null };
    const answer = await api(request);
    assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "GET"], method);
  }
  assert.deepEqual(asked, []);
});

test("an_address_that_is_none_is_answered_as_a_bad_request", async (t) => {
  const asked = standIn(t, arrives);
  const api = createApi({ env: ENV });
  // Deno makes it of a header: Host: a b
  for (const url of ["http://a b/api/health", "http://[/api/health", "/api/health", ""]) {
    const answer = await api({ url, method: "GET", headers: new Headers(), body: null });
    assert.deepEqual([answer.status, (await answer.json()).code], [400, "invalid_request"], url);
  }
  assert.deepEqual(asked, []);
});

test("a_length_that_is_none_takes_no_room_that_nobody_can_give_back", async (t) => {
  standIn(t, arrives);
  const { createApi } = await importModule("api.ts");
  const api = createApi({ env: { ...ENV, BODY_WAIT_MS: "0" } });
  const send = async (length, sub = USER) => {
    const whole = await post("https://edge.example/api/sync", undefined, sub);
    if (length !== undefined) whole.headers.set("content-length", length(whole.headers.get("content-length")));
    return (await api(whole)).status;
  };
  // Two equal lengths of one request are a list in Deno.
  for (const odd of [() => "70, 70", () => "x", () => "-1", () => "1.5", () => ""]) {
    assert.ok([201, 400].includes(await send(odd)), odd());
  }
  const users = ["a", "b", "c", "d"].map((end) => USER.replace(/a$/, end));
  assert.deepEqual(await Promise.all(users.map((sub) => send(undefined, sub))), [201, 201, 201, 201]);
});

test("a_method_without_end_is_not_logged_without_end", async (t) => {
  standIn(t, arrives);
  const api = createApi({ env: ENV });
  const answer = await api(new Request("https://edge.example/api/sync", { method: "X".repeat(15_000) }));
  assert.equal(answer.status, 405);
  const [line] = console.log.mock.calls.map(({ arguments: [text] }) => text);
  assert.ok(line.length < 1_000, `${line.length} characters`);
});

test("an_allowed_origin_is_known_however_it_is_written", async (t) => {
  standIn(t, arrives);
  const api = createApi({
    env: { ...ENV, ALLOWED_ORIGINS: "https://App.Example/, http://localhost:5173 capacitor://x" },
  });
  const isLetIn = async (origin) => {
    const answer = await api(new Request("https://edge.example/api/health", { headers: { origin } }));
    return answer.headers.get("access-control-allow-origin") === origin && answer.status === 200;
  };
  for (const origin of ["https://app.example", "http://localhost:5173", "capacitor://x"])
    assert.ok(await isLetIn(origin));
  for (const origin of ["https://app.example.evil", "http://app.example", "null"]) assert.ok(!(await isLetIn(origin)));
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
