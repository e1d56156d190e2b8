// The lock of those who share an outbox: whoever has it drains.
import { failed } from "./errors.js";
import { shown, whenLeft } from "./shown.js";
import { within } from "./within.js";

/** How long it is waited for before somebody looks who has it: another tab may have it for hours. */
const PATIENCE_MS = 10_000;
/** So many looks in a row have to find the same trouble: at one the lock may be changing hands. */
const LOOKS = 2;
/** How long a look may take. */
const LOOK_MS = 5000;

/** What is asked of whoever has the lock, and what that answers. */
const ASKED = "Is anybody there?";
const HERE = "Yes";

/** Why a turn came to nothing: who has the lock is silent, or this tab has lost it, or its place in the line, without having been done. */
const SILENT = Symbol("silent");
const LOST = Symbol("lost");

/**
 * A turn under the lock: the signal tells that it was lost, `isMine` asks, whose answer a tab that was silent for long waits for before
 * it does anything.
 * @typedef {{ lost: AbortSignal, isMine: () => Promise<boolean> }} Turn
 */

/**
 * Does `work` under the lock, and gives what comes of it. A lock that nobody has and nobody is given is told of: should it be given
 * after all, nothing is done with it. From a tab that has it and does not answer it is taken: a frozen one keeps it for as long as
 * it is frozen. That tab's `work` hears of it by its signal when it goes on, and is done once more when it is its turn again; so is
 * that of a page that was left for the back/forward cache, when it is shown again.
 * @template T @param {string} name @param {AbortSignal} signal @param {(turn: Turn) => Promise<T>} work @returns {Promise<T>}
 */
export async function withLock(name, signal, work) {
  let outcome = LOST;
  while (outcome === SILENT || outcome === LOST) {
    await shown();
    outcome = await turn(name, signal, work, outcome === SILENT);
  }
  return outcome;
}

async function turn(name, signal, work, isTaking) {
  const asking = new AbortController();
  const stop = () => asking.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  let timer;
  let forget;
  const end = () => {
    forget();
    clearTimeout(timer);
    timer = undefined;
  };
  const refused = new Promise((resolve, reject) => {
    const give = (outcome) => {
      resolve(outcome);
      asking.abort();
    };
    const look = async (free, silent) => {
      const holder = await holderOf(name);
      const looks = holder === undefined ? free + 1 : 0;
      const isSilent = holder !== undefined && !(await isAnswered(name)) && (await holderOf(name)) === holder;
      const silences = isSilent ? silent + 1 : 0;
      if (timer === undefined) return;
      if (looks < LOOKS && silences < LOOKS) {
        timer = setTimeout(look, PATIENCE_MS, looks, silences);
      } else if (silences === LOOKS) {
        give(SILENT);
      } else {
        reject(failed("outbox", "storage_unavailable", "outbox: the browser's Web Locks do not answer"));
        asking.abort();
      }
    };
    timer = setTimeout(look, PATIENCE_MS, 0, 0);
    forget = whenLeft(() => give(LOST));
  });
  const given = owned(name, isTaking ? { steal: true } : { signal: asking.signal }, (turn) => {
    end();
    asking.signal.throwIfAborted();
    return work(turn);
  });
  try {
    return await Promise.race([refused, given]);
  } finally {
    end();
    signal.removeEventListener("abort", stop);
  }
}

/**
 * Does `work` under the lock and answers meanwhile for having it. Where it is lost, that is what comes of it, once `work` has ended:
 * that the lock is free again WebKit tells no page that was in the cache meanwhile.
 */
function owned(name, options, work) {
  return new Promise((resolve, reject) => {
    const lost = new AbortController();
    const begin = async () => {
      const channel = openChannel(`${name}-lock`);
      channel?.addEventListener("message", ({ data }) => data === ASKED && channel.postMessage(HERE));
      const forget = whenLeft(() => lost.abort());
      const holder = holderOf(name);
      // What the browser tells of a taken lock may come after what else a frozen tab has missed.
      const isMine = async () => {
        if ((await holderOf(name)) !== (await holder)) lost.abort();
        return !lost.signal.aborted;
      };
      try {
        return await work({ lost: lost.signal, isMine });
      } finally {
        forget();
        channel?.close();
      }
    };
    const outcome = async () => {
      try {
        const done = await begin();
        return lost.signal.aborted ? LOST : done;
      } catch (error) {
        if (lost.signal.aborted) return LOST;
        throw error;
      }
    };
    const request = navigator.locks.request(name, options, () => {
      const working = outcome();
      resolve(working);
      return working.catch(() => undefined);
    });
    request.catch((error) => {
      lost.abort();
      reject(error);
    });
  });
}

/** Which of the browser's contexts has it, if anybody, and that is told. */
async function holderOf(name) {
  const known = await within(LOOK_MS, navigator.locks.query()).catch(() => undefined);
  return known?.held?.find((lock) => lock.name === name)?.clientId;
}

/** Whether who has it answers; so too where nobody can be asked. */
async function isAnswered(name) {
  const channel = openChannel(`${name}-lock`);
  try {
    const heard = new Promise((resolve) => {
      channel.addEventListener("message", ({ data }) => data === HERE && resolve(true));
    });
    channel.postMessage(ASKED);
    return await within(LOOK_MS, heard).catch(() => false);
  } catch {
    return true;
  } finally {
    channel?.close();
  }
}

/** Without one the other tabs hear nothing, and the outbox works. */
export function openChannel(name) {
  try {
    return new BroadcastChannel(name);
  } catch {
    return undefined;
  }
}
