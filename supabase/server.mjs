// The embedded backend's HTTP side: one server that hands resumable uploads to @tus/server and everything
// else to @supabase/lite, and answers browsers' preflights as a project's gateway does.

import { once } from "node:events";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { invalidKey } from "./storage-errors.mjs";

const ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const ALLOWED_HEADERS = [
  "accept-profile",
  "apikey",
  "authorization",
  "cache-control",
  "content-profile",
  "content-type",
  "prefer",
  "range",
  "tus-extension",
  "tus-max-size",
  "tus-resumable",
  "tus-version",
  "upload-checksum",
  "upload-concat",
  "upload-defer-length",
  "upload-length",
  "upload-metadata",
  "upload-offset",
  "x-client-info",
  "x-metadata",
  "x-signature",
  "x-supabase-api-version",
  "x-upsert",
].join(", ");
// Not Retry-After, Upload-Expires or Tus-Complete: a browser cannot read them from the real servers either.
const EXPOSED_HEADERS =
  "Content-Range, Content-Location, Preference-Applied, Location, Upload-Offset, Upload-Length, Tus-Resumable";

/**
 * Serves until it is closed. What is still being answered then loses its connection, but not the database under its feet:
 * closing waits for it, up to a limit.
 * @param {{ fetch: (request: Request) => Promise<Response>, resumable: (request: Request) => Promise<Response>,
 *   host: string, port: number, closingLimitMs: number }} options port 0 takes a free one
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function serve({ fetch, resumable, host, port, closingLimitMs }) {
  const answering = new Set();
  const server = createServer((incoming, outgoing) => {
    const answered = answer(incoming, outgoing, { fetch, resumable })
      .catch((error) => fail(outgoing, error))
      .finally(() => answering.delete(answered));
    answering.add(answered);
  });
  // An upload may take as long as it takes.
  server.requestTimeout = 0;
  await listen(server, port, host);
  return {
    url: `http://${host}:${server.address().port}`,
    close: () => close(server, answering, closingLimitMs),
  };
}

function listen(server, port, host) {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const taken = error.code === "EADDRINUSE";
      reject(taken ? new Error(`port ${port} is taken: choose another with --port, or end what listens there`) : error);
    });
    server.listen(port, host, resolve);
  });
}

async function close(server, answering, limitMs) {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
  let timer;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([Promise.all(answering), patience]);
  clearTimeout(timer);
}

async function answer(incoming, outgoing, { fetch, resumable }) {
  outgoing.setHeader("Access-Control-Allow-Origin", "*");
  outgoing.setHeader("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  if (incoming.method === "OPTIONS" && incoming.headers["access-control-request-method"] !== undefined) {
    return answerPreflight(outgoing);
  }
  if (hasDotSegment(incoming.url)) return send(invalidKey(incoming.url).toResponse(), incoming, outgoing);
  const request = toRequest(incoming, outgoing);
  const { pathname } = new URL(request.url);
  const handle = /^\/storage\/v1\/upload\/resumable(\/|$)/.test(pathname) ? resumable : fetch;
  await send(await handle(request), incoming, outgoing);
}

/** A Request resolves `.` and `..`, escaped or not; the real Storage server sees and refuses them. */
function hasDotSegment(target) {
  return /^\/storage\/v1\/object\/([^?]*\/)?(\.|%2e){1,2}(\/|\?|$)/i.test(target);
}

function answerPreflight(outgoing) {
  outgoing.setHeader("Access-Control-Allow-Methods", ALLOWED_METHODS);
  outgoing.setHeader("Access-Control-Allow-Headers", ALLOWED_HEADERS);
  outgoing.setHeader("Access-Control-Max-Age", "86400");
  outgoing.writeHead(204).end();
}

function toRequest(incoming, outgoing) {
  const gone = new AbortController();
  outgoing.once("close", () => outgoing.writableFinished || gone.abort());
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
  }
  const hasBody = incoming.method !== "GET" && incoming.method !== "HEAD";
  return new Request(`http://${incoming.headers.host ?? "localhost"}${incoming.url}`, {
    method: incoming.method,
    headers,
    body: hasBody ? Readable.toWeb(incoming) : undefined,
    duplex: "half",
    signal: gone.signal,
  });
}

async function send(response, incoming, outgoing) {
  for (const [name, value] of response.headers) {
    if (!name.startsWith("access-control-")) outgoing.setHeader(name, value);
  }
  outgoing.writeHead(response.status);
  // An answer that ends the connection, while its request is still being sent, would be lost with it.
  if (response.headers.get("connection") === "close") await answerThenDrain(response, incoming, outgoing);
  else if (response.body === null) outgoing.end();
  else await pipeline(Readable.fromWeb(response.body), outgoing);
}

async function answerThenDrain(response, incoming, outgoing) {
  const body = Buffer.from(await response.arrayBuffer());
  if (body.length > 0) outgoing.write(body);
  else outgoing.flushHeaders();
  incoming.removeAllListeners("data");
  incoming.resume();
  if (!incoming.readableEnded && !incoming.destroyed) await once(incoming, "close").catch(() => {});
  outgoing.end();
}

function fail(outgoing, error) {
  // A client that went away is told nothing.
  if (outgoing.destroyed || outgoing.socket?.destroyed) return;
  console.error("embedded Supabase:", error);
  if (outgoing.headersSent) outgoing.destroy();
  else outgoing.writeHead(500, { "content-type": "application/json" }).end('{"message":"internal error"}');
}
