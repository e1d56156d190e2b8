/**
 * Runs test files one after the other in this process: `node tests/suite.mjs FILE...`. What they share, PGlite's and
 * supabase-js's compiled code above all, is loaded once. A file that hangs is given up, and says at which test.
 */
import { resolve } from "node:path";
import { describe } from "node:test";
import { pathToFileURL } from "node:url";

const FILE_LIMIT_MS = 5 * 60_000;

// Its tests run when all files are registered, each file's with its own before and after.
describe("all files", async () => {
  await import("./support/shared.mjs");
  for (const file of process.argv.slice(2)) {
    await new Promise((registered, failed) => {
      describe(file, { timeout: FILE_LIMIT_MS }, () => import(pathToFileURL(resolve(file))).then(registered, failed));
    });
  }
});
