// A Supabase project in memory, for the tests of those who use this package. It answers as the real servers do, as far as the
// package asks them: docs/contract.md says how that is. What it does not know it answers with 501.

import { uuid } from "../uuid.js";
import { answer, json, Refusal } from "./answers.js";
import { answerDatabase } from "./database.js";
import { answerStorage } from "./storage.js";

const KEY = "sb_publishable_of-a-fake-project";
const SECRET_KEY = "sb_secret_of-a-fake-project";
const HOWS = ["status", "unreachable", "answer-lost", "hanging"];

/** @param {import("./index.d.ts").FakeProjectOptions} [options] @returns {import("./index.d.ts").FakeProject} */
export function createFakeProject({ url = "https://fake.supabase.co", ...names } = {}) {
  const project = {
    url,
    names: { bucket: "imagen-generated", schema: "imagen", table: "images", ...names },
    rows: [],
    objects: new Map(),
    uploads: new Map(),
    links: new Map(),
    lastMicros: 0,
    users: new Map(),
    requests: [],
    faults: [],
    sizeLimit: 104_857_600,
    types: ["image/png", "image/jpeg", "image/webp", "image/avif", "image/gif"],
    roleOf: (headers) => roleOf(project, headers),
  };
  const createUser = () => makeUser(project);
  const user = createUser();
  const optionsOf = ({ id, accessToken }) => ({
    ...{ url, apiKey: KEY, fetch, ...project.names },
    ...{ ownerUserId: id, pathPrefix: id, accessToken },
  });
  const fetch = (input, init) => serve(project, input, init);
  return {
    fetch,
    user,
    createUser,
    options: optionsOf(user),
    optionsOf,
    serverOptions: { url, apiKey: SECRET_KEY, fetch, ...project.names, ownerUserId: user.id, pathPrefix: user.id },
    rows: project.rows,
    objects: project.objects,
    requests: project.requests,
    fail: (fault) => addFault(project, fault),
    clear() {
      for (const kept of [project.rows, project.requests, project.faults]) kept.length = 0;
      for (const kept of [project.objects, project.uploads, project.links]) kept.clear();
    },
  };
}

/** A user with a token that looks like one, and is good until `expire`. */
function makeUser(project) {
  const id = uuid();
  const part = (value) => btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  let round = 0;
  const sign = () => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { sub: id, role: "authenticated", aud: "authenticated", iat: now, exp: now + 3600, round: round++ };
    return `${part({ alg: "none", typ: "JWT" })}.${part(claims)}.${part("not signed")}`;
  };
  const known = { id, token: sign() };
  project.users.set(id, known);
  return {
    id,
    accessToken: () => known.token,
    /** The token that was given out is refused from now on; the next one is good. */
    expire() {
      known.token = sign();
    },
  };
}

/** Whose a request is; what a gateway, Storage or PostgREST would refuse is thrown. */
function roleOf({ users }, headers) {
  const key = headers.get("apikey");
  const bearer = headers.get("authorization")?.replace(/^bearer /i, "") ?? key;
  if (key !== KEY && key !== SECRET_KEY) throw new Refusal("key");
  if (bearer === key) return { role: key === SECRET_KEY ? "service" : "anon" };
  const user = [...users.values()].find(({ token }) => token === bearer);
  if (user === undefined) throw new Refusal("token");
  return { role: "user", id: user.id };
}

function addFault(project, { on, path = "", how = "status", times = 1, status = 503, body, headers }) {
  if (!HOWS.includes(how)) throw new TypeError(`how must be one of ${HOWS.join(", ")}`);
  const fault = { on, path, how, left: times, status, body, headers };
  project.faults.push(fault);
  return () => {
    fault.left = 0;
  };
}

async function serve(project, input, given) {
  const init = await initOf(input, given);
  const request = await read(input, init);
  const asked = { method: request.method, target: request.target, kind: kindOf(request), bytes: request.body.length };
  project.requests.push(asked);
  init.signal?.throwIfAborted();
  if (request.origin !== new URL(project.url).origin) throw new TypeError(`no such host: ${request.origin}`);
  const fault = project.faults.find(
    ({ on, path, left }) => left > 0 && (on === undefined || on === asked.kind) && mentions(project, request, path),
  );
  if (fault) fault.left -= 1;
  if (fault?.how === "unreachable") throw new TypeError("fetch failed");
  if (fault?.how === "hanging") return new Promise((_, reject) => whenAborted(init.signal, reject));
  const answered = fault?.how === "status" ? planned(fault) : await route(project, request);
  asked.status = answered.status;
  if (fault?.how === "answer-lost") throw new TypeError("fetch failed");
  return answered;
}

/** What is asked: what a `Request` says, and what is said beside it in its place. */
async function initOf(input, given) {
  if (typeof input?.arrayBuffer !== "function") return given ?? {};
  const { method, headers, signal } = input;
  return { method, headers, signal, body: given?.body ?? (await input.arrayBuffer()), ...given };
}

async function read(input, { method = "GET", headers: given, body }) {
  const headers = new Headers(given);
  const url = new URL(typeof input === "string" ? input : (input.url ?? input.href));
  return {
    method: method.toUpperCase(),
    origin: url.origin,
    path: url.pathname,
    query: url.searchParams,
    target: `${url.pathname}${url.searchParams.has("token") ? "" : url.search}`,
    headers,
    body: await bytesOf(await withoutForm(body, headers)),
  };
}

/** supabase-js sends a Blob as a form: Storage takes the form's file, with the file's own type. */
async function withoutForm(body, headers) {
  const isWritten = headers.get("content-type")?.startsWith("multipart/form-data");
  const form = isWritten ? await new Response(await bytesOf(body), { headers }).formData() : body;
  // An environment in a test may have a `FormData` of its own.
  if (typeof form?.getAll !== "function") return body;
  const file = [...form.values()].find((value) => typeof value !== "string");
  if (file === undefined) return String(form);
  headers.set("content-type", file.type || "application/octet-stream");
  if (form.has("cacheControl")) headers.set("cache-control", `max-age=${form.get("cacheControl")}`);
  return file;
}

async function bytesOf(body) {
  if (body === undefined || body === null) return new Uint8Array();
  if (typeof body === "string") return new TextEncoder().encode(body);
  if (typeof body.arrayBuffer === "function") return new Uint8Array(await body.arrayBuffer());
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice();
  return new Uint8Array(body).slice();
}

/** What a request is for, as faults name it. */
function kindOf({ method, path }) {
  if (path.startsWith("/rest/v1/rpc/")) return "other";
  if (path.startsWith("/rest/v1/")) return { POST: "insert", GET: "read", DELETE: "remove" }[method] ?? "other";
  if (path.startsWith("/storage/v1/upload/resumable")) return "resumable";
  if (/^\/storage\/v1\/object\/sign\//.test(path)) return method === "POST" ? "sign" : "download";
  if (/^\/storage\/v1\/object\//.test(path))
    return { POST: "upload", PUT: "upload", DELETE: "remove" }[method] ?? "download";
  return "other";
}

/** Whether a request is about a storage path, by its address, its row, or its upload. */
function mentions({ uploads }, { path, headers, body }, text) {
  if (text === "") return true;
  const upload = uploads.get(path.split("/").at(-1));
  const metadata = (headers.get("upload-metadata") ?? "").split(",").map((pair) => pair.trim().split(" ")[1] ?? "");
  const names = [decodeURIComponent(path), upload?.name ?? "", ...metadata.map((value) => atob(value))];
  const isText = headers.get("content-type")?.includes("json");
  return [...names, isText ? new TextDecoder().decode(body) : ""].some((name) => name.includes(text));
}

function planned({ status, body = { message: "ordered by the test" }, headers }) {
  return json(status, body, headers);
}

function whenAborted(signal, reject) {
  signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
}

async function route(project, request) {
  const isDatabase = request.path.startsWith("/rest/v1/");
  try {
    if (isDatabase) return answerDatabase(project, request);
    if (request.path.startsWith("/storage/v1/")) return answerStorage(project, request);
    return answer(501, `a fake project does not know ${request.method} ${request.path}`);
  } catch (error) {
    if (error instanceof Refusal) return error.toResponse(isDatabase);
    throw error;
  }
}
