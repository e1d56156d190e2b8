// What takes long to start and keeps nothing of one file for another: once a process, ended after all tests. (suite.mjs loads
// this before any file.)
import { after, afterEach } from "node:test";
import { waitFor } from "./waiting.mjs";

/** @type {Map<Function, Promise<{ close: () => Promise<void> }>>} what was started by what */
const started = new Map();

/**
 * @template {{ close: () => Promise<void> }} T
 * @param {() => Promise<T>} start who asks for the same gets the same
 * @returns {Promise<T>}
 */
export function shared(start) {
  if (!started.has(start)) started.set(start, start());
  return started.get(start);
}

/** @type {Set<() => unknown>} what is done after each test */
const mends = new Set();

/**
 * Has faults end with the test that placed them, also where it fails: others would fail by them.
 * @param {() => unknown} mend is called after each test
 * @returns {() => void} what ends that
 */
export function mendAfterEach(mend) {
  mends.add(mend);
  return () => mends.delete(mend);
}

afterEach(async () => {
  for (const mend of mends) await mend();
});

after(async () => {
  for (const [start, starting] of started) {
    const one = await starting.catch(() => undefined);
    await waitFor(`the end of what ${start.name} started`, one?.close());
  }
});
