// An answer that many requests want at once, and one of them asks for.
//
// What they share is plain data: a promise that one request makes and another one waits for gets a request of workerd's
// killed as hung. So who waits looks again by its own timer, and who asks has a time in which it must be done.

import { wait } from "./timer";

/** What is known so far. */
export interface Shared<T> {
  value?: T;
  /** When it came, in ms since 1970. (Not when it was asked for: an answer that took long is good for who waited.) */
  cameAt: number;
  failedAt: number;
  /** Until then somebody is asking. */
  askingUntil: number;
}

export function nothingYet<T>(): Shared<T> {
  return { cameAt: 0, failedAt: 0, askingUntil: 0 };
}

/** No asking takes longer than that, in ms. */
export const ASKING_MS = 5_000;
/** How long a failure is an answer too, in ms. */
const FAILED_MS = 1_000;

/**
 * What is known, where `isGood` takes it; else one request asks and the others wait for its answer. Throws what asking
 * threw, also for those who waited, and for who comes within a second.
 */
export async function share<T>(
  shared: Shared<T>,
  isGood: (known: Shared<T>) => boolean,
  ask: () => Promise<T>,
): Promise<T> {
  for (;;) {
    if (shared.value !== undefined && isGood(shared)) return shared.value;
    const now = Date.now();
    if (now - shared.failedAt < FAILED_MS) throw new Error("asking failed a moment ago");
    if (now > shared.askingUntil) break;
    await wait(5 + Math.random() * 20);
  }
  shared.askingUntil = Date.now() + ASKING_MS + 1_000;
  try {
    const value = await ask();
    Object.assign(shared, { value, cameAt: Date.now(), failedAt: 0 });
    return value;
  } catch (error) {
    shared.failedAt = Date.now();
    throw error;
  } finally {
    shared.askingUntil = 0;
  }
}
