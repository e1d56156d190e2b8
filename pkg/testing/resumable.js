// Resumable uploads (TUS 1.0.0), as far as the package speaks it: real statuses, and words instead of JSON.

import { uuid } from "../uuid.js";
import { answer, Refusal } from "./answers.js";
import { checkObject, mayWrite, store } from "./objects.js";

export const RESUMABLE = "/storage/v1/upload/resumable";

export function answerResumable(project, request) {
  const { method, path, headers } = request;
  const who = project.roleOf(headers);
  if (headers.get("tus-resumable") !== "1.0.0") return answer(412, "Tus-Resumable Required");
  if (path === RESUMABLE && method === "POST") return create(project, request, who);
  const id = path.slice(RESUMABLE.length + 1);
  const held = project.uploads.get(id);
  if (!held) return answer(isId(id) ? 404 : 400, "upload not found");
  // Any good token may ask how far it is; all else is asked of the policies each time.
  if (method === "HEAD") {
    return answer(200, "", { "upload-offset": String(held.bytes.length), "upload-length": String(held.size) });
  }
  if (!mayWrite(who, held.name)) return answer(403, "new row violates row-level security policy");
  const isOver = held.bytes.length === held.size;
  if (isOver && !overwrites(headers)) return answer(409, TAKEN);
  if (method === "PATCH") return append(project, request, held);
  if (method !== "DELETE") return answer(501, `a fake project does not know ${method} ${path}`);
  if (isOver) return answer(400, "Cannot terminate an already completed upload");
  project.uploads.delete(id);
  return answer(204);
}

const TAKEN = "The resource already exists";

/** Whether what is there already may be replaced, which every request says anew. */
const overwrites = (headers) => headers.get("x-upsert") === "true";

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
    checkObject(project, who, { name, type, size });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const statuses = { InvalidKey: 400, InvalidMimeType: 415, EntityTooLarge: 413, AccessDenied: 403 };
    return answer(statuses[error.code], error.message);
  }
  if (!overwrites(headers) && project.objects.has(name)) return answer(409, TAKEN);
  // By its last part a finished upload is known again: the object has it as its version.
  const version = uuid();
  const id = base64url(`fake/${bucketName}/${name}/${version}`);
  const upload = { name, type, size, cacheControl: `max-age=${cacheControl}`, version, bytes: new Uint8Array() };
  project.uploads.set(id, upload);
  const location = { location: `${project.url}${RESUMABLE}/${id}` };
  if (body.length === 0) return answer(201, "", location);
  const { status, headers: told } = take(project, headers, upload, body);
  return answer(status === 204 ? 201 : status, "", { ...location, ...Object.fromEntries(told) });
}

const base64url = (name) => btoa(name).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const text = (base64) => new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));

function append(project, { headers, body }, held) {
  // Behind the end nothing comes any more.
  if (held.bytes.length === held.size) return reached(held);
  if (Number(headers.get("upload-offset")) !== held.bytes.length) return answer(409, "Upload-Offset conflict");
  return take(project, headers, held, body);
}

function take(project, headers, held, body) {
  const length = held.bytes.length + body.length;
  if (length > held.size) return answer(413, "Upload-Length exceeded");
  if (length === held.size && project.objects.has(held.name) && !overwrites(headers)) return answer(409, TAKEN);
  const together = new Uint8Array(length);
  together.set(held.bytes);
  together.set(body, held.bytes.length);
  held.bytes = together;
  if (length === held.size) store(project, held.name, held);
  return reached(held);
}

function reached({ bytes, size }) {
  const end = bytes.length === size ? { "tus-complete": "1" } : {};
  return answer(204, "", { "upload-offset": String(bytes.length), ...end });
}
