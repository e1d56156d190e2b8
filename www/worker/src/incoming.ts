// Where a ticket's upload lies until its commit, and who clears away what was never committed.
import type { User } from "./auth";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { listFolder, removeObject, reserveObject, type StoredObject, unlinkObjects } from "./storage";
import { longestLifeSeconds } from "./ticket";

/** In no user's folder: only an upload token writes there, and nobody reads. Flat, so that one list finds the oldest. */
const FOLDER = ".incoming";
const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const OURS = new RegExp(`^${UUID}\\.${UUID}(?:\\.${UUID})?$`);

/** One run's share: two requests a page, and a Worker may make 50 in all. What is left over has time. */
const PAGES = 10;
const PAGE = 100;

/** Where the upload token writes. */
export function incomingPath(imageId: string, user: User): string {
  return `${FOLDER}/${user.id}.${imageId}`;
}

/** A place for one commit's own copy: no upload token reaches it, nor another commit. */
export function heldPath(imageId: string, user: User): string {
  return `${incomingPath(imageId, user)}.${crypto.randomUUID()}`;
}

/**
 * Throws when as many of the user's uploads as there may be wait for their commit. One that is being asked for again, for
 * another ticket, is among them. Each has its place before it is counted, so that of many that are asked for at once none is
 * overlooked.
 */
export async function openUpload(imageId: string, user: User, settings: Settings): Promise<void> {
  const path = incomingPath(imageId, user);
  if (!(await reserveObject(path, settings))) return;
  const limit = settings.maxOpenUploads;
  const open = await listFolder(FOLDER, { limit: limit + 1, offset: 0, search: `${user.id}.` }, settings);
  if (open.length <= limit) return;
  await removeObject(path, settings);
  const detail = `${limit} of your uploads have not been committed. Commit some of them first.`;
  throw new Problem("rate_limited", { detail, retryAfterSeconds: 60 });
}

/** What one run came to. */
export interface Cleared {
  removed: number;
  /** How many of the folder's oldest objects the next run may pass over: they were looked at, and stay. */
  passed: number;
}

/**
 * Removes uploads that no commit can still come for: what was last written longer ago than a ticket lives, all its
 * renewals included, and a margin; and places to which nothing came in a ticket's own life, so that who asks and never uploads
 * may soon ask again. The oldest come first, so an upload that is written again and again stands in nobody's way; what is
 * older and stays is passed over when a run could not see beyond it.
 */
export async function removeAbandoned(settings: Settings, passed = 0): Promise<Cleared> {
  const ago = (seconds: number) => Date.now() - seconds * 1000;
  const newest = {
    upload: ago(longestLifeSeconds(settings) + settings.uploadMarginSeconds),
    place: ago(settings.ticketTtlSeconds),
  };
  let removed = 0;
  let offset = passed;
  for (let page = 0; page < PAGES; page++) {
    const found = await listFolder(FOLDER, { limit: PAGE, offset }, settings);
    const paths = found.filter((object) => isAbandoned(object, newest)).map(({ name }) => `${FOLDER}/${name}`);
    if (paths.length > 0) await unlinkObjects(paths, settings);
    removed += paths.length;
    offset += found.length - paths.length;
    const isEnd = found.length < PAGE || found.some(({ writtenAt = 0 }) => writtenAt > newest.place);
    if (isEnd) return { removed, passed: 0 };
  }
  return { removed, passed: offset };
}

/** What has another name, or no time, is not ours to judge. */
function isAbandoned(
  { name, writtenAt, isReserved }: StoredObject,
  newest: { upload: number; place: number },
): boolean {
  return OURS.test(name) && writtenAt !== undefined && writtenAt <= (isReserved ? newest.place : newest.upload);
}
