import type { SyncRequest, SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import { readSyncForm } from "./form";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { isAnothersImage, withSink } from "./supabase";

/** Takes the image of a `POST /api/sync` to Supabase. The same `imageId` again is answered alike and changes nothing. */
export async function syncImage(request: Request, user: User, settings: Settings): Promise<SyncResult> {
  const form = await readSyncForm(request, settings.maxBodyBytes);
  const syncRequest = toSyncRequest(form.request, form.image);
  return withSink(user, settings, async (sink) => {
    if (isUuid(syncRequest.imageId) && (await isAnothersImage(syncRequest.imageId, user, settings))) {
      throw new Problem("id_taken", { imageId: syncRequest.imageId });
    }
    return sink.sync(syncRequest, { deadlineMs: settings.syncDeadlineMs });
  });
}

/** The fields' own checks are the package's; here is only what the package can't know. */
function toSyncRequest(fields: Record<string, unknown>, image: File): SyncRequest {
  for (const field of ["ownerUserId", "owner_user_id", "pathPrefix"]) {
    if (Object.hasOwn(fields, field)) throw new Problem("owner_not_allowed", { field });
  }
  if (Object.hasOwn(fields, "image")) {
    throw new Problem("invalid_request", { detail: "The image is a part of its own.", field: "image" });
  }
  return { ...fields, seed: toSeed(fields.seed), image } as unknown as SyncRequest;
}

/** JSON has no int64, so a seed may be decimal text. A `number` past 2^53 was rounded already: the package refuses it. */
function toSeed(seed: unknown): unknown {
  return typeof seed === "string" && /^-?\d{1,19}$/.test(seed) ? BigInt(seed) : seed;
}

function isUuid(imageId: unknown): imageId is string {
  return typeof imageId === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(imageId);
}
