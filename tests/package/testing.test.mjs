// imagen-cloud/testing: a project in memory, for the tests of the package's users.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@supabase/supabase-js";
import { checkProject, createSink } from "imagen-cloud";
import { createOutbox, createSink as createSinkOfOutboxes } from "imagen-cloud/outbox";
import { createFakeProject } from "imagen-cloud/testing";
import { aRequest, FAST, fakeSink, PNG, rejection } from "./helpers.mjs";

test("a_fake_project_keeps_the_object_and_the_row", async (t) => {
  const { project, sink } = await fakeSink(t);
  const seed = 9223372036854775807n;
  const { storagePath, imageId } = await sink.sync(aRequest({ seed, sidecar: { sampler: "euler" } }));
  assert.equal(storagePath, `${project.user.id}/2026-05-11/lighthouse-${seed}.png`);
  const object = project.objects.get(storagePath);
  assert.deepEqual([object.bytes, object.mimeType], [PNG, "image/png"]);
  const [row] = project.rows;
  const { id, owner_user_id, seed: kept, sidecar, width } = row;
  assert.deepEqual([id, owner_user_id, kept, width], [imageId, project.user.id, seed, 320]);
  assert.deepEqual(sidecar, { sampler: "euler" });
  const shown = await project.fetch(await sink.signedUrl(storagePath));
  assert.deepEqual(new Uint8Array(await shown.arrayBuffer()), PNG);
});

test("many_images_and_their_links_come_at_once", async (t) => {
  const { project, sink } = await fakeSink(t);
  const outcomes = await sink.syncMany(Array.from({ length: 12 }, (_, seed) => aRequest({ seed: seed + 1 })));
  assert.ok(outcomes.every(({ ok }) => ok));
  assert.equal(project.rows.length, 12);
  assert.ok(project.requests.filter(({ kind }) => kind === "insert").length < 12);
  const odd = await sink.sync(aRequest({ slug: "a,b;c?d e" }));
  const urls = await sink.signedUrls([odd.storagePath, `${project.user.id}/nothing.png`]);
  assert.equal((await project.fetch(urls[0])).status, 200, "every legal character");
  assert.equal(urls[1], null);
  const one = await sink.signedUrl(odd.storagePath);
  assert.equal((await project.fetch(one)).status, 200);
});

test("the_lost_last_answer_of_a_resumable_upload_is_made_good_by_the_objects_version", async (t) => {
  const { project, sink } = await fakeSink(t, { resumableFrom: 1, chunkSize: 2 ** 24 });
  const callOff = project.fail({ on: "resumable", how: "answer-lost", times: 2, path: "lighthouse" });
  const { storagePath } = await sink.sync(aRequest());
  callOff();
  assert.deepEqual(project.objects.get(storagePath).bytes, PNG);
});

test("a_large_image_goes_in_pieces_and_resumes_after_a_lost_answer", async (t) => {
  const { project, sink } = await fakeSink(t, { resumableFrom: 1, chunkSize: 16_384 });
  project.fail({ on: "resumable", how: "answer-lost", path: "lighthouse" });
  project.fail({ on: "resumable", how: "unreachable" });
  const { storagePath } = await sink.sync(aRequest());
  assert.deepEqual(project.objects.get(storagePath).bytes, PNG);
});

const FAULTS = {
  "an upload is refused once by a busy server": [{ on: "upload" }, undefined],
  "an insert's answer is lost": [{ on: "insert", how: "answer-lost" }, undefined],
  "the network is gone for good": [{ how: "unreachable", times: 9 }, { code: "network" }],
  "an answer that never comes": [{ on: "upload", how: "hanging", times: 9 }, { code: "deadline_exceeded" }],
  "a bucket that is full": [
    {
      on: "upload",
      status: 400,
      body: { statusCode: "413", error: "Payload too large", message: "too large", code: "EntityTooLarge" },
    },
    { code: "too_large" },
  ],
};
for (const [what, [fault, expected]] of Object.entries(FAULTS)) {
  test(`a fault can be ordered: ${what}`, async (t) => {
    const { project, sink } = await fakeSink(t);
    project.fail(fault);
    const call = () => sink.sync(aRequest(), { deadlineMs: fault.how === "hanging" ? 50 : undefined });
    if (expected) return rejection(call, expected);
    await call();
    assert.equal(project.rows.length, 1);
    assert.equal(project.objects.size, 1);
  });
}

test("a_fault_called_off_does_not_happen", async (t) => {
  const { project, sink } = await fakeSink(t, { maxRetries: 0 });
  const callOff = project.fail({ on: "upload", times: 5 });
  await rejection(() => sink.sync(aRequest()), { code: "unavailable" });
  callOff();
  await sink.sync(aRequest());
});

test("users_reach_only_what_is_theirs", async (t) => {
  const { project, sink } = await fakeSink(t);
  const { storagePath } = await sink.sync(aRequest());
  const stranger = await createSink({ ...project.optionsOf(project.createUser()), ...FAST });
  t.after(() => stranger.free());
  await rejection(() => stranger.signedUrl(storagePath), { code: "object_missing" });
  const server = await createSink({ ...project.serverOptions, ...FAST });
  t.after(() => server.free());
  await server.sync(aRequest({ slug: "by-the-server" }));
  assert.equal(project.rows.length, 2);
  project.clear();
  assert.deepEqual([project.rows.length, project.objects.size, project.requests.length], [0, 0, 0]);
});

test("the_doctor_finds_nothing_wrong_with_a_fake_project", async () => {
  const { options, serverOptions } = createFakeProject();
  const { url, apiKey, accessToken, fetch } = options;
  for (const secretKey of [undefined, serverOptions.apiKey])
    for (const token of [undefined, accessToken]) {
      const { checks } = await checkProject({ url, apiKey, secretKey, accessToken: token, fetch });
      const said = checks.filter(({ state }) => state === "wrong").map(({ message }) => message);
      assert.deepEqual(said, []);
    }
});

test("what_was_left_alone_is_listed_for_a_server", async (t) => {
  const { project, sink } = await fakeSink(t);
  const { storagePath } = await sink.sync(aRequest());
  project.objects.set(`${project.user.id}/alone.png`, project.objects.get(storagePath));
  project.objects.set(`${storagePath}.thumb`, project.objects.get(storagePath));
  project.rows.push({ ...project.rows[0], id: crypto.randomUUID(), storage_path: "gone.png" });
  const { url, apiKey, fetch } = project.serverOptions;
  const list = async (older_than) => {
    const headers = { apikey: apiKey, "content-profile": "imagen", "content-type": "application/json" };
    const asked = { method: "POST", headers, body: JSON.stringify({ older_than }) };
    return (await fetch(`${url}/rest/v1/rpc/orphaned_objects`, asked)).json();
  };
  const left = (await list("0 hours")).map(({ kind, storage_path }) => `${kind} ${storage_path}`);
  assert.deepEqual(left, [`object ${project.user.id}/alone.png`, "row gone.png"]);
  assert.deepEqual(await list("1 hour"), []);
  assert.equal(project.requests.at(-1).kind, "other", "no insert, which a fault would be ordered for");
});

test("a_request_may_come_as_a_Request", async (t) => {
  const { project, sink } = await fakeSink(t);
  const { storagePath } = await sink.sync(aRequest());
  const { url, apiKey, accessToken, fetch } = project.options;
  const headers = { apikey: apiKey, authorization: `Bearer ${accessToken()}`, "content-type": "image/png" };
  const address = `${url}/storage/v1/object/imagen-generated/${storagePath}`;
  const answered = await fetch(new Request(address, { method: "PUT", headers, body: "bytes" }));
  assert.equal(answered.status, 200);
  assert.equal(new TextDecoder().decode(project.objects.get(storagePath).bytes), "bytes");
  const stopped = new Request(address, { headers, signal: AbortSignal.abort() });
  await assert.rejects(() => fetch(stopped), { name: "AbortError" });
});

test("an_expired_token_is_refreshed_once", async (t) => {
  const { project, sink } = await fakeSink(t);
  const old = project.options.accessToken();
  project.user.expire();
  await sink.sync(aRequest());
  const stale = await createSink({ ...project.options, accessToken: () => old, ...FAST });
  t.after(() => stale.free());
  await rejection(() => stale.sync(aRequest()), { code: "unauthorized" });
});

test("no_token_and_no_key_is_kept_of_a_request", async (t) => {
  const { project, sink } = await fakeSink(t);
  await project.fetch(await sink.signedUrl((await sink.sync(aRequest())).storagePath));
  const told = JSON.stringify(project.requests);
  assert.doesNotMatch(told, /sb_|eyJ|token=/);
  assert.equal(project.requests.at(-1).kind, "download");
});

test("supabase_js_beside_the_package_uploads_what_it_is_given", async (t) => {
  const { project, sink } = await fakeSink(t);
  const { url, apiKey, fetch, accessToken } = project.options;
  const client = createClient(url, apiKey, { global: { fetch }, accessToken: async () => accessToken() });
  const bucket = client.storage.from("imagen-generated");
  const blob = new Blob([PNG], { type: "image/png" });
  const form = new FormData();
  form.append("any", blob);
  const bodies = { blob, form, buffer: PNG };
  for (const [name, body] of Object.entries(bodies)) {
    const path = `${project.user.id}/${name}.png`;
    const options = { contentType: "image/png", cacheControl: "60" };
    assert.equal((await bucket.upload(path, body, options)).error, null, name);
    const { bytes, mimeType, cacheControl } = project.objects.get(path);
    assert.deepEqual([bytes, mimeType, cacheControl], [PNG, "image/png", "max-age=60"], name);
    assert.equal((await bucket.upload(path, body, options)).error?.message, "The resource already exists", name);
    assert.equal((await bucket.update(path, body, options)).error, null, name);
    const { data } = await bucket.download(path);
    assert.deepEqual(new Uint8Array(await data.arrayBuffer()), PNG, name);
  }
  assert.match(await sink.signedUrl(`${project.user.id}/form.png`), /token=/);
  const text = await bucket.upload(`${project.user.id}/a.txt`, new Blob(["a"], { type: "text/plain" }));
  assert.match(text.error.message, /mime type text\/plain is not supported/);
});

test("an_outbox_says_plainly_that_it_needs_a_browser", async (t) => {
  const sink = await createSinkOfOutboxes(createFakeProject().options);
  t.after(() => sink.free());
  const error = await rejection(() => createOutbox(sink), { code: "storage_unavailable" });
  assert.match(error.message, /Web Locks are missing/);
  assert.match(error.message, /jsdom|test/);
});

const inPlace = (set) => `
  import { ${set.name} } from "${set.module}";
  ${set.code}
  const { createSink } = await import("imagen-cloud");
  const { createFakeProject } = await import("imagen-cloud/testing");
  const project = createFakeProject();
  const sink = await createSink(project.options);
  const image = new Blob([new Uint8Array([0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 1, 0, 1, 0])]);
  const about = { date: "2026-05-11", slug: "dot", seed: 1, prompt: "a dot", backend: "test" };
  const { storagePath } = await sink.sync({ ...about, image });
  console.log(project.objects.get(storagePath).bytes.length, project.rows.length);
  process.exit(0);
`;
/** What vitest's environments leave of the two: their window's names over Node's. */
const PLACES = {
  jsdom: {
    name: "JSDOM",
    module: "jsdom",
    code: `const { window } = new JSDOM("", { url: "http://localhost" });
      for (const name of ["window", "document", "Blob", "File", "FormData", "XMLHttpRequest", "Event"])
        Object.defineProperty(globalThis, name, { value: window[name], configurable: true });`,
  },
  "happy-dom": {
    name: "Window",
    module: "happy-dom",
    code: `const window = new Window({ url: "http://localhost" });
      for (const name of ["window", "document", "Blob", "File", "FormData", "Headers", "Request", "Response"])
        Object.defineProperty(globalThis, name, { value: window[name], configurable: true });`,
  },
};
for (const [place, set] of Object.entries(PLACES)) {
  test(`a fake project works under ${place}`, async () => {
    const cwd = fileURLToPath(new URL("../../", import.meta.url));
    const args = ["--input-type=module", "--eval", inPlace(set)];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd });
    assert.equal(stdout.trim(), "10 1");
  });
}
