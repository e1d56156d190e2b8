// One image of a user's, by its id: what became of it, and its removal.
import { type ImageRef, isImagenCloudError, type ListedImage, type ListOptions, type Removed } from "imagen-cloud";
import type { User } from "./auth";
import { incomingPath } from "./incoming";
import { Problem, type ProblemCode } from "./problem";
import type { Settings } from "./settings";
import { IdShape, ImageShape, ListShape, NO_PATH, read, refuseColumns } from "./shapes";
import { isOwnPath, onceEach, readLink } from "./signed-url";
import type { Staging } from "./staging";
import { removeObject } from "./storage";
import { findRow, findRowsAt, withSink } from "./supabase";

/** Images of one object that are remembered as removed, of all that go: each takes six requests, and a Worker may make 50 in all. */
const MOST_AT_ONE_PATH = 5;

/** An image that is in Supabase, as JSON holds it: a seed has more digits than its numbers. */
interface Listed extends Omit<ListedImage, "seed" | "columns"> {
  seed: string | null;
  columns?: object;
}

/** An image that is not. */
interface Known {
  imageId: string;
  storagePath: string;
  /** It is safe, but not in Supabase yet. */
  queued?: true;
  /** It was taken, and then refused: so it will not arrive. */
  refused?: ProblemCode;
}

/** A page of the user's images, the newest first, with links where the query asks for them. */
export async function listImages(
  query: URLSearchParams,
  user: User,
  settings: Settings,
  ids?: string[],
): Promise<{ images: Listed[]; before: string | null }> {
  const { limit, before, columns = [], thumbnail } = read(ListShape, onceEach(query, Object.keys(ListShape.entries)));
  refuseColumns(columns, settings);
  const link = readLink(query, thumbnail !== undefined);
  const options: ListOptions<string> = {
    owner: user.id,
    columns,
    signedUrl: link ?? false,
    thumbnail: thumbnail !== undefined,
    deadlineMs: settings.syncDeadlineMs,
    ...(limit !== undefined && { limit }),
    ...(before !== undefined && { before }),
    ...(ids !== undefined && { ids }),
  };
  const page = await withSink(user, settings, (sink) => sink.list(options));
  const images = page.images.map(({ seed, columns: own, ...image }) => ({
    ...image,
    seed: seed === null ? null : String(seed),
    ...(columns.length > 0 && { columns: own }),
  }));
  return { images, before: page.before };
}

/**
 * What became of the user's image: it is there, on its way, or was refused. Throws where its user removed it, and where
 * there is none; another user's is none.
 */
export async function findImage(
  id: string,
  query: URLSearchParams,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
): Promise<Listed | Known> {
  const { imageId } = read(IdShape, { imageId: id });
  // First where it leaves, then where it goes, so that none is missed between the two.
  const staged = await staging?.find(imageId).catch(unavailable);
  const [page, buried, remover] = await Promise.all([
    listImages(query, user, settings, [imageId]).catch((error: unknown) => {
      if (staged?.owner !== user.id || !isPassing(error)) throw error;
    }),
    staging?.findBuried(imageId).catch(unavailable),
    staging?.findRemover(imageId).catch(unavailable),
  ]);
  const [image] = page?.images ?? [];
  if (image !== undefined) return image;
  if (remover === user.id) throw new Problem("image_removed", { imageId });
  if (staged?.owner === user.id) return { imageId, storagePath: staged.storagePath, queued: true };
  if (buried?.owner === user.id) {
    return { imageId, storagePath: buried.storagePath, refused: buried.code };
  }
  throw new Problem("not_found");
}

/**
 * Removes an image of the user's, by its id, its path or both, also one that is still on its way: a mark keeps it from
 * arriving later. May be repeated, and has to be where it failed.
 */
export async function removeImage(
  given: { imageId?: string | undefined; storagePath?: string | undefined },
  user: User,
  settings: Settings,
  staging: Staging | undefined,
): Promise<Removed> {
  const wish = read(ImageShape, given);
  if (wish.storagePath !== undefined && !isOwnPath(wish.storagePath, user)) throw new Problem("not_yours");
  if (wish.imageId !== undefined) {
    const { imageId, storagePath = null } = wish;
    const { goal, isRowAnothers } = await keepAway(imageId, user, settings, staging);
    // Another user's image has its id: so it was put aside, and there is no row of it.
    if (isRowAnothers) return { ...(await remove({ storagePath: goal ?? "" }, user, settings)), imageId };
    const removed = await remove({ imageId, storagePath: goal ?? storagePath }, user, settings);
    // Its row may name another place, where it went after it had been refused.
    if (goal !== undefined && goal !== removed.storagePath)
      await remove({ imageId, storagePath: goal }, user, settings);
    return removed;
  }
  // Making the same image again makes another row of the same object: all of the user's go with it.
  for (const id of await ownIdsAt(wish.storagePath, user, settings)) await keepAway(id, user, settings, staging);
  return remove({ storagePath: wish.storagePath ?? "" }, user, settings);
}

/** What is known of an image that will not arrive any more. */
interface KeptAway {
  /** Where it was to go, if it was on its way or put aside: an upload of it may lie there. */
  goal: string | undefined;
  /** The row of its id is another user's. */
  isRowAnothers: boolean;
}

/** Sees to it that nothing of the user's image arrives any more. */
async function keepAway(
  imageId: string,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
): Promise<KeptAway> {
  const [staged, buried] = await Promise.all([
    staging?.find(imageId).catch(unavailable),
    staging?.findBuried(imageId).catch(unavailable),
  ]);
  const isOwn = (known: { owner: string } | undefined) => known?.owner === user.id;
  // What is on its way is dropped while Supabase is down, too; what is there waits.
  const row = await findRow(imageId, settings).catch((cause: unknown): undefined => {
    if (!isOwn(staged)) unavailable(cause);
  });
  const known = [row, staged, buried];
  const isOnesOwn = known.some(isOwn);
  if (!isOnesOwn && known.some((one) => one !== undefined)) throw new Problem("not_yours");
  const isMarked = await staging?.markRemoved(imageId, user.id, isOnesOwn).catch(unavailable);
  if (isMarked === false) throw new Problem("not_yours");
  if (isOwn(staged)) await staging?.release(imageId).catch(unavailable);
  // What was staged may have been put aside meanwhile.
  const aside = staged === undefined ? buried : await staging?.findBuried(imageId).catch(unavailable);
  if (isOwn(aside)) await staging?.releaseBuried(imageId).catch(unavailable);
  await removeObject(incomingPath(imageId, user), settings);
  const goal = [staged, buried].find(isOwn)?.storagePath;
  return { goal, isRowAnothers: row !== undefined && !isOwn(row) };
}

/**
 * Whether the user has removed the image of this id, so that it must not arrive. It is asked before an image is brought and
 * after it: of a mark and an arrival at the same time, whoever is later finds the other.
 */
export async function wasRemoved(imageId: string, user: User, staging: Staging | undefined): Promise<boolean> {
  // A bucket that does not answer keeps no image from Supabase.
  return (await staging?.findRemover(imageId).catch(() => undefined)) === user.id;
}

/** Removes what came of an image all the same, and refuses it. */
export async function refuseRemoved(
  { imageId, storagePath }: { imageId: string; storagePath: string },
  user: User,
  settings: Settings,
): Promise<never> {
  await remove({ imageId, storagePath }, user, settings);
  throw new Problem("image_removed", { imageId });
}

/**
 * Removes an image that a delivery brought after its removal, and could not take back any more: it was killed then, or Supabase did
 * not answer. What is staged is gone by then, so nothing but the mark tells of it.
 */
export async function endRemoval(imageId: string, settings: Settings, staging: Staging): Promise<void> {
  const remover = await staging.findRemover(imageId);
  if (remover === undefined) return;
  const row = await findRow(imageId, settings);
  if (row?.owner === remover) await remove({ imageId }, { id: remover }, settings);
}

/** Object, thumbnail and row. */
export async function remove(image: ImageRef, user: User, settings: Settings): Promise<Removed> {
  const call = { deadlineMs: settings.syncDeadlineMs };
  try {
    return await withSink(user, settings, (sink) => sink.remove(image, call));
  } catch (error) {
    throw isImagenCloudError(error) && error.code === "forbidden" ? new Problem("forbidden", { cause: error }) : error;
  }
}

/** The newest of the user's images that are this object: as many as a Worker's requests are enough for. */
async function ownIdsAt(storagePath: string | undefined, user: User, settings: Settings): Promise<string[]> {
  if (storagePath === undefined) throw new Problem("invalid_request", { detail: NO_PATH, field: "storagePath" });
  const rows = await findRowsAt(storagePath, settings, { owner: user.id, most: MOST_AT_ONE_PATH }).catch(unavailable);
  return rows.map(({ id }) => id);
}

function isPassing(error: unknown): boolean {
  return isImagenCloudError(error) && error.retryable;
}

function unavailable(cause: unknown): never {
  throw new Problem("unavailable", { cause });
}
