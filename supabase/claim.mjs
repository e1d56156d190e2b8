// A data folder belongs to one process: two PGlites on the same files would ruin them.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";

/**
 * Claims a folder for this process.
 * @param {string} directory made when it is missing
 * @returns {Promise<() => Promise<void>>} gives it back
 */
export async function claim(directory) {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = path.join(directory, "owner.pid");
  const owner = Number(await readFile(file, "utf8").catch(() => ""));
  if (owner > 0 && isRunning(owner)) {
    throw new Error(
      `${directory} is in use by process ${owner}: end that first (if it is no embedded Supabase, delete ${file})`,
    );
  }
  // A process that was killed left its number.
  await rm(file, { force: true });
  await writeFile(file, String(process.pid), { flag: "wx" });
  return () => rm(file, { force: true });
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
