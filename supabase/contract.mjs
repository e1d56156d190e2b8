// Where @supabase/lite's Storage answers otherwise than the real server, and what is done about it here.
//
// | request                      | lite 0.10                                  | real, and so here                              |
// | ---------------------------- | ------------------------------------------ | ---------------------------------------------- |
// | any key in a path            | decoded but for `;,/?:@&=+$#`              | decoded                                        |
// | key with a character outside | stored                                     | 400/400 InvalidKey, before the body is read    |
// |   the allowed ones           |                                            |                                                |
// | `.` or `..` as a segment     | resolved                                   | 400/400 InvalidKey (file backend); server.mjs  |
// | errors                       | no `code`; 401 for a bad token             | `code`; 400/403 for a bad token, at a GET      |
// |                              |                                            | NoSuchBucket, without one InvalidRequest       |
// | an unknown role              | 500 without words                          | 500 DatabaseError                              |
// | PUT, POST of the same key    | 500 (23505) when they meet                 | 200                                            |
// |   at once                    |                                            |                                                |
// | POST /object/sign/b/k        | `signedUrl`, with /storage/v1              | `signedURL`, relative to /storage/v1           |
// | the same with , ; ? in k     | a URL that works                           | of %2C %3B %3F, which are not decoded: dead    |
// | POST /object/sign/b          | 404: signs one object without a name       | an array; `signedURL` null where one is missing|
// |                              | 404 in a missing bucket                    | NoSuchKey there, in an array's items too       |
// |                              | any key, any expiresIn                     | an InvalidKey; an integer from 1 on            |
// | a signed URL's bad token     | 500                                        | 400/400 InvalidJWT                             |
// | another object's token       | 403                                        | 400/400 InvalidSignature                       |
// | GET by it                    | Cache-Control                              | Expires                                        |
// | Range                        | ignored                                    | 206, 416; ranges.mjs                           |
// | &download=name on it         | ignored                                    | Content-Disposition: attachment                |
// | POST /object/upload/sign     | `signedUrl`                                | `url`, relative to /storage/v1                 |
// | PUT to it                    | `Key` without the bucket                   | `Key` with it                                  |
// | GET /object/info             | the row                                    | size, content_type, cache_control, etag, …     |
// | POST /object/copy            | `key` without the bucket                   | `Key` with it, `Id`                            |
// | a form in a body             | its field must be called `file`            | any name                                       |
// | DELETE /object/b/k           | 404 route                                  | 200, 400/404 NoSuchKey, 400/403 for another's  |
// | /upload/resumable            | missing                                    | tus.mjs                                        |
//
// Elsewhere: PGlite's one session is shared by all requests, roles and all (pglite-queue.mjs); integers past 2^53
// are rounded (exact-integers.mjs, database.mjs); times are not ISO 8601 and anon is granted everything
// (database.mjs); a check violation is a 500 (check-violations.mjs); refused statements are printed (quiet.mjs).
//
// Left as they are: with Prefer: missing=default, an id that the database made is answered as null; a key with two
// dots in a row anywhere (`a..b`) is an InvalidKey; nothing is transformed; the list of objects is flat; a segment
// over 255 bytes is stored, as on the S3 backend.

import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { decodeJwt, jwtVerify } from "jose";
import { authenticate } from "./authenticate.mjs";
import { signJwt } from "./keys.mjs";
import { partOf } from "./ranges.mjs";
import { invalidKey, StorageError, storageError } from "./storage-errors.mjs";

const PREFIX = "/storage/v1";
const ALLOWED_IN_KEY = /^[\w/!.*'() &$=@;:+,?-]+$/;

/**
 * A Hono middleware around lite's Storage routes.
 * @param {object} context
 * @param {import("@supabase/lite").Connection} context.connection
 * @param {import("./keys.mjs").Keys} context.keys
 * @param {import("./locks.mjs").KeyLocks} context.locks one writer of a key at a time
 * @param {string} context.spool a folder for uploads under way
 * @param {"storage" | "lite"} context.signedUrls whose form a signedURL answer has
 */
export function storageContract(context) {
  return async (c, next) => {
    if (!c.req.path.startsWith(`${PREFIX}/object/`)) return next();
    try {
      await answerObjectRequest(c, next, context);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      c.res = error.toResponse();
    }
  };
}

/**
 * Refuses a key that the real server (file backend) refuses.
 * @param {string} key
 */
export function checkKey(key) {
  const leaves = key.split("/").some((segment) => segment === "." || segment === "..");
  if (leaves || !ALLOWED_IN_KEY.test(key)) throw invalidKey(key);
}

async function answerObjectRequest(c, next, context) {
  const target = parseTarget(c.req.method, c.req.raw.url);
  // Where lite reads the key from.
  c.req.path = target.path;
  if (target.writes && target.key !== undefined) checkKey(target.key);
  if (target.token !== undefined) await checkToken(target, context.keys.jwtSecret);
  else if (!target.isOpen) await identify(c, target, context.keys);

  if (target.route === "delete") return deleteOne(c, target, context);
  if (target.route === "sign") await checkSigning(c, target);
  if (target.route === "signMany") return signMany(c, target, context);
  if (target.hasBody)
    await withSpooledBody(c, context.spool, () => context.locks.run(`${target.bucket}/${target.key}`, next));
  else await next();

  if (target.route === "read" || target.route === "getSigned") await answerReading(c, target);
  if (target.download !== undefined && c.res.ok) c.res.headers.set("content-disposition", attachment(target.download));
  if (!(c.res.headers.get("content-type") ?? "").includes("json")) return;
  if (c.res.status >= 400) c.res = await translateError(c.res, target);
  else if (target.route in translations) {
    const sent = target.route === "copy" ? await c.req.json() : undefined;
    c.res = Response.json(await translations[target.route](await c.res.json(), target, context, sent));
  }
}

/**
 * @returns {{ route: string, bucket: string, key?: string, path: string, signedName?: string, token?: string,
 *   download?: string, writes?: boolean, hasBody?: boolean, isOpen?: boolean }} `isOpen` asks for no Authorization, `path` is
 *   what lite calls the request's path, with the key decoded
 */
function parseTarget(method, url) {
  const { pathname, searchParams } = new URL(url);
  const [, kind = "", rest] =
    /^\/storage\/v1\/object\/(upload\/sign\/|sign\/|info\/|public\/|authenticated\/)?(.*)$/.exec(pathname);
  const [bucket, ...segments] = rest.split("/").map(decode);
  const escapedKey = rest.slice(rest.indexOf("/") + 1);
  const key = segments.length > 0 ? segments.join("/") : undefined;
  const target = { bucket, key, path: `${PREFIX}/object/${kind}${[bucket, ...segments].join("/")}` };
  const token = searchParams.get("token") ?? undefined;
  if (kind === "upload/sign/" && method === "POST") return { ...target, route: "signUpload", writes: true };
  if (kind === "upload/sign/") {
    return { ...target, route: "putSigned", token, writes: true, hasBody: true, isOpen: true };
  }
  if (kind === "sign/" && method === "POST" && key === undefined) return { ...target, route: "signMany" };
  // What the real server signs: `decodeURI` leaves the escapes of `,` `;` `?` and some others as they are.
  if (kind === "sign/" && method === "POST") return { ...target, route: "sign", signedName: decodeURI(escapedKey) };
  if (kind === "sign/") {
    return { ...target, route: "getSigned", token, isOpen: true, download: searchParams.get("download") ?? undefined };
  }
  if (kind === "info/") return { ...target, route: "info" };
  if (kind === "" && method === "POST" && target.path === `${PREFIX}/object/copy`) return { ...target, route: "copy" };
  if (kind === "" && key !== undefined && (method === "POST" || method === "PUT")) {
    return { ...target, route: "write", writes: true, hasBody: true };
  }
  if (kind === "" && key !== undefined && method === "DELETE") return { ...target, route: "delete" };
  if (kind === "public/") return { ...target, route: "other", isOpen: true };
  return { ...target, route: method === "GET" && key !== undefined ? "read" : "other" };
}

/** The real server knows who asks before anything else. A GET whose token is no good finds no bucket. */
async function identify(c, { route }, keys) {
  try {
    await authenticate(c.req.raw.headers, keys);
  } catch (error) {
    const isHidden = error.body?.code === "AccessDenied" && (route === "info" || route === "read");
    throw isHidden ? storageError("NoSuchBucket", "Bucket not found") : error;
  }
}

async function checkSigning(c, { key }) {
  checkKey(key);
  const { expiresIn } = await c.req.raw
    .clone()
    .json()
    .catch(() => ({}));
  if (!Number.isInteger(expiresIn) || expiresIn < 1) {
    throw storageError("InvalidRequest", "body/expiresIn must be an integer >= 1");
  }
}

async function answerReading(c, { route, token }) {
  const response = await partOf(c.res, c.req.raw.headers.get("range"));
  c.res = undefined;
  c.res = response;
  if (route !== "getSigned" || !response.ok) return;
  c.res.headers.delete("cache-control");
  c.res.headers.set("expires", new Date(decodeJwt(token).exp * 1000).toUTCString());
}

/** Has browsers save an answer instead of showing it: under this name, or the URL's if it is empty. */
function attachment(name) {
  const escaped = encodeURIComponent(name);
  return name === "" ? "attachment;" : `attachment; filename=${escaped}; filename*=UTF-8''${escaped};`;
}

function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalidKey(segment);
  }
}

async function checkToken({ route, bucket, key, token }, jwtSecret) {
  const verified = await jwtVerify(token, new TextEncoder().encode(jwtSecret), { algorithms: ["HS256"] }).catch(
    (error) => {
      throw storageError("InvalidJWT", error.message);
    },
  );
  const { bucket: signedBucket, sub: signedName } = verified.payload;
  if (route === "getSigned" && (signedBucket !== bucket || signedName !== key)) {
    throw storageError("InvalidSignature", "Invalid signature");
  }
}

const translations = {
  sign: ({ signedUrl }, { bucket, signedName }, context) => ({
    signedURL: signedFor(`${bucket}/${signedName}`, signedUrl, context),
  }),

  signUpload: ({ signedUrl, token }) => ({ url: signedUrl.slice(PREFIX.length), token }),

  putSigned: (_body, { bucket, key }) => ({ Key: `${bucket}/${key}` }),

  copy: async (_body, _target, { connection }, { destinationBucket, bucketId, destinationKey }) => {
    const bucket = destinationBucket ?? bucketId;
    const object = await connection.kysely
      .withSchema("storage")
      .selectFrom("objects")
      .select("id")
      .where("bucket_id", "=", bucket)
      .where("name", "=", destinationKey)
      .executeTakeFirst();
    return { Key: `${bucket}/${destinationKey}`, Id: object?.id };
  },

  info: ({ id, name, version, bucket_id, metadata, user_metadata, created_at, httpMetadata }) => ({
    id,
    name,
    version,
    bucket_id,
    size: httpMetadata.size,
    content_type: httpMetadata.mimetype,
    cache_control: httpMetadata.cacheControl,
    etag: httpMetadata.eTag,
    metadata: user_metadata ?? {},
    last_modified: metadata?.lastModified ?? httpMetadata.lastModified,
    created_at,
  }),
};

/** The real server's URL for what it takes for the object's name, made of one of lite's. */
function signedFor(name, signedUrl, { keys, signedUrls }) {
  if (signedUrls === "lite") return signedUrl;
  const claims = decodeJwt(signedUrl.slice(signedUrl.lastIndexOf("?token=") + "?token=".length));
  const token = signJwt({ ...claims, sub: name.slice(claims.bucket.length + 1) }, keys.jwtSecret);
  return `/object/sign/${name}?token=${token}`;
}

/** lite takes this for the signing of one object without a name. */
async function signMany(c, { bucket }, context) {
  const { connection } = context;
  const { expiresIn, paths } = await c.req.json().catch(() => ({}));
  if (
    !Number.isInteger(expiresIn) ||
    expiresIn < 1 ||
    !Array.isArray(paths) ||
    paths.length < 1 ||
    paths.length > 1000
  ) {
    throw storageError("InvalidRequest", "body needs expiresIn, at least 1, and 1 to 1000 paths");
  }
  const objects = connection.kysely.withSchema("storage").selectFrom("objects").where("bucket_id", "=", bucket);
  const there = new Set((await objects.select("name").where("name", "in", paths).execute()).map(({ name }) => name));
  const items = [];
  for (const name of paths) {
    if (!there.has(name)) {
      items.push({ error: NOT_THERE, path: name, signedURL: null });
      continue;
    }
    const response = await c.var.app.fetch(
      jsonRequest(
        c,
        "POST",
        `sign/${encodeURIComponent(bucket)}/${name.split("/").map(encodeURIComponent).join("/")}`,
        {
          expiresIn,
        },
      ),
    );
    const body = await response.json();
    if (response.ok) {
      items.push({ error: null, path: name, signedURL: signedFor(`${bucket}/${name}`, body.signedURL, context) });
    } else if (body.code === "NoSuchKey") items.push({ error: NOT_THERE, path: name, signedURL: null });
    else throw new StorageError(body);
  }
  c.res = Response.json(items);
}

const NOT_THERE = "Either the object does not exist or you do not have access to it";

function jsonRequest(c, method, route, body) {
  const headers = new Headers(c.req.raw.headers);
  headers.set("content-type", "application/json");
  headers.delete("content-length");
  return new Request(new URL(`${PREFIX}/object/${route}`, c.req.raw.url), {
    method,
    headers,
    body: JSON.stringify(body),
  });
}

async function deleteOne(c, { bucket, key }, { connection }) {
  const response = await c.var.app.fetch(jsonRequest(c, "DELETE", encodeURIComponent(bucket), { prefixes: [key] }));
  if (response.status >= 400) c.res = response;
  else if ((await response.json()).length === 0) throw await refusedDeletion(connection, bucket, key);
  else c.res = Response.json({ message: "Successfully deleted" });
}

/** What a policy hides is another's, and not missing. */
async function refusedDeletion(connection, bucket, key) {
  const objects = connection.kysely.withSchema("storage").selectFrom("objects").where("bucket_id", "=", bucket);
  const there = await objects.select("id").where("name", "=", key).executeTakeFirst();
  return there === undefined
    ? storageError("NoSuchKey", "Object not found")
    : storageError("AccessDenied", "new row violates row-level security policy");
}

async function translateError(response, { route }) {
  const body = await response.json().catch(() => undefined);
  if (route === "sign" && body?.error === "Bucket not found") {
    return storageError("NoSuchKey", "Object not found").toResponse();
  }
  if (typeof body?.statusCode !== "string") return Response.json(body, { status: response.status });
  return StorageError.fromLite(body).toResponse();
}

/** supabase-js sends a Blob as a form, in a field without a name; lite looks for one called `file`. */
async function withoutForm(request) {
  if (!(request.headers.get("content-type") ?? "").startsWith("multipart/form-data")) return request;
  const form = await request.formData();
  const file = [...form.values()].find((value) => value instanceof Blob);
  if (file === undefined) throw storageError("InvalidRequest", "the form has no file");
  const headers = new Headers(request.headers);
  headers.set("content-type", file.type || "application/octet-stream");
  headers.set("content-length", String(file.size));
  if (form.has("cacheControl")) headers.set("cache-control", `max-age=${form.get("cacheControl")}`);
  return new Request(request.url, { method: request.method, headers, body: file });
}

/** Receives a body whole before lite sees it: an upload that is cut leaves nothing, and holds no lock meanwhile. */
async function withSpooledBody(c, directory, run) {
  const raw = await withoutForm(c.req.raw);
  if (raw.body === null) return run();
  await mkdir(directory, { recursive: true });
  const file = path.join(directory, randomUUID());
  try {
    await pipeline(Readable.fromWeb(raw.body), createWriteStream(file));
    c.req.raw = new Request(raw.url, {
      method: raw.method,
      headers: raw.headers,
      body: Readable.toWeb(createReadStream(file)),
      duplex: "half",
    });
    await run();
  } finally {
    await rm(file, { force: true });
  }
}
