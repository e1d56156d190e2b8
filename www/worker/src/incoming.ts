// Where a ticket's upload lies until its commit, and who clears away what was never committed.
import type { User } from "./auth";
import type { Settings } from "./settings";
import { listFolder, type StoredObject, unlinkObjects } from "./storage";
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
 * Removes uploads that no commit can still come for: what was last written longer ago than a ticket lives, all its
 * renewals included, and a margin. Resolves to their number.
 */
export async function removeAbandoned(settings: Settings): Promise<number> {
  const newest = Date.now() - (longestLifeSeconds(settings) + settings.uploadMarginSeconds) * 1000;
  let removed = 0;
  let kept = 0;
  for (let page = 0; page < PAGES; page++) {
    const found = await listFolder(FOLDER, { limit: PAGE, offset: kept }, settings);
    const paths = found.filter((object) => isAbandoned(object, newest)).map(({ name }) => `${FOLDER}/${name}`);
    if (paths.length > 0) await unlinkObjects(paths, settings);
    removed += paths.length;
    kept += found.length - paths.length;
    if (found.length < PAGE) break;
  }
  return removed;
}

/** What has another name, or no time, is not ours to judge. */
function isAbandoned({ name, writtenAt }: StoredObject, newest: number): boolean {
  return OURS.test(name) && writtenAt !== undefined && writtenAt <= newest;
}
