// What takes long to start and keeps nothing of one file for another: once a process, ended after all tests. (suite.mjs loads
// this before any file.)
import { after } from "node:test";

/** @type {Map<string, Promise<{ close: () => Promise<void> }>>} */
const started = new Map();

/**
 * @template {{ close: () => Promise<void> }} T
 * @param {string} what who asks for the same gets the same
 * @param {() => Promise<T>} start
 * @returns {Promise<T>}
 */
export function shared(what, start) {
  if (!started.has(what)) started.set(what, start());
  return started.get(what);
}

after(async () => {
  for (const starting of started.values()) await (await starting.catch(() => undefined))?.close();
});
