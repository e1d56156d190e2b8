// Resumable uploads (TUS 1.0.0) at /storage/v1/upload/resumable for the embedded backend, which has none:
// @tus/server, the library inside the real Storage server, with the real server's rules around it.
//
// An upload's URL ends in the base64url of `{tenant}/{bucket}/{key}/{version}`. A finished upload is an
// ordinary object, with that version. Past the JWT check errors are real statuses with text bodies.

import { randomUUID } from "node:crypto";
import { access, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";
import { jwtVerify } from "jose";
import { authenticate } from "./authenticate.mjs";
import { checkKey } from "./contract.mjs";
import { EvictingLocker } from "./eviction.mjs";
import { StorageError } from "./storage-errors.mjs";

const ROUTE = "/storage/v1/upload/resumable";
const TENANT = "local";
const ALREADY_EXISTS = { status_code: 409, body: "The resource already exists" };
const ALREADY_COMPLETED = { status_code: 400, body: "Cannot terminate an already completed upload" };
const NOT_FOUND = { status_code: 404, body: "The file for this url was not found\n" };

/**
 * @param {object} context
 * @param {import("./storage-table.mjs").StorageTable} context.table
 * @param {import("./objects.mjs").FileObjects} context.objects
 * @param {import("./keys.mjs").Keys} context.keys
 * @param {import("./locks.mjs").KeyLocks} context.locks shared with plain uploads: one writer of a key at a time
 * @param {string} context.directory for uploads that are not finished
 * @param {number} context.expiryMs how long an unfinished upload lives
 * @param {number} context.drainMs how long an evicted request may go on
 * @returns {(request: Request) => Promise<Response>}
 */
export function resumableUploads(context) {
  const uploads = new Uploads(context);
  const options = {
    path: ROUTE,
    datastore: uploads.store,
    locker: new EvictingLocker(),
    lockDrainTimeout: context.drainMs,
    respectForwardedHeaders: true,
    namingFunction: (request, metadata) => uploads.name(request, metadata),
    generateUrl: (request, parts) => uploads.url(request, parts),
    getFileIdFromRequest: (request) => uploads.version(request),
    maxSize: (request) => uploads.maxSize(request),
    onIncomingRequest: (request, version) => uploads.authorize(request, version),
    onUploadCreate: async (request) => uploads.checkMimeType(request),
    onUploadFinish: (request, upload) => uploads.finish(request, upload),
    onResponseError: (_request, error) => asText(error),
  };
  const plain = new Server({ ...options });
  const signed = new Server({ ...options, path: `${ROUTE}/sign` });
  return async (request) => {
    try {
      const isSigned = isSignedRoute(request);
      if (request.method !== "OPTIONS" && !isSigned) await uploads.identify(request);
      const isOfOne = request.method !== "OPTIONS" && request.method !== "POST";
      if (isOfOne && uploads.version(request) === undefined) return new Response("Invalid upload id", { status: 400 });
      return await (isSigned ? signed : plain).handleWeb(request);
    } catch (error) {
      if (error instanceof StorageError) return error.toResponse();
      throw error;
    }
  };
}

/** What the hooks of @tus/server do; what they learn of a request is kept beside it. */
class Uploads {
  #requests = new WeakMap();

  constructor({ table, objects, keys, locks, directory, expiryMs }) {
    Object.assign(this, { table, objects, keys, locks, directory });
    this.store = new FileStore({ directory, expirationPeriodInMilliseconds: expiryMs });
  }

  async identify(request) {
    this.#of(request).auth = await authenticate(request.headers, this.keys);
  }

  /** A new upload's id, which is its version, once its metadata names an object. */
  async name(request, metadata) {
    const { bucketName: bucket, objectName: key } = metadata ?? {};
    if (!bucket || !key) throw { status_code: 400, body: "bucketName and objectName are required in Upload-Metadata" };
    checkKey(key);
    const version = randomUUID();
    Object.assign(this.#of(request), { bucket, key, metadata });
    return version;
  }

  url(request, { proto, host, id }) {
    const { bucket, key } = this.#of(request);
    const name = Buffer.from(`${TENANT}/${bucket}/${key}/${id}`).toString("base64url");
    const port = request.headers.get("x-forwarded-port");
    const needsPort = port !== null && !host.includes(":") && port !== "80" && port !== "443";
    return `${proto}://${host}${needsPort ? `:${port}` : ""}${isSignedRoute(request) ? `${ROUTE}/sign` : ROUTE}/${name}`;
  }

  version(request) {
    const { pathname } = new URL(request.url);
    const name = Buffer.from(pathname.slice(pathname.lastIndexOf("/") + 1), "base64url").toString();
    const [, bucket, key, version] = /^[^/]+\/([^/]+)\/(.+)\/([0-9a-f-]{36})$/s.exec(name) ?? [];
    if (version === undefined) return undefined;
    Object.assign(this.#of(request), { bucket, key });
    return version;
  }

  async maxSize(request) {
    return (await this.#bucket(request)).file_size_limit ?? 0;
  }

  /** Every request again: a policy may have changed since the upload began. */
  async authorize(request, version) {
    const state = this.#of(request);
    if (request.method !== "POST") await this.#load(request, version);
    state.upsert = request.headers.get("x-upsert") === "true";
    await this.#bucket(request);
    if (isSignedRoute(request)) state.exists = await this.#checkSignature(request);
    // Whoever has a valid token may ask how far it got.
    else if (request.method !== "HEAD") state.exists = await this.#checkPolicies(request);
    if (request.method === "POST") {
      if (state.exists && !state.upsert) throw ALREADY_EXISTS;
    } else if (request.method !== "HEAD" && (await this.#isFinished(version))) {
      if (!state.upsert) throw ALREADY_EXISTS;
      if (request.method === "DELETE") throw ALREADY_COMPLETED;
    }
  }

  async checkMimeType(request) {
    const { allowed_mime_types: allowed } = await this.#bucket(request);
    const mimetype = contentType(this.#of(request).metadata);
    if (allowed?.length > 0 && !allowed.includes(mimetype)) {
      throw { status_code: 415, body: `mime type ${mimetype} is not supported` };
    }
    return {};
  }

  /** Makes the object of a received upload. */
  async finish(request, { id: version, metadata }) {
    const { bucket, key, upsert, auth, owner } = this.#of(request);
    // A PATCH after the end.
    if (await this.#isFinished(version)) return { headers: { "Tus-Complete": "1" } };
    await this.locks.run(`${bucket}/${key}`, async () => {
      const before = await this.table.find(bucket, key);
      if (before !== undefined && !upsert) throw ALREADY_EXISTS;
      const cacheControl = metadata.cacheControl ? `max-age=${metadata.cacheControl}` : "no-cache";
      const file = path.join(this.directory, version);
      const written = await this.objects.adoptFile(bucket, key, file, contentType(metadata), cacheControl);
      const ownerId = owner ?? (auth?.role === "service_role" ? null : (auth?.sub ?? null));
      await this.table.put({ bucket, key, version, owner: ownerId, metadata: { httpStatusCode: 200, ...written } });
      await writeFile(this.#finishedFile(version), "");
      // What is left of it tells its size, and takes no room.
      await writeFile(file, "");
      await truncate(file, written.size);
    });
    return { headers: { "Tus-Complete": "1" } };
  }

  #of(request) {
    if (!this.#requests.has(request)) this.#requests.set(request, {});
    return this.#requests.get(request);
  }

  /** The URL's path has to be the one the upload was made for: it is what policies are checked against. */
  async #load(request, version) {
    const upload = await this.store.configstore.get(version);
    const { bucket, key } = this.#of(request);
    if (upload?.metadata.bucketName !== bucket || upload.metadata.objectName !== key) throw NOT_FOUND;
    this.#of(request).metadata = upload.metadata;
  }

  async #bucket(request) {
    const state = this.#of(request);
    state.row ??= await this.table.bucket(state.bucket);
    if (state.row === undefined) throw { status_code: 404, body: "Bucket not found" };
    return state.row;
  }

  /** The token stands for the permission that was checked when it was made. */
  async #checkSignature(request) {
    const state = this.#of(request);
    const claims = await verifyUploadToken(request.headers.get("x-signature"), this.keys.jwtSecret);
    if (claims.bucket !== state.bucket || claims.sub !== state.key) {
      throw { status_code: 400, body: "The signature is not for this object" };
    }
    state.owner = claims.owner;
    // Not only the token's own: it can replace its object again, as on the real server.
    state.upsert ||= claims.upsert === true;
    return (await this.table.find(state.bucket, state.key)) !== undefined;
  }

  async #checkPolicies(request) {
    const { auth, bucket, key, upsert } = this.#of(request);
    const outcome = await this.table.probe({ auth, bucket, key, upsert });
    if (outcome === "refused") throw { status_code: 403, body: "new row violates row-level security policy" };
    return outcome === "exists";
  }

  #finishedFile(version) {
    return path.join(this.directory, `${version}.finished`);
  }

  #isFinished(version) {
    return access(this.#finishedFile(version)).then(
      () => true,
      () => false,
    );
  }
}

function isSignedRoute(request) {
  return new URL(request.url).pathname.startsWith(`${ROUTE}/sign`);
}

async function verifyUploadToken(token, secret) {
  try {
    const { payload } = await jwtVerify(token ?? "", new TextEncoder().encode(secret), { algorithms: ["HS256"] });
    if (payload.intent === "upload") return payload;
  } catch {
    // Answered like a token for something else.
  }
  throw { status_code: 400, body: "Invalid x-signature" };
}

function contentType(metadata) {
  return metadata?.contentType || "application/octet-stream";
}

function asText(error) {
  if (!(error instanceof StorageError)) return undefined;
  return { status_code: Number(error.body.statusCode), body: error.message };
}
