// The lock of those who share an outbox: whoever has it drains.
import { failed } from "./errors.js";
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

/** Why a turn came to nothing: who has the lock is silent, or took it from this tab, for which it was too silent. */
const SILENT = Symbol("silent");
const TAKEN = Symbol("taken");

/**
 * Does `work` under the lock, and gives what comes of it. A lock that nobody has and nobody is given is told of: should it be given
 * after all, nothing is done with it. From a tab that has it and does not answer it is taken: a frozen one keeps it for as long as
 * it is frozen. That tab's `work` hears of it by its signal when it goes on, and is done once more when it is its turn again.
 * @template T @param {string} name @param {AbortSignal} signal @param {(taken: AbortSignal) => Promise<T>} work @returns {Promise<T>}
 */
export async function withLock(name, signal, work) {
  let outcome = await turn(name, signal, work, false);
  while (outcome === SILENT || outcome === TAKEN) outcome = await turn(name, signal, work, outcome === SILENT);
  return outcome;
}

async function turn(name, signal, work, isTaking) {
  const asking = new AbortController();
  const stop = () => asking.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  let timer;
  let isOver = false;
  const end = () => {
    isOver = true;
    clearTimeout(timer);
  };
  const given = owned(name, isTaking ? { steal: true } : { signal: asking.signal }, (taken) => {
    end();
    return asking.signal.aborted ? undefined : work(taken);
  });
  const refused = new Promise((resolve, reject) => {
    const look = async (free, silent) => {
      const isTaken = await isHeld(name);
      const looks = isTaken ? 0 : free + 1;
      const silences = isTaken && !(await isAnswered(name)) ? silent + 1 : 0;
      if (isOver) return;
      if (looks < LOOKS && silences < LOOKS) {
        timer = setTimeout(look, PATIENCE_MS, looks, silences);
        return;
      }
      if (silences === LOOKS) resolve(SILENT);
      else reject(failed("outbox", "storage_unavailable", "outbox: the browser's Web Locks do not answer"));
      asking.abort();
    };
    timer = setTimeout(look, PATIENCE_MS, 0, 0);
  });
  try {
    return await Promise.race([refused, given]);
  } finally {
    end();
    signal.removeEventListener("abort", stop);
  }
}

/** Does `work` under the lock and answers meanwhile for having it. Where somebody takes it, that is what comes of it, once `work` has ended. */
async function owned(name, options, work) {
  const taken = new AbortController();
  let working;
  let isDone = false;
  const begin = async () => {
    const channel = openChannel(`${name}-lock`);
    channel?.addEventListener("message", ({ data }) => data === ASKED && channel.postMessage(HERE));
    try {
      return await work(taken.signal);
    } finally {
      isDone = true;
      channel?.close();
    }
  };
  try {
    return await navigator.locks.request(name, options, () => {
      working = begin();
      return working;
    });
  } catch (error) {
    if (!working || isDone) throw error;
    taken.abort();
    await working.catch(() => undefined);
    return TAKEN;
  }
}

/** Whether anybody has it; not where there is no answer. */
async function isHeld(name) {
  const known = await within(LOOK_MS, navigator.locks.query()).catch(() => undefined);
  return known?.held?.some((lock) => lock.name === name) ?? false;
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
