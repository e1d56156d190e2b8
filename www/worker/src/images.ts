// One image of a user's, by its id: what became of it, and its removal.
import {
  type ImageRef,
  isImagenCloudError,
  type ListedImage,
  type ListOptions,
  type Removed,
  type Sink,
} from "imagen-cloud";
import type { User } from "./auth";
import { incomingPath } from "./incoming";
import { Problem, type ProblemCode } from "./problem";
import type { Settings } from "./settings";
import { IdShape, ImageShape, ListShape, NO_PATH, read, refuseColumns, ShownShape } from "./shapes";
import { isOwnPath, onceEach, readLink } from "./signed-url";
import { pages } from "./slots";
import type { Staging } from "./staging";
import { removeObject } from "./storage";
import { askForAtMost, findRow, findRowsAt, withSink } from "./supabase";

/** Images of one object that are remembered as removed, of all that go: each takes six requests, and a Worker may make 50 in all. */
const MOST_AT_ONE_PATH = 5;

/**
 * Links to smaller pictures in a list: Storage signs each by a request of its own, and a Worker may make 50 in all. The others are for
 * the issuer's keys (two at most), the rows, a look for more of them, and all small pictures.
 */
const MOST_TRANSFORMED = 45;

/** Bytes of a page's rows at most: 24 of them may have this many, with the longest prompts and sidecars that the Worker takes. */
const LONGEST_PAGE = 8 * 1024 * 1024;
/** What a page has as a rule: so much a row, and room for a single one in any case. */
const USUAL_ROW = 32 * 1024;
const SHORTEST_PAGE = 512 * 1024;

/** An image that is in Supabase, as JSON holds it: a seed has more digits than its numbers. */
interface Listed extends Omit<ListedImage, "seed" | "columns"> {
  seed: string | null;
  columns?: object;
}

interface Page {
  images: Listed[];
  /** Where the next page begins. */
  before: string | null;
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
export function listImages(query: URLSearchParams, user: User, settings: Settings): Promise<Page> {
  const { limit, before } = read(ListShape, onceEach(query, Object.keys(ListShape.entries)));
  const range = { ...(limit !== undefined && { limit }), ...(before !== undefined && { before }) };
  return list(range, query, user, settings);
}

/** Those of the user's images that are meant, as the query wants them told. */
async function list(
  which: Pick<ListOptions, "ids" | "limit" | "before">,
  query: URLSearchParams,
  user: User,
  settings: Settings,
): Promise<Page> {
  const { columns = [], thumbnail } = read(ShownShape, onceEach(query, Object.keys(ShownShape.entries)));
  refuseColumns(columns, settings);
  const link = readLink(query, thumbnail !== undefined);
  if (link?.transform !== undefined && (which.limit ?? 0) > MOST_TRANSFORMED) {
    const detail = `Such a list has ${MOST_TRANSFORMED} images at most.`;
    throw new Problem("invalid_request", { detail, field: "limit" });
  }
  const options: ListOptions<string> = {
    ...which,
    owner: user.id,
    columns,
    signedUrl: link ?? false,
    thumbnail: thumbnail !== undefined,
    deadlineMs: settings.syncDeadlineMs,
  };
  const rows = which.ids?.length ?? which.limit ?? 24;
  const page = await inRoom(rows, user, settings, (sink) => sink.list(options)).catch((error: unknown) => {
    if (!isTooLong(error)) throw error;
    const detail = `The images' texts have more than ${LONGEST_PAGE} bytes together. Ask for fewer at once.`;
    throw new Problem("too_large", { detail, field: "limit" });
  });
  const images = page.images.map(({ seed, columns: own, ...image }) => ({
    ...image,
    seed: seed === null ? null : String(seed),
    ...(columns.length > 0 && { columns: own }),
  }));
  return { images, before: page.before };
}

/** Reads rows in as much room as they take as a rule, or else in as much as they may take. */
async function inRoom<T>(rows: number, user: User, settings: Settings, read: (sink: Sink) => Promise<T>): Promise<T> {
  const reading = (bytes: number) => {
    const work = () => withSink(user, settings, read, { fetch: askForAtMost(bytes) });
    return pages.with(bytes, user.id, settings.bodyWaitMs, work, settings.syncDeadlineMs);
  };
  const usual = Math.min(Math.max(rows * USUAL_ROW, SHORTEST_PAGE), LONGEST_PAGE);
  return reading(usual).catch((error: unknown) => {
    if (!isTooLong(error) || usual === LONGEST_PAGE) throw error;
    return reading(LONGEST_PAGE);
  });
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
  const [page, buried, removal] = await Promise.all([
    list({ ids: [imageId] }, query, user, settings).catch((error: unknown) => {
      if (staged?.owner !== user.id || !isPassing(error)) throw error;
    }),
    staging?.findBuried(imageId).catch(unavailable),
    staging?.findRemoval(imageId).catch(unavailable),
  ]);
  const [image] = page?.images ?? [];
  if (image !== undefined) return image;
  if (removal?.owner === user.id) throw new Problem("image_removed", { imageId });
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
    if (isRowAnothers) {
      await removeUnnamed(goal, user, settings);
      return { imageId, storagePath: goal ?? storagePath };
    }
    return removeFrom(goal, { imageId, storagePath: goal ?? storagePath }, user, settings);
  }
  // Making the same image again makes another row of the same object: all of the user's go with it.
  for (const id of await ownIdsAt(wish.storagePath, user, settings)) await keepAway(id, user, settings, staging);
  return remove({ storagePath: wish.storagePath ?? "" }, user, settings);
}

/** The image, and what an upload of it has left where it was to go: its row may name another place, where it went since. */
async function removeFrom(
  goal: string | undefined,
  image: { imageId: string; storagePath: string | null },
  user: User,
  settings: Settings,
): Promise<Removed> {
  const removed = await remove(image, user, settings);
  if (goal !== removed.storagePath) await removeUnnamed(goal, user, settings);
  return removed;
}

/**
 * Removes what an upload has left without a row. By its path alone the user's images that came there since would go too; of id and
 * path the path counts where no row has the id, and then for an object that no row names.
 */
async function removeUnnamed(storagePath: string | undefined, user: User, settings: Settings): Promise<void> {
  if (storagePath !== undefined) await remove({ imageId: crypto.randomUUID(), storagePath }, user, settings);
}

/** What is known of an image that will not arrive any more. */
interface KeptAway {
  /** Where it was to go, if it was on its way, put aside or removed before: an upload of it may lie there. */
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
  const storagePath = [staged, buried, row].find(isOwn)?.storagePath;
  const mark = await staging?.markRemoved(imageId, { owner: user.id, storagePath }, isOnesOwn).catch(unavailable);
  if (staging !== undefined && mark === undefined) throw new Problem("not_yours");
  if (isOwn(staged)) await staging?.release(imageId).catch(unavailable);
  // What was staged may have been put aside meanwhile.
  const aside = staged === undefined ? buried : await staging?.findBuried(imageId).catch(unavailable);
  if (isOwn(aside)) await staging?.releaseBuried(imageId).catch(unavailable);
  await removeObject(incomingPath(imageId, user), settings);
  const goal = [staged, buried].find(isOwn)?.storagePath ?? mark?.storagePath;
  return { goal, isRowAnothers: row !== undefined && !isOwn(row) };
}

/**
 * Whether the user has removed the image of this id, so that it must not arrive. It is asked before an image is brought and
 * after it: of a mark and an arrival at the same time, whoever is later finds the other.
 */
export async function wasRemoved(imageId: string, user: User, staging: Staging | undefined): Promise<boolean> {
  // A bucket that does not answer keeps no image from Supabase.
  return (await staging?.findRemoval(imageId).catch(() => undefined))?.owner === user.id;
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
 * Removes what a delivery brought after the image's removal, and could not take back any more: it was killed then, or Supabase did
 * not answer. That may be an upload without a row. What is staged is gone by then, so nothing but the mark tells of it.
 */
export async function endRemoval(imageId: string, settings: Settings, staging: Staging): Promise<void> {
  const removal = await staging.findRemoval(imageId);
  if (removal === undefined) return;
  const { owner, storagePath } = removal;
  const row = await findRow(imageId, settings);
  if (row?.owner === owner) await removeFrom(storagePath, { imageId, storagePath: null }, { id: owner }, settings);
  else await removeUnnamed(storagePath, { id: owner }, settings);
}

/** Object, thumbnail and row. */
export async function remove(image: ImageRef, user: User, settings: Settings): Promise<Removed> {
  const call = { deadlineMs: settings.syncDeadlineMs };
  try {
    // Its user may have written any number of rows that name one path. What has been removed of them by then stays so.
    return await inRoom(1, user, settings, (sink) => sink.remove(image, call));
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

function isTooLong(error: unknown): boolean {
  return isImagenCloudError(error) && error.code === "too_large";
}

function isPassing(error: unknown): boolean {
  return isImagenCloudError(error) && error.retryable;
}

function unavailable(cause: unknown): never {
  throw new Problem("unavailable", { cause });
}
