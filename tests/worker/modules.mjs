// One module of the Worker by itself, in Node: what it does by plain data and a clock can be counted here.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const fromWrangler = createRequire(createRequire(import.meta.url).resolve("wrangler/package.json"));
const esbuild = fromWrangler("esbuild");
const PACKAGE = new URL("../../pkg/node.js", import.meta.url).href;

/** @param {string} name such as `slots.ts`. Each call gives a fresh one. */
export async function importModule(name) {
  const { outputFiles } = await esbuild.build({
    entryPoints: [fileURLToPath(new URL(`../../www/worker/src/${name}`, import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    plugins: [
      {
        name: "package",
        setup: (build) => build.onResolve({ filter: /^imagen-cloud$/ }, () => ({ path: PACKAGE, external: true })),
      },
    ],
  });
  const folder = await mkdtemp(join(tmpdir(), "imagen-cloud-module-"));
  try {
    const file = join(folder, "module.mjs");
    await writeFile(file, outputFiles[0].contents);
    return await import(pathToFileURL(file));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Of the host. A test may start two clocks: what the second one found is the first one's. */
const REAL = { now: Date.now, setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

/** A clock that goes when it is told to, in the place of `Date.now` and `setTimeout`. */
export function startClock(t) {
  let now = 1_000_000;
  const sleepers = [];
  Date.now = () => now;
  globalThis.setTimeout = (resolve, ms) => {
    const sleeper = { at: now + ms, resolve };
    sleepers.push(sleeper);
    return sleeper;
  };
  globalThis.clearTimeout = (sleeper) => {
    const index = sleepers.indexOf(sleeper);
    if (index >= 0) sleepers.splice(index, 1);
  };
  const stop = () => {
    Date.now = REAL.now;
    globalThis.setTimeout = REAL.setTimeout;
    globalThis.clearTimeout = REAL.clearTimeout;
  };
  t.after(stop);
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    settle,
    /** Before the test's end. */
    stop,
    /** All who sleep never wake up: what becomes of requests whose client goes away. */
    kill: () => sleepers.splice(0),
    async advance(ms) {
      const end = now + ms;
      for (;;) {
        await settle();
        sleepers.sort((a, b) => a.at - b.at);
        if (sleepers.length === 0 || sleepers[0].at > end) break;
        const next = sleepers.shift();
        now = Math.max(now, next.at);
        next.resolve();
      }
      now = end;
    },
  };
}
