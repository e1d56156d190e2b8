// The Worker in workerd before an embedded Supabase, with everything recorded that passes between them.
import { readFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { createClient } from "@supabase/supabase-js";
import { SignJWT } from "jose";
import { startWorker } from "../../www/local/worker.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { until } from "../support/until.mjs";
import { waitFor } from "../support/waiting.mjs";

export const BUCKET = "imagen-generated";
export const PNG = readFileSync(new URL("../data/lighthouse.png", import.meta.url));

/** One pixel. */
export const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
  "base64",
);

/** Nothing has to be in time, however busy the machine is, but where a test is about that. */
const PATIENT = { SYNC_DEADLINE_MS: "60000" };

/** More than any test asks for, but the one of the limit. */
const UNLIMITED = { limit: 1_000_000, period: 60 };

/**
 * @param {Record<string, string | undefined>} [bindings] beside the usual ones; `undefined` leaves one out. Or a function that makes
 *   them of the Supabase that has been started
 * @param {Partial<Parameters<typeof startWorker>[0]> & { targetOf?: (url: string) => string }} [options] of the Worker;
 *   `targetOf` is how the project's URL is set
 */
export async function startBench(bindings = {}, { targetOf = (url) => url, ...options } = {}) {
  const supabase = await startEmbedded();
  const front = await startFront(supabase.url);
  const logs = [];
  const all = {
    ...PATIENT,
    SUPABASE_URL: targetOf(front.url),
    SUPABASE_SERVICE_KEY: supabase.serviceKey,
    SUPABASE_JWT_SECRET: supabase.jwtSecret,
    ...(typeof bindings === "function" ? bindings(supabase) : bindings),
  };
  const set = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  const log = (line) => logs.push(line);
  // No test is about how many messages come at once.
  const worker = await startWorker({ bindings: set, log, rateLimit: UNLIMITED, batchTimeout: 0, ...options });
  const admin = createClient(supabase.url, supabase.serviceKey, { auth: { persistSession: false } });
  return {
    supabase,
    front,
    logs,
    admin,
    worker,
    url: worker.url,
    call: (path, init) => call(worker.url + path, init),
    post: (token, parts, headers) => post(`${worker.url}/api/sync`, token, parts, headers),
    /** A request with a JSON body. */
    send: (path, token, json) => sendJson(worker.url + path, token, json),
    /** Once all is in `logs` that was logged before: it comes on a way of its own, in its order, and may be later than answers. */
    async allLogged() {
      const { headers } = await call(`${worker.url}/api/nothing`);
      const isIts = (line) => line.includes(headers.get("x-request-id"));
      await until(() => logs.some(isIts), "the log's line of a request");
      logs.splice(logs.findIndex(isIts), 1);
    },
    /** Everything that is stored: equal before and after means that nothing was written. */
    snapshot: () => snapshot(supabase),
    async close() {
      await waitFor("workerd's end", worker.close());
      await waitFor("the front's end", front.close());
      await supabase.close();
    },
  };
}

/** On a connection of its own: workerd closes one without a word when too long a body was answered unread. */
function call(url, { headers, ...init } = {}) {
  return fetch(url, { ...init, headers: { ...headers, connection: "close" } });
}

/** A request as a page makes it; `parts` overrides its parts, and leaves out what is null. */
async function post(url, token, parts = {}, headers = {}) {
  const form = new FormData();
  for (const [name, part] of Object.entries({ request: fields(), image: file(PIXEL), ...parts })) {
    if (part instanceof Blob) form.append(name, part);
    else if (part !== null) form.append(name, typeof part === "string" ? part : JSON.stringify(part));
  }
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return call(url, { method: "POST", ...(await encode(form, { ...authorization, ...headers })) });
}

function sendJson(url, token, json) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  return call(url, { method: "POST", body: typeof json === "string" ? json : JSON.stringify(json), headers });
}

/** Uploads what a ticket is for, by one PUT. */
export function putUpload({ uploadUrl }, bytes, mimeType = "image/png") {
  return fetch(uploadUrl, { method: "PUT", body: bytes, headers: { "content-type": mimeType } });
}

/** Body and headers of a form, in one piece: fetch sends a form bit by bit, and trips over an answer on the way. */
export async function encode(form, headers) {
  const encoded = new Response(form);
  const type = encoded.headers.get("content-type");
  return { body: await encoded.arrayBuffer(), headers: { "content-type": type, ...headers } };
}

export function fields(changes = {}) {
  return { date: "2026-05-11", slug: "lighthouse", seed: 42, prompt: "a lighthouse", backend: "test", ...changes };
}

export function file(bytes, { name = "image.png", type = "image/png" } = {}) {
  return new File([bytes], name, { type });
}

/** A token as Supabase's Auth makes it, but for `changes`; a claim set to undefined is left out. */
export function mint(key, { alg = "HS256", kid, ...changes } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { aud: "authenticated", role: "authenticated", iat: now, exp: now + 600, ...changes };
  const header = { alg, typ: "JWT", ...(kid === undefined ? {} : { kid }) };
  const secret = typeof key === "string" ? new TextEncoder().encode(key) : key;
  return new SignJWT(JSON.parse(JSON.stringify(claims))).setProtectedHeader(header).sign(secret);
}

/** An image of that many bytes: a pixel, and what follows a PNG's end. */
export function pngOf(size) {
  return Buffer.concat([PIXEL, Buffer.alloc(size - PIXEL.length, 7)]);
}

async function snapshot({ sql }) {
  const rows = await sql("select * from imagen.images order by id");
  // Reading is no writing: last_accessed_at doesn't count.
  const objects = await sql("select id, name, version, owner_id, metadata from storage.objects order by name");
  return JSON.stringify({ rows, objects }, (_, value) => (typeof value === "bigint" ? String(value) : value));
}

/**
 * Stands where the Supabase project is: passes everything on, remembers it, and publishes the keys in `front.jwks`,
 * as Auth does. `front.down` makes it answer 503, `front.hangs` not at all, `front.lose(request)` says whose answers get lost, and
 * `front.before(request, response)` may do something while a request waits, or answer it.
 */
export async function startFront(target) {
  const { hostname, port } = new URL(target);
  const front = { jwks: { keys: [] }, down: false, hangs: false, lose: undefined, before: undefined, requests: [] };
  const server = createServer(async (request, response) => {
    const { method, url: path, headers } = request;
    front.requests.push({ method, path });
    if (front.hangs) return request.resume();
    if (front.down) return request.resume().on("end", () => response.writeHead(503).end("down"));
    if (path.endsWith("/jwks.json")) return response.end(JSON.stringify(front.jwks));
    const lost = front.lose?.({ method, path }) ?? false;
    await front.before?.({ method, path, headers }, response);
    if (response.writableEnded) return request.resume();
    const onward = httpRequest({ hostname, port, method, path, headers }, (answer) => {
      if (lost) return answer.resume().on("end", () => response.destroy());
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  front.url = `http://127.0.0.1:${server.address().port}`;
  front.close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return front;
}

/** A request's first lines, as they go over the line. */
export const headOf = (lines) => `${[...lines, "Host: localhost"].join("\r\n")}\r\n\r\n`;

/** The statuses of the answers to a request, and to a second one on the same line. */
export function exchange(url, lines, body) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(port), hostname, () => {
      socket.write(headOf(lines));
      socket.write(body);
      socket.end("GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    });
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))));
  });
}
