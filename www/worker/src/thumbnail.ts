// The small picture that may come with an image: stored beside it, under its path with `.thumb` behind it, for galleries.
import { isImagenCloudError, type SyncRequest } from "imagen-cloud";
import type { User } from "./auth";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { putThumbnail } from "./storage";
import { plan, unshared } from "./supabase";
import { timer } from "./timer";

/** How much longer than its image it may take. */
const GRACE_MS = 2_000;

/** A small picture that is one. */
export interface Thumbnail {
  /** Where it belongs. */
  path: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** As its first bytes say. */
  mimeType: string;
}

/** Refuses what is no image. `request` is that of the image which it goes beside, with the image where its place is not known. */
export async function checkThumbnail(
  bytes: Uint8Array<ArrayBuffer> | undefined,
  request: SyncRequest,
  user: User,
  settings: Settings,
  storagePath?: string,
): Promise<Thumbnail | undefined> {
  if (bytes === undefined) return undefined;
  const image = storagePath ?? (await plan(request, user, settings)).storagePath;
  // What the image is called says nothing of it.
  const own = { ...request, image: unshared(bytes), mimeType: undefined, ext: undefined } as unknown as SyncRequest;
  const { mimeType } = await plan(own, user, settings).catch((cause: unknown) => {
    if (!isImagenCloudError(cause) || cause.code !== "invalid_image") throw cause;
    throw new Problem("invalid_image", { detail: "The part thumbnail is no image.", field: "thumbnail", cause });
  });
  return { path: `${image}.thumb`, bytes, mimeType };
}

/** Does what is to be done for an image, and stores its small picture meanwhile: whatever becomes of that, nothing else fails. */
export async function withThumbnail<T>(
  thumbnail: Thumbnail | undefined,
  settings: Settings,
  work: () => Promise<T>,
): Promise<T> {
  if (thumbnail === undefined) return work();
  const stop = new AbortController();
  const stored = putThumbnail(thumbnail, settings, stop.signal).catch(() => {});
  try {
    const done = await work();
    const late = timer(GRACE_MS);
    await Promise.race([stored, late.over]);
    late.stop();
    return done;
  } finally {
    // What comes after the image was removed again would stay.
    stop.abort();
  }
}
