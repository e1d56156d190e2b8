// Whether the page is shown, or lies in the browser's back/forward cache, from where it may be shown again as it was. WebKit lets
// the transactions that were under way then stay open, which keeps all others out of the database, gives the page's locks to
// others, and forgets those that it waits for.

/** How long it is waited for to be shown again, where the browser does not say so: in the cache no timer runs. */
const PATIENCE_MS = 1000;

const stops = new Set();
let isShown = Promise.resolve();

if (globalThis.document) {
  globalThis.addEventListener("pagehide", ({ persisted }) => {
    if (!persisted) return;
    isShown = new Promise((resolve) => {
      globalThis.addEventListener("pageshow", resolve, { once: true });
      setTimeout(resolve, PATIENCE_MS);
    });
    for (const stop of stops) stop();
  });
}

/** Ends when the page is shown. */
export const shown = () => isShown;

/** Calls `stop` whenever the page is left for that cache, until what this gives is called. @param {() => void} stop */
export function whenLeft(stop) {
  stops.add(stop);
  return () => stops.delete(stop);
}
