// The small picture that may come with an image: stored beside it, under its path with `.thumb` behind it, for galleries.
import { isImagenCloudError, type SyncRequest, type SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { putThumbnail, removeObject } from "./storage";
import { findRowsAt, plan, unshared } from "./supabase";
import { within } from "./timer";

/** How much longer than its image it may take: a part of the time that the image has. */
const GRACE = 1 / 5;
/** The same of the removal of one that is another image's. */
const STRAY_GRACE = 1 / 10;

/** Characters of an object's name behind its folders. */
const LONGEST_NAME = 255;

/** A small picture that is one. */
export interface Thumbnail {
  /** Where it belongs. */
  path: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** As its first bytes say. */
  mimeType: string;
}

/** Refuses what is no image. `request` is that of the image which it goes beside. */
export async function checkThumbnail(
  bytes: Uint8Array<ArrayBuffer> | undefined,
  request: SyncRequest,
  { storagePath }: SyncResult,
  user: User,
  settings: Settings,
): Promise<Thumbnail | undefined> {
  if (bytes === undefined) return undefined;
  // What the image is called says nothing of it.
  const own = { ...request, image: unshared(bytes), mimeType: undefined, ext: undefined } as unknown as SyncRequest;
  const { mimeType } = await plan(own, user, settings).catch((cause: unknown) => {
    if (!isImagenCloudError(cause) || cause.code !== "invalid_image") throw cause;
    throw new Problem("invalid_image", { detail: "The part thumbnail is no image.", field: "thumbnail", cause });
  });
  const path = pathBeside(storagePath);
  return path === undefined ? undefined : { path, bytes, mimeType };
}

/** None where Storage's file backend does not take the name, which is ASCII. The package has no small picture there either. */
function pathBeside(storagePath: string): string | undefined {
  const path = `${storagePath}.thumb`;
  return path.length - (path.lastIndexOf("/") + 1) <= LONGEST_NAME ? path : undefined;
}

/**
 * Does what is to be done for an image, and stores its small picture meanwhile: whatever becomes of that, nothing else fails. Where
 * none is stored, that of an earlier image at `place` is removed, which would be shown with this one; so is its own where Storage
 * refuses the image for good. An image that is there already has no `place`: sent again it changes nothing. `limitMs` is how long
 * the work may take.
 */
export async function withThumbnail<T>(
  thumbnail: Thumbnail | undefined,
  place: SyncResult | undefined,
  settings: Settings,
  limitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const stored = thumbnail && putThumbnail(thumbnail, settings, stop.signal).catch(() => false);
  // Beside the image, where it has to be known for certain.
  const taken = stored === undefined ? isTaken(place, settings) : undefined;
  const isStored = async () => stored !== undefined && (await within(limitMs * GRACE, stored)) === true;
  try {
    const done = await work();
    if (!(await isStored())) {
      stop.abort();
      const clear = async () => {
        if (await (taken ?? isTaken(place, settings))) await removeBeside(place, settings);
      };
      await within(limitMs * STRAY_GRACE, clear());
    }
    return done;
  } catch (error) {
    const isRefused = isImagenCloudError(error) && error.stage === "upload" && !error.retryable;
    if (isRefused && (await isStored())) await within(limitMs * STRAY_GRACE, removeBeside(place, settings));
    throw error;
  } finally {
    // What comes after the image was removed again would stay.
    stop.abort();
  }
}

/** Whether another image has been at the place. An answer that does not come keeps nothing from arriving. */
async function isTaken(place: SyncResult | undefined, settings: Settings): Promise<boolean> {
  // A name that holds a part of the id is no other image's.
  if (place === undefined || place.storagePath.includes(place.imageId.slice(-12))) return false;
  const rows = await findRowsAt(place.storagePath, settings, { most: 2 }).catch(() => []);
  return rows.some(({ id }) => id !== place.imageId);
}

async function removeBeside(place: SyncResult | undefined, settings: Settings): Promise<void> {
  const path = place && pathBeside(place.storagePath);
  if (path !== undefined) await removeObject(path, settings);
}
