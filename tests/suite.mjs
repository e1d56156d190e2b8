/**
 * Runs test files one after the other in this process: `node tests/suite.mjs FILE...`. What they share, PGlite's and
 * supabase-js's compiled code above all, is loaded once. Whatever hangs, a test, a hook or a process that does not end
 * after them, is given up after its time and named.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { limitEverything } from "./support/limits.mjs";

const FILE_LIMIT_MS = 10 * 60_000;
const ENDING_LIMIT_MS = 60_000;

let registering = "all files";
limitEverything(() => registering);
// Only now: what has been imported before keeps the functions without limits.
const { after, describe } = await import("node:test");

// Its tests run when all files are registered, each file's with its own before and after.
describe("all files", async () => {
  await import("./support/shared.mjs");
  after(endInTime);
  for (const file of process.argv.slice(2)) {
    registering = file;
    await new Promise((registered, failed) => {
      describe(file, { timeout: FILE_LIMIT_MS }, () => import(pathToFileURL(resolve(file))).then(registered, failed));
    });
  }
});

/** All tests are over; what still keeps the process is no test's any more. */
function endInTime() {
  const late = () => {
    console.error(`the tests are over, and the process does not end; it has: ${process.getActiveResourcesInfo()}`);
    process.exit(1);
  };
  setTimeout(late, ENDING_LIMIT_MS).unref();
}
