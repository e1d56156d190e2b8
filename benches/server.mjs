// The benches' server, a process of its own: answers as Storage and PostgREST do, as soon as it has the request, and
// serves the bench's page from the same origin. Its settings, JSON: `answerAfterMs`, how much later it answers each of
// those requests; `http2`, a key and a certificate; `cutEvery`, after how many bytes of an upload in pieces it loses the
// connection and what the request brought; `rows`, how many a list has.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import { extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundle } from "./host.mjs";

const { answerAfterMs = 0, http2, cutEvery = Number.POSITIVE_INFINITY, rows = 1 } = JSON.parse(process.argv[2]);
const root = new URL("../", import.meta.url);
const types = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};

/** Runs a module's default export and tells what comes of it. */
const page = `<!doctype html><meta charset="utf-8"><title>bench</title><script type="module">
const given = new URLSearchParams(location.search);
const tell = async (name, value) =>
  (await fetch("/tell/" + name, { method: "POST", body: JSON.stringify(value ?? null) })).json();
try {
  const { default: run } = await import("/benches/" + given.get("module"));
  await tell("result", await run({ ...JSON.parse(given.get("parameters")), url: location.origin, tell }));
} catch (error) {
  await tell("failed", String(error?.stack ?? error));
}
</script>`;

const peers = `
export { createClient } from "@supabase/supabase-js";
export { StorageClient } from "@supabase/storage-js";
export { PostgrestClient } from "@supabase/postgrest-js";
export { Upload } from "tus-js-client";`;

const outboxPeers = `
export { Queue } from "workbox-background-sync";
export { Uppy } from "@uppy/core";
export { default as GoldenRetriever } from "@uppy/golden-retriever";`;

/** Bundled when it is first asked for. */
const bundles = new Map();
const bundled = (source) => {
  if (!bundles.has(source)) bundles.set(source, bundle(source));
  return bundles.get(source);
};
const listed = JSON.stringify(
  Array.from({ length: rows }, (_, index) => ({
    id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    created_at: "2026-05-11T08:00:00.123456+00:00",
    owner_user_id: "7d6f2b8e-1111-4222-8333-444455556666",
    storage_path: `2026-05-11/lighthouse-${index}.png`,
    ...{ prompt: "a lighthouse in a storm, oil on canvas", prompt_hash: "8b0d6f", backend: "bench", model: "none" },
    ...{ seed: String(index), steps: 30, width: 1024, height: 1024, latency_ms: null, cost_usd_estimate: null },
    sidecar: null,
  })),
);
const asked = new Map();
const uploads = [];

async function serve(request, response) {
  try {
    const given = await answer(request);
    if (!given) return; // it was cut
    const { status = 200, type = "application/json", headers = {}, body = "" } = given;
    if (answerAfterMs && /^\/(storage|rest)\//.test(request.url)) await sleep(answerAfterMs);
    const bytes = Buffer.from(body);
    response.writeHead(status, {
      "content-type": type,
      ...(status !== 204 && { "content-length": bytes.length }),
      ...headers,
      // Isolated pages have the finer clock.
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(bytes);
  } catch (error) {
    if (response.headersSent || request.destroyed) return;
    response.writeHead(500).end(String(error?.stack ?? error));
  }
}

async function answer(request) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname.startsWith("/storage/v1/upload/resumable")) return resumed(request, pathname);
  if (pathname.startsWith("/storage/v1/object/info/")) {
    return {
      status: 400,
      body: JSON.stringify({ statusCode: "404", error: "not_found", message: "Object not found" }),
    };
  }
  if (pathname.startsWith("/storage/v1/object/sign/")) {
    const { paths } = JSON.parse(await text(request));
    const sign = (path) => ({ path, error: null, signedURL: `/object/sign/imagen-generated/${path}?token=none` });
    if (paths) return { body: JSON.stringify(paths.map(sign)) };
    return { body: JSON.stringify({ signedURL: `${pathname.slice("/storage/v1".length)}?token=none` }) };
  }
  if (pathname.startsWith("/storage/v1/object/")) {
    await drained(request);
    const Key = decodeURIComponent(pathname.slice("/storage/v1/object/".length));
    return { body: JSON.stringify({ Key, Id: "0ce4b621-b37b-4057-a96f-40d837b0a8d7" }) };
  }
  if (pathname.startsWith("/rest/v1/")) {
    // Of an id that is asked for nobody knows.
    if (request.method === "GET") return { body: /[?&]id=/.test(request.url) ? "[]" : listed };
    const brought = await text(request);
    return { status: 201, body: brought.startsWith("[") ? brought : `[${brought}]` };
  }
  // What the last upload in pieces took.
  if (pathname === "/received") return { body: JSON.stringify(uploads.at(-1)?.received ?? 0) };
  if (pathname.startsWith("/tell/")) return { body: await told(pathname.slice("/tell/".length), await text(request)) };
  if (pathname === "/page") return { type: types[".html"], body: page };
  if (pathname === "/peers.js") return { type: types[".js"], body: await bundled(peers) };
  if (pathname === "/outbox-peers.js") return { type: types[".js"], body: await bundled(outboxPeers) };
  if (pathname.startsWith("/before/pkg/") && process.env.BEFORE) {
    const path = join(process.env.BEFORE, pathname.slice("/before/".length));
    return { type: types[extname(pathname)], body: await readFile(path) };
  }
  if (/^\/(pkg|benches|tests\/support)\//.test(pathname)) {
    return { type: types[extname(pathname)], body: await readFile(new URL(`.${pathname}`, root)) };
  }
  return { status: 404, type: "text/plain", body: `nothing at ${pathname}` };
}

/** TUS 1.0.0 with creation-with-upload; of the bytes only the count is kept. */
async function resumed(request, path) {
  const isNew = request.method === "POST";
  const id = isNew ? uploads.length : Number(path.split("/").at(-1));
  if (isNew) {
    uploads.push({ offset: 0, length: Number(request.headers["upload-length"]), received: 0, cutAt: cutEvery });
  }
  const upload = uploads[id];
  if (!upload) return { status: 404, type: "text/plain", body: "no such upload" };
  if (request.method === "PATCH" && Number(request.headers["upload-offset"]) !== upload.offset) {
    return { status: 409, type: "text/plain", body: "another offset" };
  }
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    upload.received += chunk.length;
    if (upload.cutAt < upload.length && upload.offset + bytes >= upload.cutAt) {
      upload.cutAt += cutEvery;
      request.socket.destroy();
      return undefined;
    }
  }
  upload.offset += bytes;
  return {
    status: isNew ? 201 : request.method === "HEAD" ? 200 : 204,
    headers: {
      "tus-resumable": "1.0.0",
      "upload-offset": upload.offset,
      "upload-length": upload.length,
      "cache-control": "no-store",
      ...(isNew && { location: `http://${request.headers.host}/storage/v1/upload/resumable/${id}` }),
      ...(upload.offset === upload.length && { "tus-complete": "1" }),
    },
  };
}

async function drained(request) {
  for await (const _ of request);
}

async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Passes on what the page tells, and answers the page with what comes back. */
function told(name, json) {
  const id = asked.size;
  return new Promise((resolve) => {
    asked.set(id, resolve);
    process.send({ id, name, value: JSON.parse(json) });
  });
}

process.on("message", ({ id, value }) => asked.get(id)?.(JSON.stringify(value)));
process.on("disconnect", () => process.exit());

// Over HTTP/2 as fast as over HTTP/1.1: Node's own windows of 64 KiB would have every request wait for the next one.
const WINDOW_BYTES = 8 * 2 ** 20;
const server = http2
  ? createSecureServer({ ...http2, settings: { initialWindowSize: WINDOW_BYTES } }, serve).on("session", (session) =>
      session.setLocalWindowSize(WINDOW_BYTES),
    )
  : createServer({ keepAliveTimeout: 60_000 }, serve);
const scheme = http2 ? "https" : "http";
server.listen(0, "127.0.0.1", () => process.send({ url: `${scheme}://127.0.0.1:${server.address().port}` }));
