// What the last tries to reach Supabase came to. When several of them in a row hung, for more than one user, the next
// images are not sent to wait for the same: they are staged at once, for some seconds, and then one of them tries again.
// It is plain data, as all that requests share here is.

/** So many tries in a row have to hang before others stop trying, */
const TRIES = 3;
/** of so many users: what one sends must not decide for all. */
const USERS = 2;
/** A try that hung longer ago says nothing of now. */
const REMEMBERED_MS = 60_000;
/** How many are remembered. */
const MOST = 32;
/** How long nobody tries. */
const PAUSE_MS = 5_000;
/** How long the one that tries again may take, beside its bytes, */
const PROBE_MS = 2_000;
/** which come to Supabase at this rate at least, once it answers. */
const BYTES_PER_MS = 1_000;

/** How long an image of that many bytes may take that tries again, in ms. */
export function probeMs(bytes: number): number {
  return PROBE_MS + bytes / BYTES_PER_MS;
}

/** What the next one is to do. */
export type Advice = "try" | "probe" | "stage";

export class Outage {
  #hung: { user: string; at: number }[] = [];
  #pausedUntil = 0;

  /** Who is told to `probe` has to say what came of it. */
  advise(): Advice {
    const now = Date.now();
    this.#hung = this.#hung.filter(({ at }) => at + REMEMBERED_MS > now);
    if (!this.#isLasting()) return "try";
    if (now < this.#pausedUntil) return "stage";
    // All others wait for what it finds, or for as long as a small image may take: it may end without a word.
    this.#pausedUntil = now + 2 * PROBE_MS;
    return "probe";
  }

  /** Supabase answered in time, whatever it said. */
  answered(): void {
    this.#hung = [];
  }

  /** A try of this user's got no answer in time. */
  hung(user: string): void {
    const now = Date.now();
    this.#hung.push({ user, at: now });
    // The last ones of each user are enough, and one user's do not push out another's.
    this.#hung = this.#hung.filter(({ user }, index) => this.#later(user, index) < TRIES).slice(-MOST);
    if (this.#isLasting()) this.#pausedUntil = Math.max(this.#pausedUntil, now + PAUSE_MS);
  }

  #isLasting(): boolean {
    return this.#hung.length >= TRIES && new Set(this.#hung.map(({ user }) => user)).size >= USERS;
  }

  #later(user: string, index: number): number {
    return this.#hung.slice(index + 1).filter((other) => other.user === user).length;
  }
}

/** The isolate's own. */
export const outage = new Outage();
