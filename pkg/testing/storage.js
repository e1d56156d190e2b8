// Storage over one private bucket, with the policies of the migrations, and resumable uploads.

import { uuid } from "../uuid.js";
import { answer, json, jsonOf, Refusal } from "./answers.js";
import { checkName, checkObject, mayWrite, store, thumbnailOf } from "./objects.js";
import { answerResumable, RESUMABLE } from "./resumable.js";

export function answerStorage(project, request) {
  const { method, path } = request;
  if (path === RESUMABLE || path.startsWith(`${RESUMABLE}/`)) return answerResumable(project, request);
  const [, kind = "", bucket, escaped] =
    /^\/storage\/v1\/(?:object|render\/image(?=\/sign))\/(sign\/|info\/)?([^/]+)(?:\/(.*))?$/.exec(path) ?? [];
  if (bucket === undefined) return unknown(request);
  const name = escaped === undefined ? undefined : decoded(escaped);
  if (kind === "sign/" && method === "GET") return answerLink(project, request, name);
  const isReading = method === "GET" && name !== undefined;
  const who = isReading ? readerOf(project, request) : project.roleOf(request.headers);
  const isThere = decodeURIComponent(bucket) === project.names.bucket;
  if (kind === "sign/" && method === "POST" && name === undefined) return signMany(project, request, who, isThere);
  if (kind === "sign/" && method === "POST") return signOne(project, request, who, { name, escaped, isThere });
  if (!isThere) throw new Refusal("NoSuchBucket");
  if (kind === "" && (method === "PUT" || method === "POST") && name) {
    return upload(project, request, who, name);
  }
  if (isReading)
    return kind === "info/" ? info(project, who, name) : download(project, request, visible(project, who, name));
  if (method === "DELETE") return remove(project, request, who, name);
  return unknown(request);
}

function decoded(escaped) {
  try {
    return decodeURIComponent(escaped);
  } catch {
    throw new Refusal("InvalidKey", `Invalid key: ${escaped}`);
  }
}

/** Who reads. A token that is no good finds no bucket there. */
function readerOf(project, { headers }) {
  try {
    return project.roleOf(headers);
  } catch (refusal) {
    throw refusal.code === "token" ? new Refusal("NoSuchBucket") : refusal;
  }
}

const unknown = ({ method, path }) => answer(501, `a fake project does not know ${method} ${path}`);
/** Own folder, or named by a row of one's own, as an image or as the thumbnail of it. */
const mayRead = ({ rows }, who, name) => {
  const isNamed = ({ storage_path }) => storage_path === name || thumbnailOf(storage_path) === name;
  return mayWrite(who, name) || rows.some((row) => row.owner_user_id === who.id && isNamed(row));
};

function visible(project, who, name) {
  if (!project.objects.has(name) || !mayRead(project, who, name)) throw new Refusal("NoSuchKey");
  return name;
}

function upload(project, { method, headers, body }, who, name) {
  const type = headers.get("content-type") ?? "application/octet-stream";
  checkObject(project, who, { name, type, size: body.length });
  const isUpsert = method === "PUT" || headers.get("x-upsert") === "true";
  if (!isUpsert && project.objects.has(name)) throw new Refusal("KeyAlreadyExists");
  const cacheControl = headers.get("cache-control") ?? "no-cache";
  return json(200, {
    Key: `${project.names.bucket}/${name}`,
    Id: store(project, name, { bytes: body, type, cacheControl }),
  });
}

function info(project, who, name) {
  const { id, bytes, mimeType, cacheControl, version, createdAt } = project.objects.get(visible(project, who, name));
  const about = { id, name, version, bucket_id: project.names.bucket, size: bytes.length, content_type: mimeType };
  const at = createdAt.toISOString();
  return json(200, {
    ...about,
    cache_control: cacheControl,
    etag: `"${version}"`,
    metadata: {},
    last_modified: at,
    created_at: at,
  });
}

function remove(project, request, who, name) {
  const names = name === undefined ? (jsonOf(request, "InvalidRequest")?.prefixes ?? []) : [name];
  const gone = names.filter((each) => project.objects.has(each) && mayWrite(who, each));
  if (name !== undefined && gone.length === 0)
    throw new Refusal(project.objects.has(name) ? "AccessDenied" : "NoSuchKey");
  for (const each of gone) project.objects.delete(each);
  return json(200, name === undefined ? gone.map((each) => ({ name: each })) : { message: "Successfully deleted" });
}

/** A link of the server's own kind: relative to /storage/v1, and not percent-encoded. */
function linkTo({ links, names }, name, expiresIn, route = "object") {
  const token = uuid();
  links.set(token, { name, untilMs: Math.floor(Date.now() / 1000 + expiresIn) * 1000 });
  return `/${route}/sign/${names.bucket}/${name}?token=${token}`;
}

/** What is asked of a link. */
function termsOf(request) {
  const terms = Object(jsonOf(request, "InvalidRequest"));
  const { expiresIn } = terms;
  if (!Number.isInteger(expiresIn) || expiresIn < 1)
    throw new Refusal("InvalidRequest", "body/expiresIn must be an integer >= 1");
  return terms;
}

function signOne(project, request, who, { name, escaped, isThere }) {
  checkName(name);
  const { expiresIn, transform } = termsOf(request);
  checkTransform(transform);
  if (!isThere) throw new Refusal("NoSuchKey");
  visible(project, who, name);
  // The server signs what `decodeURI` leaves of the address: of `,` `;` `?` a link that is dead.
  const route = transform && Object.keys(transform).length > 0 ? "render/image" : "object";
  return json(200, { signedURL: linkTo(project, decodeURI(escaped), expiresIn, route) });
}

/** Storage's limits. What is made of a picture is the picture itself here: nothing is drawn. */
function checkTransform({ width, height, quality, resize, format } = {}) {
  const outside = (number, least, most) =>
    number !== undefined && !(Number.isInteger(number) && number >= least && number <= most);
  if (outside(width, 1, 2500)) throw new Refusal("InvalidRequest", "body/transform/width must be >= 1 and <= 2500");
  if (outside(height, 1, 2500)) throw new Refusal("InvalidRequest", "body/transform/height must be >= 1 and <= 2500");
  if (outside(quality, 20, 100)) throw new Refusal("InvalidRequest", "body/transform/quality must be >= 20 and <= 100");
  if (resize !== undefined && !["cover", "contain", "fill"].includes(resize))
    throw new Refusal("InvalidRequest", "body/transform/resize must be one of the allowed values");
  if (format !== undefined && format !== "origin")
    throw new Refusal("InvalidRequest", "body/transform/format must be one of the allowed values");
}

function signMany(project, request, who, isThere) {
  const { expiresIn, paths } = termsOf(request);
  if (!Array.isArray(paths) || paths.length < 1 || paths.length > 1000)
    throw new Refusal("InvalidRequest", "body/paths must NOT have fewer than 1 or more than 1000 items");
  const error = "Either the object does not exist or you do not have access to it";
  const sees = (name) => isThere && project.objects.has(name) && mayRead(project, who, name);
  return json(
    200,
    paths.map((path) =>
      sees(path)
        ? { error: null, path, signedURL: linkTo(project, path, expiresIn) }
        : { error, path, signedURL: null },
    ),
  );
}

/** The object of a link, which says until when it holds, and may have a browser save it. */
function answerLink(project, request, name) {
  const { query } = request;
  if (!query.has("token")) throw new Refusal("InvalidRequest", "querystring must have required property 'token'");
  const link = project.links.get(query.get("token"));
  if (!link || link.untilMs <= Date.now()) throw new Refusal("InvalidJWT");
  if (link.name !== name) throw new Refusal("InvalidSignature");
  const answered = download(project, request, name);
  if (!answered.ok) return answered;
  answered.headers.set("expires", new Date(link.untilMs).toUTCString());
  const saved = query.get("download");
  const escaped = encodeURIComponent(saved ?? "");
  const filename = escaped && ` filename=${escaped}; filename*=UTF-8''${escaped};`;
  if (saved !== null) answered.headers.set("content-disposition", `attachment;${filename}`);
  return answered;
}

/** An object, or the one part of it that is asked for. */
function download(project, { headers }, name) {
  const object = project.objects.get(name);
  if (!object) throw new Refusal("NoSuchKey");
  const { bytes, mimeType } = object;
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "") ?? [];
  if (from === undefined) return answer(200, bytes, { "content-type": mimeType });
  const end = Math.min(to === "" ? Number.POSITIVE_INFINITY : Number(to), bytes.length - 1);
  if (Number(from) > end) return answer(416, "", { "content-range": `bytes */${bytes.length}` });
  const said = { "content-type": mimeType, "content-range": `bytes ${from}-${end}/${bytes.length}` };
  return answer(206, bytes.slice(Number(from), end + 1), said);
}
