import type { ImageSource, SyncRequest } from "imagen-cloud";
import { Problem } from "./problem";

/** The fields' own checks are the package's; here is only what the package can't know. */
export function toSyncRequest(fields: Record<string, unknown>, image: ImageSource): SyncRequest {
  for (const field of ["ownerUserId", "owner_user_id", "pathPrefix"]) {
    if (Object.hasOwn(fields, field)) throw new Problem("owner_not_allowed", { field });
  }
  if (Object.hasOwn(fields, "image")) {
    throw new Problem("invalid_request", { detail: "The image's bytes are no part of the JSON.", field: "image" });
  }
  return { ...fields, seed: toSeed(fields.seed), image } as unknown as SyncRequest;
}

/** Fixes the row's id, as the database writes it, where the caller left that to the Worker. */
export function withImageId(fields: Record<string, unknown>): Record<string, unknown> {
  const { imageId } = fields;
  if (imageId === undefined || imageId === null) return { ...fields, imageId: crypto.randomUUID() };
  return isUuid(imageId) ? { ...fields, imageId: imageId.toLowerCase() } : fields;
}

export function isUuid(imageId: unknown): imageId is string {
  return typeof imageId === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(imageId);
}

/** JSON has no int64, so a seed may be decimal text. A `number` past 2^53 was rounded already: the package refuses it. */
function toSeed(seed: unknown): unknown {
  return typeof seed === "string" && /^-?\d{1,19}$/.test(seed) ? BigInt(seed) : seed;
}
