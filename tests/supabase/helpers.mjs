// What the tests of the embedded Supabase share: both databases, and requests as one user or another.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, before, describe } from "node:test";
import { startEmbedded } from "../support/embedded.mjs";
import { startPostgres } from "../support/postgres.mjs";

export const BUCKET = "imagen-generated";
export const RESUMABLE = "/storage/v1/upload/resumable";
const POSTGRES_URL = process.env.IMAGEN_TEST_DATABASE_URL;

/**
 * Describes the same behaviour on PGlite and on Debian's PostgreSQL.
 * @param {string} name
 * @param {(backend: () => Backend) => void} body gets a function, since the backend starts with the tests
 * @typedef {Awaited<ReturnType<typeof startEmbedded>>} Backend
 */
export function onEveryDatabase(name, body) {
  describe(`${name}, on PGlite`, () => {
    let backend;
    before(async () => {
      backend = await startEmbedded({ databaseUrl: "" });
    });
    after(() => backend?.close());
    body(() => backend);
  });

  describe(`${name}, on PostgreSQL`, () => {
    let server;
    let backend;
    before(async () => {
      server = POSTGRES_URL ? { url: POSTGRES_URL, close: async () => {} } : await startPostgres();
      backend = await startEmbedded({ databaseUrl: server.url });
    });
    after(async () => {
      await backend?.close();
      await server?.close();
    });
    body(() => backend);
  });
}

/** Who a request is from: headers for a user, for nobody, or for the service. */
export const as = {
  user: (backend, user) => ({ apikey: backend.publishableKey, authorization: `Bearer ${user.accessToken}` }),
  anon: (backend) => ({ apikey: backend.anonKey, authorization: `Bearer ${backend.anonKey}` }),
  service: (backend) => ({ apikey: backend.serviceKey, authorization: `Bearer ${backend.serviceKey}` }),
};

/**
 * Sends a request and reads its answer whole.
 * @returns {Promise<{ status: number, headers: Headers, text: string, json: any }>}
 */
export async function send(backend, method, target, headers = {}, body = undefined) {
  const url = target.startsWith("http") ? target : `${backend.url}${target}`;
  const response = await fetch(url, { method, headers, body });
  const text = await response.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

/** Sends JSON. */
export function sendJson(backend, method, target, headers, value) {
  return send(backend, method, target, { ...headers, "content-type": "application/json" }, JSON.stringify(value));
}

export function objectUrl(key, route = "object") {
  return `/storage/v1/${route}/${BUCKET}/${key.split("/").map(encodeURIComponent).join("/")}`;
}

/** Puts an object and fails the test unless it arrived. */
export async function put(backend, key, headers, bytes = "bytes") {
  const answer = await send(backend, "PUT", objectUrl(key), { ...headers, "content-type": "image/png" }, bytes);
  assert.equal(answer.status, 200, answer.text);
  return answer;
}

/** An error of Storage: HTTP 400 with the real code in the body. */
export function assertStorageError(answer, statusCode, code) {
  assert.deepEqual(
    { status: answer.status, statusCode: answer.json?.statusCode, code: answer.json?.code },
    { status: 400, statusCode, code },
    answer.text,
  );
}

/** A row as the library sends it, owned by a user and under their folder. */
export function row(user, fields = {}) {
  const prompt = fields.prompt ?? "a lighthouse";
  return {
    owner_user_id: user.id,
    prompt,
    prompt_hash: createHash("sha256").update(prompt).digest("hex"),
    backend: "test",
    storage_path: `${user.id}/2026-05-11/${randomUUID()}.png`,
    ...fields,
  };
}

/** Inserts into imagen.images as the library does. */
export function insert(backend, headers, rows, { query = "", prefer = "return=representation" } = {}) {
  const profile = { "accept-profile": "imagen", "content-profile": "imagen", prefer };
  return sendJson(backend, "POST", `/rest/v1/images${query}`, { ...headers, ...profile }, rows);
}

export function select(backend, headers, query = "") {
  return send(backend, "GET", `/rest/v1/images${query}`, { ...headers, "accept-profile": "imagen" });
}

/** Headers of a TUS request. */
export function tus(headers, more = {}) {
  return { ...headers, "tus-resumable": "1.0.0", ...more };
}

/** Upload-Metadata for an object. */
export function uploadMetadata(key, fields = {}) {
  const all = { bucketName: BUCKET, objectName: key, contentType: "image/png", cacheControl: "3600", ...fields };
  return Object.entries(all)
    .map(([name, value]) => `${name} ${Buffer.from(value).toString("base64")}`)
    .join(",");
}
