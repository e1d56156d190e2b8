// The instant server, a process of its own: answers as Storage and PostgREST do, as soon as it has the request, and
// serves the bench's page from the same origin.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { bundle } from "./host.mjs";

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
export { PostgrestClient } from "@supabase/postgrest-js";`;

/** Bundled when it is first asked for. */
let bundled;
const peersBundle = () => {
  bundled ??= bundle(peers);
  return bundled;
};
const asked = new Map();
const uploads = [];

const server = createServer(async (request, response) => {
  try {
    const { status = 200, type = "application/json", headers = {}, body = "" } = await answer(request);
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
    response.writeHead(500).end(String(error?.stack ?? error));
  }
});

async function answer(request) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname.startsWith("/storage/v1/upload/resumable")) return resumed(request, pathname);
  if (pathname.startsWith("/storage/v1/object/")) {
    await drained(request);
    const Key = decodeURIComponent(pathname.slice("/storage/v1/object/".length));
    return { body: JSON.stringify({ Key, Id: "0ce4b621-b37b-4057-a96f-40d837b0a8d7" }) };
  }
  if (pathname.startsWith("/rest/v1/")) return { status: 201, body: `[${await text(request)}]` };
  if (pathname.startsWith("/tell/")) return { body: await told(pathname.slice("/tell/".length), await text(request)) };
  if (pathname === "/page") return { type: types[".html"], body: page };
  if (pathname === "/peers.js") return { type: types[".js"], body: await peersBundle() };
  if (/^\/(pkg|benches)\//.test(pathname)) {
    return { type: types[extname(pathname)], body: await readFile(new URL(`.${pathname}`, root)) };
  }
  return { status: 404, type: "text/plain", body: `nothing at ${pathname}` };
}

/** TUS 1.0.0 with creation-with-upload; of the bytes only the count is kept. */
async function resumed(request, path) {
  const isNew = request.method === "POST";
  const id = isNew ? uploads.length : Number(path.split("/").at(-1));
  if (isNew) uploads.push({ offset: 0, length: Number(request.headers["upload-length"]) });
  const upload = uploads[id];
  if (!upload) return { status: 404, type: "text/plain", body: "no such upload" };
  upload.offset += await drained(request);
  return {
    status: isNew ? 201 : 204,
    headers: {
      "tus-resumable": "1.0.0",
      "upload-offset": upload.offset,
      ...(isNew && { location: `http://${request.headers.host}/storage/v1/upload/resumable/${id}` }),
      ...(upload.offset === upload.length && { "tus-complete": "1" }),
    },
  };
}

async function drained(request) {
  let bytes = 0;
  for await (const chunk of request) bytes += chunk.length;
  return bytes;
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
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));
