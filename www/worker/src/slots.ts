// How much an isolate holds in memory at once: its 128 MB are shared by all its requests, and nobody else counts.
//
// What is shared between requests here is plain data. A promise, a waiter or an AbortController that one request
// makes and another one settles gets a request of workerd's killed as hung: so who waits leaves a note, whoever frees
// room writes a slot onto the first one, and each looks at its own note by its own timer. And an invocation whose client
// went away may end without its `finally`: so a slot is lent for a time, and a note counts while it is looked at.
import { Problem } from "./problem";
import { wait } from "./timer";

/** Longer than work may take, beside what it says of itself. */
const LENT_FOR_MS = 120_000;
/** Longer than anybody who is still there leaves a note alone. */
const NOTE_STANDS_MS = 2_000;

/** Places that are looked at by who waits: whoever has more before it looks as seldom as may be. */
const COUNTED = 50;

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
  /** Who has a smaller one has waited longer. */
  number: number;
  seen: number;
  slot: Slot | undefined;
}

/**
 * Room for bodies. Thousands may wait, and each looks again and again: so no look takes longer the more there are.
 */
export class Room {
  readonly #most: Size;
  readonly #share: Size;
  readonly #taken = new Set<Slot>();
  #used: Size = { slots: 0, bytes: 0 };
  /** The same of each user who has some. */
  readonly #usedBy = new Map<string, Size>();
  /** Each user's notes, the longest waiting first. */
  readonly #lines = new Map<string, Set<Note>>();
  /** The first of each line, the longest waiting first: nobody else is to be looked at. */
  readonly #heads: Note[] = [];
  #lastNumber = 0;

  /** `share` is what one user may have of it. */
  constructor(most: Size, share: number) {
    this.#most = most;
    this.#share = { slots: most.slots * share, bytes: most.bytes * share };
  }

  /**
   * Runs `work`, which holds up to `bytes` in memory for a user, once there is room; 503 where there is none in
   * `waitMs`. It is given a way to ask whether somebody waits for its room. `limitMs` is how long the settings let it take.
   */
  async with<T>(
    bytes: number,
    user: string,
    waitMs: number,
    work: (isInTheWay: () => boolean) => Promise<T>,
    limitMs = 60_000,
  ): Promise<T> {
    const slot = await this.#wait({ user, bytes, number: 0, seen: Date.now(), slot: undefined }, waitMs);
    slot.until = Date.now() + limitMs + LENT_FOR_MS;
    try {
      return await work(() => this.#isWaitedFor(slot));
    } finally {
      this.#giveBack(slot);
      this.#letIn();
    }
  }

  async #wait(note: Note, waitMs: number): Promise<Slot> {
    const giveUpAt = note.seen + waitMs;
    try {
      for (;;) {
        note.seen = Date.now();
        // Who was thought gone, or came too late for the room that was given, begins again.
        if (note.slot !== undefined && !this.#taken.has(note.slot)) note.slot = undefined;
        if (note.slot === undefined) this.#join(note);
        this.#letIn();
        if (note.slot !== undefined) return note.slot;
        if (note.seen > giveUpAt) throw new Problem("busy");
        // Looking is work too: who is far behind looks more seldom.
        await wait(Math.min(5 + 5 * this.#before(note), 250) * (0.5 + Math.random()));
      }
    } finally {
      this.#leave(note);
    }
  }

  /** Gives room to those who wait, in their order: nobody passes another one but who waits for their own share only. */
  #letIn(): void {
    const now = Date.now();
    for (const slot of this.#taken) if (slot.until < now) this.#giveBack(slot);
    // Who waits for their own share has some: so there are no more of them than slots.
    for (let at = 0; ; ) {
      const note = this.#heads[at];
      if (note === undefined) return;
      if (note.seen + NOTE_STANDS_MS < now) {
        this.#leave(note);
      } else if (!this.#fitsShare(note)) {
        at += 1;
      } else if (this.#fits(note)) {
        this.#leave(note);
        this.#take(note, now + NOTE_STANDS_MS);
      } else {
        return;
      }
    }
  }

  #join(note: Note): void {
    const line = this.#lines.get(note.user) ?? new Set();
    if (line.has(note)) return;
    this.#lastNumber += 1;
    note.number = this.#lastNumber;
    this.#lines.set(note.user, line.add(note));
    if (line.size === 1) this.#heads.push(note);
  }

  /** Its user's next note is the first then. */
  #leave(note: Note): void {
    const line = this.#lines.get(note.user);
    if (line === undefined || !line.delete(note)) return;
    const at = this.#placeOf(note);
    if (this.#heads[at] === note) {
      this.#heads.splice(at, 1);
      const [next] = line;
      if (next !== undefined) this.#heads.splice(this.#placeOf(next), 0, next);
    }
    if (line.size === 0) this.#lines.delete(note.user);
  }

  /** Where it stands among the first ones, or would. */
  #placeOf({ number }: Note): number {
    let [from, to] = [0, this.#heads.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#heads[middle]?.number ?? number) < number) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** How many are before it, as far as that is counted. */
  #before(note: Note): number {
    let count = 0;
    for (const other of this.#lines.get(note.user) ?? []) {
      if (other === note) return count + this.#placeOf(note);
      count += 1;
      if (count === COUNTED) break;
    }
    return count;
  }

  #take(note: Note, until: number): void {
    const { user, bytes } = note;
    note.slot = { user, bytes, until };
    this.#taken.add(note.slot);
    this.#count(note.slot, 1);
  }

  #giveBack(slot: Slot): void {
    if (this.#taken.delete(slot)) this.#count(slot, -1);
  }

  #count({ user, bytes }: Slot, sign: 1 | -1): void {
    const plus = (used: Size) => ({ slots: used.slots + sign, bytes: used.bytes + sign * bytes });
    this.#used = plus(this.#used);
    const own = plus(this.#usedBy.get(user) ?? { slots: 0, bytes: 0 });
    if (own.slots > 0) this.#usedBy.set(user, own);
    else this.#usedBy.delete(user);
  }

  #fits({ bytes }: Note): boolean {
    return isWithin(this.#used, bytes, this.#most);
  }

  #fitsShare({ user, bytes }: Note): boolean {
    return isWithin(this.#usedBy.get(user), bytes, this.#share);
  }

  /** Not by those who wait for their own share only, unless it is a part of it. */
  #isWaitedFor({ user }: Slot): boolean {
    // Then nobody is left of whom nothing has been seen, before the first one who waits for more than their share.
    this.#letIn();
    return this.#lines.has(user) || this.#heads.some((note) => this.#fitsShare(note));
  }
}

/** One body is let in alone, however large. */
function isWithin(used: Size | undefined, bytes: number, most: Size): boolean {
  if (used === undefined || used.slots === 0) return true;
  return used.slots < most.slots && used.bytes + bytes <= most.bytes;
}

/** For what users send. */
export const uploads = new Room({ slots: 16, bytes: 32 * 1024 * 1024 }, 1 / 4);
/**
 * For requests of tickets, without their images: each may hold its JSON, which takes many times its size once it is parsed, and a
 * small picture.
 */
export const descriptions = new Room({ slots: 64, bytes: 8 * 1024 * 1024 }, 1 / 4);
/**
 * For pages of lists, which hold whatever prompts and sidecars their user has written, several times over until they are answered, and
 * for the rows that a removal looks at, of which a user may have written any number.
 */
export const pages = new Room({ slots: 64, bytes: 16 * 1024 * 1024 }, 1 / 4);
/** For what the queue brings, so that neither waits for the other. */
export const deliveries = new Room({ slots: 4, bytes: 16 * 1024 * 1024 }, 1);
