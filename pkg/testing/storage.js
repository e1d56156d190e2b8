// Storage over one private bucket, with the policies of the migrations, and resumable uploads.
import { answer, json, Refusal } from "./answers.js";

const ALLOWED = /^[\w/!.*'() &$@=;:+,?-]+$/;
const RESUMABLE = "/storage/v1/upload/resumable";

export function answerStorage(project, request) {
  const { method, path, query } = request;
  if (path === RESUMABLE || path.startsWith(`${RESUMABLE}/`)) return answerResumable(project, request);
  const [, kind = "", bucket, escaped] =
    /^\/storage\/v1\/(?:object|render\/image(?=\/sign))\/(sign\/|info\/)?([^/]+)(?:\/(.*))?$/.exec(path) ?? [];
  if (bucket === undefined) return unknown(request);
  const name = escaped === undefined ? undefined : decodeURIComponent(escaped);
  if (kind === "sign/" && method === "GET") return download(project, name, query.get("token"));
  const who = project.roleOf(request.headers);
  const isThere = decodeURIComponent(bucket) === project.names.bucket;
  if (kind === "sign/" && method === "POST" && name === undefined) return signMany(project, request, who, isThere);
  if (kind === "sign/" && method === "POST") return signOne(project, request, who, { name, escaped, isThere });
  if (!isThere) throw new Refusal("NoSuchBucket");
  if (kind === "" && (method === "PUT" || method === "POST") && name) {
    return upload(project, request, who, name);
  }
  if (method === "GET" && name)
    return kind === "info/" ? info(project, who, name) : download(project, visible(project, who, name));
  if (method === "DELETE") return remove(project, request, who, name);
  return unknown(request);
}

const unknown = ({ method, path }) => answer(501, `a fake project does not know ${method} ${path}`);
const mayWrite = ({ role, id }, name) => role === "service" || (role === "user" && name.split("/")[0] === id);
/** Own folder, or named by a row of one's own. */
const mayRead = ({ rows }, who, name) =>
  mayWrite(who, name) || rows.some((row) => row.storage_path === name && row.owner_user_id === who.id);

function visible(project, who, name) {
  if (!project.objects.has(name) || !mayRead(project, who, name)) throw new Refusal("NoSuchKey");
  return name;
}

function checkName(name) {
  if (!ALLOWED.test(name) || name.split("/").some((part) => part === "." || part === "..")) {
    throw new Refusal("InvalidKey", `Invalid key: ${name}`);
  }
}

/** What of an upload is refused. */
function check({ types, sizeLimit }, who, { name, type, size }) {
  checkName(name);
  if (!types.includes(type)) throw new Refusal("InvalidMimeType", `mime type ${type} is not supported`);
  if (size > sizeLimit) throw new Refusal("EntityTooLarge");
  if (!mayWrite(who, name)) throw new Refusal("AccessDenied");
}

function store({ objects }, name, { bytes, type, cacheControl, version = crypto.randomUUID() }) {
  const id = objects.get(name)?.id ?? crypto.randomUUID();
  objects.set(name, { id, bytes, mimeType: type, cacheControl, version, createdAt: new Date() });
  return id;
}

function upload(project, { method, headers, body }, who, name) {
  const type = headers.get("content-type") ?? "application/octet-stream";
  check(project, who, { name, type, size: body.length });
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

function remove(project, { body }, who, name) {
  const names = name === undefined ? JSON.parse(new TextDecoder().decode(body)).prefixes : [name];
  const gone = names.filter((each) => project.objects.has(each) && mayWrite(who, each));
  if (name !== undefined && gone.length === 0)
    throw new Refusal(project.objects.has(name) ? "AccessDenied" : "NoSuchKey");
  for (const each of gone) project.objects.delete(each);
  return json(200, name === undefined ? gone.map((each) => ({ name: each })) : { message: "Successfully deleted" });
}

/** A link of the server's own kind: relative to /storage/v1, and not percent-encoded. */
function linkTo({ links, names }, name, expiresIn, route = "object") {
  const token = crypto.randomUUID();
  links.set(token, { name, untilMs: Date.now() + expiresIn * 1000 });
  return `/${route}/sign/${names.bucket}/${name}?token=${token}`;
}

function signOne(project, { body }, who, { name, escaped, isThere }) {
  checkName(name);
  const { expiresIn, transform } = JSON.parse(new TextDecoder().decode(body));
  if (!Number.isInteger(expiresIn) || expiresIn < 1)
    throw new Refusal("InvalidRequest", "body/expiresIn must be an integer >= 1");
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

function signMany(project, { body }, who, isThere) {
  const { expiresIn, paths } = JSON.parse(new TextDecoder().decode(body));
  if (!Number.isInteger(expiresIn) || expiresIn < 1)
    throw new Refusal("InvalidRequest", "body/expiresIn must be an integer >= 1");
  for (const name of paths) checkName(name);
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

function download(project, name, token) {
  const link = token === undefined ? { name, untilMs: Number.POSITIVE_INFINITY } : project.links.get(token);
  if (!link || link.name !== name || link.untilMs < Date.now()) throw new Refusal("InvalidSignature");
  const object = project.objects.get(name);
  if (!object) throw new Refusal("NoSuchKey");
  return answer(200, object.bytes, { "content-type": object.mimeType });
}

/** TUS 1.0.0, as far as the package speaks it: real statuses, and words instead of JSON. */
function answerResumable(project, request) {
  const { method, path, headers } = request;
  const who = project.roleOf(headers);
  if (path === RESUMABLE && method === "POST") return create(project, request, who);
  const id = path.slice(RESUMABLE.length + 1);
  const held = project.uploads.get(id);
  if (!held) return answer(isId(id) ? 404 : 400, "upload not found");
  if (method === "HEAD") {
    return answer(200, "", { "upload-offset": String(held.bytes.length), "upload-length": String(held.size) });
  }
  if (method === "DELETE") {
    if (held.bytes.length === held.size) return answer(400, "Cannot terminate an already completed upload");
    project.uploads.delete(id);
    return answer(204);
  }
  return method === "PATCH" ? append(project, request, held) : unknown(request);
}

function isId(id) {
  try {
    return atob(id.replaceAll("-", "+").replaceAll("_", "/")).split("/").length > 3;
  } catch {
    return false;
  }
}

function create(project, { headers, body }, who) {
  const pairs = (headers.get("upload-metadata") ?? "").split(",").map((pair) => pair.trim().split(" "));
  const metadata = Object.fromEntries(pairs.map(([key, value = ""]) => [key, text(value)]));
  const {
    bucketName,
    objectName: name,
    contentType: type = "application/octet-stream",
    cacheControl = "3600",
  } = metadata;
  const size = Number(headers.get("upload-length"));
  if (bucketName !== project.names.bucket) return answer(404, "Bucket not found");
  try {
    check(project, who, { name, type, size });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const statuses = { InvalidKey: 400, InvalidMimeType: 415, EntityTooLarge: 413, AccessDenied: 403 };
    return answer(statuses[error.code], error.message);
  }
  if (headers.get("x-upsert") !== "true" && project.objects.has(name))
    return answer(409, "The resource already exists");
  // By its last part a finished upload is known again: the object has it as its version.
  const version = crypto.randomUUID();
  const id = base64url(`fake/${bucketName}/${name}/${version}`);
  const upload = { name, type, size, cacheControl: `max-age=${cacheControl}`, version, bytes: new Uint8Array() };
  project.uploads.set(id, upload);
  const location = { location: `${project.url}${RESUMABLE}/${id}` };
  if (body.length === 0) return answer(201, "", location);
  const offset = take(project, upload, body);
  return answer(201, "", { ...location, "upload-offset": String(offset) });
}

const base64url = (name) => btoa(name).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const text = (base64) => new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));

function append(project, { headers, body }, held) {
  const isOver = held.bytes.length === held.size;
  if (!isOver && Number(headers.get("upload-offset")) !== held.bytes.length)
    return answer(409, "Upload-Offset conflict");
  const offset = isOver ? held.size : take(project, held, body);
  return answer(204, "", { "upload-offset": String(offset) });
}

/** @returns how many bytes there are now */
function take(project, held, body) {
  const together = new Uint8Array(Math.min(held.size, held.bytes.length + body.length));
  together.set(held.bytes);
  together.set(body.subarray(0, together.length - held.bytes.length), held.bytes.length);
  held.bytes = together;
  if (together.length === held.size) store(project, held.name, held);
  return together.length;
}
