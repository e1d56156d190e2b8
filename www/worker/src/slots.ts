// How much an isolate holds in memory at once: its 128 MB are shared by all its requests, and nobody else counts.
//
// What is shared between requests here is plain data. A promise, a waiter or an AbortController that one request
// makes and another one settles gets a request of workerd's killed as hung: so who waits leaves a note, whoever frees
// room writes a slot onto the first one, and each looks at its own note by its own timer. And an invocation whose client
// went away may end without its `finally`: so a slot is lent for a time, and a note counts while it is looked at.
import { Problem } from "./problem";
import { wait } from "./timer";

/** Longer than any body may take to come and to be passed on. */
const LENT_FOR_MS = 180_000;
/** Longer than anybody who is still there leaves a note alone. */
const NOTE_STANDS_MS = 2_000;

interface Size {
  slots: number;
  bytes: number;
}

interface Slot {
  user: string;
  bytes: number;
  until: number;
}

interface Note {
  user: string;
  bytes: number;
  seen: number;
  slot: Slot | undefined;
}

/** Room for bodies. */
export class Room {
  readonly #most: Size;
  readonly #share: Size;
  readonly #taken = new Set<Slot>();
  /** Who waits, the longest first. */
  readonly #notes = new Set<Note>();

  /** `share` is what one user may have of it. */
  constructor(most: Size, share: number) {
    this.#most = most;
    this.#share = { slots: most.slots * share, bytes: most.bytes * share };
  }

  /**
   * Runs `work`, which holds up to `bytes` in memory for a user, once there is room; 503 where there is none in
   * `waitMs`. It is given a way to ask whether somebody waits for its room.
   */
  async with<T>(
    bytes: number,
    user: string,
    waitMs: number,
    work: (isInTheWay: () => boolean) => Promise<T>,
  ): Promise<T> {
    const slot = await this.#wait({ user, bytes, seen: Date.now(), slot: undefined }, waitMs);
    slot.until = Date.now() + LENT_FOR_MS;
    try {
      return await work(() => this.#isWaitedFor(slot));
    } finally {
      this.#taken.delete(slot);
      this.#letIn();
    }
  }

  async #wait(note: Note, waitMs: number): Promise<Slot> {
    const giveUpAt = note.seen + waitMs;
    try {
      for (;;) {
        note.seen = Date.now();
        // Who was thought gone, or came too late for the room that was given, begins again.
        this.#notes.add(note);
        if (note.slot !== undefined && !this.#taken.has(note.slot)) note.slot = undefined;
        this.#letIn();
        if (note.slot !== undefined) return note.slot;
        if (note.seen > giveUpAt) throw new Problem("busy");
        // Looking is work too: who is far behind looks more seldom.
        await wait(Math.min(5 + 5 * this.#before(note), 250) * (0.5 + Math.random()));
      }
    } finally {
      this.#notes.delete(note);
    }
  }

  /** Gives room to those who wait, in their order: nobody passes another one but who waits for their own share only. */
  #letIn(): void {
    const now = Date.now();
    for (const slot of this.#taken) if (slot.until < now) this.#taken.delete(slot);
    const passed = new Set<string>();
    for (const note of this.#notes) {
      if (note.slot !== undefined) continue;
      if (note.seen + NOTE_STANDS_MS < now) {
        this.#notes.delete(note);
      } else if (passed.has(note.user) || !this.#fitsShare(note)) {
        passed.add(note.user);
      } else if (this.#fits(note)) {
        note.slot = { user: note.user, bytes: note.bytes, until: now + NOTE_STANDS_MS };
        this.#taken.add(note.slot);
      } else {
        return;
      }
    }
  }

  /** How many are before it. */
  #before(note: Note): number {
    let count = 0;
    for (const other of this.#notes) {
      if (other === note) break;
      count += 1;
    }
    return count;
  }

  #fits({ bytes }: Note): boolean {
    return isWithin(this.#taken, bytes, this.#most);
  }

  #fitsShare({ user, bytes }: Note): boolean {
    return isWithin(this.#of(user), bytes, this.#share);
  }

  #of(user: string): Set<Slot> {
    return new Set([...this.#taken].filter((slot) => slot.user === user));
  }

  /** Not by those who wait for their own share only, unless it is a part of it. */
  #isWaitedFor({ user }: Slot): boolean {
    const now = Date.now();
    return [...this.#notes].some(
      (note) =>
        note.slot === undefined && note.seen + NOTE_STANDS_MS >= now && (note.user === user || this.#fitsShare(note)),
    );
  }
}

/** One body is let in alone, however large. */
function isWithin(taken: Set<Slot>, bytes: number, most: Size): boolean {
  if (taken.size === 0) return true;
  let used = 0;
  for (const slot of taken) used += slot.bytes;
  return taken.size < most.slots && used + bytes <= most.bytes;
}

/** For what users send. */
export const uploads = new Room({ slots: 16, bytes: 32 * 1024 * 1024 }, 1 / 4);
/**
 * For requests of tickets, without their images: each may hold its JSON, which takes many times its size once it is parsed, and a
 * small picture.
 */
export const descriptions = new Room({ slots: 64, bytes: 8 * 1024 * 1024 }, 1 / 4);
/** For what the queue brings, so that neither waits for the other. */
export const deliveries = new Room({ slots: 4, bytes: 16 * 1024 * 1024 }, 1);
