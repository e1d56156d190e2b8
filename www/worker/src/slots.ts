// How much an isolate holds in memory at once: its 128 MB are shared by all its requests, and nobody else counts.
//
// What is shared between requests here is plain data. A promise, a waiter or an AbortController that one request
// makes and another one settles gets a request of workerd's killed as hung, so each waiter looks again by its own
// timer. And an invocation whose client went away may end without its `finally`: so a slot is lent for a time.
import { Problem } from "./problem";

/** Bodies at once. */
const MAX_SLOTS = 16;
/** Bytes of bodies at once. Reading and parsing hold a body up to three times. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Longer than any body may take to come and to be passed on. */
const LENT_FOR_MS = 180_000;

interface Slot {
  bytes: number;
  until: number;
}

const taken = new Set<Slot>();

/** Runs `work`, which holds up to `bytes` in memory, once there is room; 503 where there is none in `waitMs`. */
export async function withSlot<T>(bytes: number, waitMs: number, work: () => Promise<T>): Promise<T> {
  const giveUpAt = Date.now() + waitMs;
  let slot = take(bytes);
  // Looking is work too: who has waited for long looks more seldom.
  for (let looks = 1; slot === undefined; looks += 1) {
    if (Date.now() > giveUpAt) throw new Problem("busy");
    await scheduler.wait((10 + Math.random() * 40) * Math.min(looks, 5));
    slot = take(bytes);
  }
  try {
    return await work();
  } finally {
    taken.delete(slot);
  }
}

/** One body is let in alone, however large. */
function take(bytes: number): Slot | undefined {
  const now = Date.now();
  let used = 0;
  for (const slot of taken) {
    if (slot.until < now) taken.delete(slot);
    else used += slot.bytes;
  }
  if (taken.size > 0 && (taken.size >= MAX_SLOTS || used + bytes > MAX_BYTES)) return undefined;
  const slot = { bytes, until: now + LENT_FOR_MS };
  taken.add(slot);
  return slot;
}
