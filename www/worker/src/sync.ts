import type { SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import { readSyncForm } from "./form";
import { isUuid, toSyncRequest, withImageId } from "./request";
import type { Settings } from "./settings";
import { refuseAnothersId, withSink } from "./supabase";

/** Takes the image of a `POST /api/sync` to Supabase. The same `imageId` again is answered alike and changes nothing. */
export async function syncImage(request: Request, user: User, settings: Settings): Promise<SyncResult> {
  const form = await readSyncForm(request, settings.maxBodyBytes);
  const syncRequest = toSyncRequest(withImageId(form.request), form.image);
  const until = Date.now() + settings.syncDeadlineMs;
  if (isUuid(form.request.imageId)) await refuseAnothersId(form.request.imageId, user, settings);
  return withSink(user, settings, (sink) => sink.sync(syncRequest, { deadlineMs: Math.max(1, until - Date.now()) }));
}
