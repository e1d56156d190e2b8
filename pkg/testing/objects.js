// What plain and resumable uploads share: names, limits, policies, and the object in the end.

import { uuid } from "../uuid.js";
import { Refusal } from "./answers.js";

const ALLOWED = /^[\w/!.*'() &$@=;:+,?-]+$/;

export const mayWrite = ({ role, id }, name) => role === "service" || (role === "user" && name.split("/")[0] === id);

/** The small picture beside an image, which goes with it. */
export const thumbnailOf = (path) => `${path}.thumb`;

export function checkName(name) {
  if (!ALLOWED.test(name) || name.split("/").some((part) => part === "." || part === "..")) {
    throw new Refusal("InvalidKey", `Invalid key: ${name}`);
  }
}

/** What of an upload is refused. */
export function checkObject({ types, sizeLimit }, who, { name, type, size }) {
  checkName(name);
  if (!types.includes(type)) throw new Refusal("InvalidMimeType", `mime type ${type} is not supported`);
  if (size > sizeLimit) throw new Refusal("EntityTooLarge");
  if (!mayWrite(who, name)) throw new Refusal("AccessDenied");
}

export function store({ objects }, name, { bytes, type, cacheControl, version = uuid() }) {
  const id = objects.get(name)?.id ?? uuid();
  objects.set(name, { id, bytes, mimeType: type, cacheControl, version, createdAt: new Date() });
  return id;
}
