import { type ImagenCloudError, isImagenCloudError, type SyncRequest, type SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import { expectForm, readForm, type SyncForm } from "./form";
import { logStaged } from "./log";
import { isUuid, toSyncRequest, withImageId } from "./request";
import type { Bindings, Settings } from "./settings";
import { withSlot } from "./slots";
import { refuseOther, type Staged, Staging } from "./staging";
import { refuseAnothersId, withSink } from "./supabase";

/** Where an image landed, or will land. */
export interface Accepted extends SyncResult {
  /** It is safe, but not in Supabase yet: the same request again tells when it is. */
  queued?: true;
}

/**
 * Takes the image of a `POST /api/sync` to Supabase, or stages it where Supabase does not take it in time. The same
 * `imageId` again is answered alike and changes nothing.
 */
export async function syncImage(request: Request, user: User, settings: Settings, env: Bindings): Promise<Accepted> {
  return withSlot(expectForm(request, settings.body), settings.bodyWaitMs, async () => {
    const { image, request: fields } = await readForm(request, settings.body);
    return accept({ image, request: withImageId(fields) }, isUuid(fields.imageId), user, settings, env);
  });
}

/** `isKnown` says whether the id came from the caller, and may have been used before. */
async function accept(
  form: SyncForm,
  isKnown: boolean,
  user: User,
  settings: Settings,
  env: Bindings,
): Promise<Accepted> {
  const syncRequest = toSyncRequest(form.request, form.image);
  const staging = Staging.of(env, settings);
  const imageId = String(syncRequest.imageId);
  const earlier = isKnown ? await findStaged(imageId, staging) : undefined;
  if (earlier !== undefined) refuseOther(earlier, { imageId }, user);
  try {
    const done = await deliver(syncRequest, isKnown, user, settings, settings.syncDeadlineMs);
    // The queue's message will find nothing to do.
    if (earlier?.storagePath === done.storagePath) await staging?.release(done.imageId).catch(() => {});
    return done;
  } catch (error) {
    if (staging === undefined || !mayPass(error)) throw error;
    const place = { storagePath: error.storagePath, imageId: error.imageId };
    if (earlier !== undefined) refuseOther(earlier, place, user);
    else await staging.keep(form, place, user);
    logStaged({ event: "staged", imageId, cause: error }, env);
    return { ...place, queued: true };
  }
}

/** Object and row, unless another user has the id. */
export async function deliver(
  request: SyncRequest,
  isKnown: boolean,
  user: User,
  settings: Settings,
  withinMs: number,
): Promise<SyncResult> {
  const until = Date.now() + withinMs;
  if (isKnown) await refuseAnothersId(String(request.imageId), user, settings);
  return withSink(user, settings, (sink) => sink.sync(request, { deadlineMs: Math.max(1, until - Date.now()) }));
}

/** A bucket that does not answer keeps no image from Supabase. */
async function findStaged(imageId: string, staging: Staging | undefined): Promise<Staged | undefined> {
  return staging?.find(imageId).catch(() => undefined);
}

/** Whether it is Supabase's state that kept an image away, and not the image. Its path and id are fixed by then. */
function mayPass(error: unknown): error is ImagenCloudError & SyncResult {
  return isImagenCloudError(error) && error.retryable && error.storagePath !== undefined && error.imageId !== undefined;
}
