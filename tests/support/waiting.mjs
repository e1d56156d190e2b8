// What the tests wait for, by its name: who waits too long says what for.

// The real ones, also while a test has put its own in their place.
const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis;

const LIMIT_MS = 60_000;
const names = new Set();

/**
 * Waits for a promise, up to a limit.
 * @template T
 * @param {string} what as it stands in "waited in vain for …"
 * @param {Promise<T> | T} promise
 * @param {number} [limitMs]
 * @returns {Promise<T>}
 */
export async function waitFor(what, promise, limitMs = LIMIT_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = startTimer(() => reject(new Error(`waited ${limitMs} ms in vain for ${what}${others(what)}`)), limitMs);
  });
  try {
    return await Promise.race([named(what, promise), late]);
  } finally {
    stopTimer(timer);
  }
}

/**
 * Waits for a promise as long as its test, and has a test that is given up tell of it.
 * @template T
 * @param {string} what
 * @param {Promise<T> | T} promise
 * @returns {Promise<T>}
 */
export async function named(what, promise) {
  names.add(what);
  try {
    return await promise;
  } finally {
    names.delete(what);
  }
}

/** What else is waited for, most likely by the one that waits too long. */
function others(what) {
  const open = [...names].filter((name) => name !== what);
  return open.length > 0 ? ` (waited for meanwhile: ${open.join("; ")})` : "";
}
