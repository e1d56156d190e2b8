import type { ImageSource, SyncRequest } from "imagen-cloud";
import limits from "../../../src/limits.json";
import { Problem } from "./problem";

/** The fields' own checks are the package's; here is only what the package can't know. */
export function toSyncRequest(fields: Record<string, unknown>, image?: ImageSource): SyncRequest {
  for (const field of ["ownerUserId", "owner_user_id", "pathPrefix"]) {
    if (Object.hasOwn(fields, field)) throw new Problem("owner_not_allowed", { field });
  }
  if (Object.hasOwn(fields, "image")) {
    throw new Problem("invalid_request", { detail: "The image's bytes are no part of the JSON.", field: "image" });
  }
  refuseTooLong(fields);
  return { ...fields, seed: toSeed(fields.seed), ...(image && { image }) } as unknown as SyncRequest;
}

/** In bytes of UTF-8. The path's own limit is the package's to check, and so is what is no text. */
function refuseTooLong(fields: Record<string, unknown>): void {
  for (const field of ["ext", "mimeType", "model", "backend", "prompt", "sidecar"] as const) {
    const text = field === "sidecar" ? jsonOf(fields[field]) : fields[field];
    if (typeof text !== "string" || new TextEncoder().encode(text).length <= limits[field]) continue;
    throw new Problem("invalid_request", { detail: `${field} may have ${limits[field]} bytes.`, field });
  }
}

/** `undefined` for what is nested too deep to be written. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/**
 * Fixes the row's id, as the database writes it, where the caller left that to the Worker. The database knows more
 * spellings of one id (`urn:uuid:`, braces, no hyphens); here each would be another name for what is staged or stored.
 */
export function withImageId(fields: Record<string, unknown>): Record<string, unknown> {
  const { imageId } = fields;
  if (imageId === undefined || imageId === null) return { ...fields, imageId: crypto.randomUUID() };
  if (!isUuid(imageId)) {
    const detail = "imageId is a UUID, such as 11111111-2222-4333-8444-555555555555.";
    throw new Problem("invalid_request", { detail, field: "imageId" });
  }
  return { ...fields, imageId: imageId.toLowerCase() };
}

export function isUuid(imageId: unknown): imageId is string {
  return typeof imageId === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(imageId);
}

/** JSON has no int64, so a seed may be decimal text. A `number` past 2^53 was rounded already: the package refuses it. */
function toSeed(seed: unknown): unknown {
  return typeof seed === "string" && /^-?\d{1,19}$/.test(seed) ? BigInt(seed) : seed;
}
