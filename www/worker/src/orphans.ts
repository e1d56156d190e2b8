// Objects of the bucket that no row names: what an upload left whose row never came.
import type { Settings } from "./settings";
import { unlinkObjects, writtenAt } from "./storage";
import { findOrphans, findRowsAt } from "./supabase";

/** One run's share: four requests each at most, and a Worker may make 50 in all, of which abandoned uploads take 20. */
const MOST = 7;
const THUMB = ".thumb";

/** Removes objects that have had no row for so long, the oldest first. Resolves to how many went. */
export async function removeOrphans(hours: number, settings: Settings): Promise<number> {
  let removed = 0;
  for (const path of await findOrphans(hours, MOST, settings)) {
    // Since they were listed, a row may have come, or another upload to the same path.
    const written = await writtenAt(path, settings);
    const isOld = written !== undefined && written < Date.now() - hours * 3_600_000;
    if (!isOld || (await isNamed(path, settings))) continue;
    await unlinkObjects([path], settings);
    removed += 1;
  }
  return removed;
}

/** A thumbnail is named by its image's row. */
async function isNamed(path: string, settings: Settings): Promise<boolean> {
  const hasRow = async (path: string) => (await findRowsAt(path, settings, { most: 1 })).length > 0;
  return (await hasRow(path)) || (path.endsWith(THUMB) && (await hasRow(path.slice(0, -THUMB.length))));
}
