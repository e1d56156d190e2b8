// The lock of those who share an outbox: whoever has it drains.
import { failed } from "./errors.js";
import { within } from "./within.js";

/** How long it is waited for before somebody looks who has it: another tab may have it for hours. */
const PATIENCE_MS = 10_000;
/** So many looks in a row have to find it in nobody's hands: at one it may be changing them. */
const LOOKS = 2;
/** How long a look may take. */
const LOOK_MS = 5000;

/**
 * Does `work` under the lock, and gives what comes of it. A lock that nobody has and nobody is given is told of: should it be given
 * after all, nothing is done with it.
 * @template T @param {string} name @param {AbortSignal} signal @param {() => Promise<T>} work @returns {Promise<T>}
 */
export async function withLock(name, signal, work) {
  const asking = new AbortController();
  const stop = () => asking.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  let timer;
  let isOver = false;
  const given = navigator.locks.request(name, { signal: asking.signal }, () => {
    end();
    return asking.signal.aborted ? undefined : work();
  });
  const refused = new Promise((_, reject) => {
    const look = async (free) => {
      const looks = (await isHeld(name)) ? 0 : free + 1;
      if (isOver) return;
      if (looks < LOOKS) timer = setTimeout(look, PATIENCE_MS, looks);
      else {
        reject(failed("outbox", "storage_unavailable", "outbox: the browser's Web Locks do not answer"));
        asking.abort();
      }
    };
    timer = setTimeout(look, PATIENCE_MS, 0);
  });
  function end() {
    isOver = true;
    clearTimeout(timer);
  }
  try {
    return await Promise.race([refused, given]);
  } finally {
    end();
    signal.removeEventListener("abort", stop);
  }
}

/** Whether anybody has it; not where there is no answer. */
async function isHeld(name) {
  const known = await within(LOOK_MS, navigator.locks.query()).catch(() => undefined);
  return known?.held?.some((lock) => lock.name === name) ?? false;
}
