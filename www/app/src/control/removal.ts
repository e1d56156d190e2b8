import { isImagenCloudError, type Sink } from "imagen-cloud/outbox";
import { adviceFor, codeOf } from "../advice";
import { announce } from "../announce";
import { focusOn } from "../focus";
import { quoted } from "../name";
import { state, type Tile } from "../state";
import { type Gallery, tileId } from "./gallery";

const { removed } = state;

/** How long a deletion can be undone, in ms. */
const UNDO_MS = 8000;

/** Deletes pictures for good, after a while in which that can be undone. */
export class Removal {
  #sink: Promise<Sink> | undefined;
  #owner = "";
  #due: ReturnType<typeof setTimeout> | undefined;
  /** What was to be deleted when a page was left. */
  #left: ReturnType<typeof setTimeout>[] = [];
  /** Deletions that are under way. */
  #working = new Set<Promise<void>>();

  constructor(private readonly gallery: Gallery) {}

  /** For this user; what was to be deleted when a page was left is deleted when it can't be undone in any other. */
  open(sink: Promise<Sink>, owner: string): void {
    this.#sink = sink;
    this.#owner = owner;
    for (const [id, dueAt] of kept(owner)) {
      this.gallery.take(id);
      const wait = Math.max(0, Math.min(dueAt - Date.now(), UNDO_MS));
      this.#left.push(setTimeout(() => this.#leftIsDue(id), wait));
    }
  }

  /** It could be undone in another page, or was deleted by that. */
  #leftIsDue(id: string): void {
    if (kept(this.#owner).has(id)) this.#work({ id, tile: undefined });
    else this.gallery.giveBack(id);
  }

  /** What was not deleted yet stays. */
  close(): void {
    for (const timer of [this.#due, ...this.#left.splice(0)]) clearTimeout(timer);
    removed.value = undefined;
    this.#sink = undefined;
  }

  /** Out of sight at once, and deleted when nobody has asked for it back. */
  begin(tile: Tile): void {
    this.#now();
    keep(this.#owner, (dueAt) => dueAt.set(tile.row.id, Date.now() + UNDO_MS));
    const next = this.gallery.take(tile.row.id);
    removed.value = { tile, next, problem: "" };
    this.#due = setTimeout(() => this.#now(), UNDO_MS);
    announce(`${quoted(tile.row.prompt)} is deleted. You can undo that for some seconds.`);
    focusOn("undo");
  }

  undo(): void {
    const tile = removed.value?.tile;
    if (!tile) return;
    clearTimeout(this.#due);
    removed.value = undefined;
    this.#putBack(tile);
    announce(`${quoted(tile.row.prompt)} is back.`);
    focusOn(tileId(tile.row.id));
  }

  /** Tries once more what could not be deleted. */
  again(): void {
    const tile = removed.value?.tile;
    if (tile) this.begin(tile);
  }

  dismiss(): void {
    this.#leave();
  }

  /** It was deleted elsewhere, and can't be undone here any more. */
  gone(id: string): void {
    if (removed.value?.tile.row.id !== id) return;
    clearTimeout(this.#due);
    keep(this.#owner, (dueAt) => dueAt.delete(id));
    this.#leave();
  }

  /** Deletes at once what could still be undone, and waits for all that is being deleted. */
  async finish(): Promise<void> {
    this.#now();
    await Promise.all(this.#working);
  }

  #now(): void {
    clearTimeout(this.#due);
    const now = removed.value;
    this.#leave();
    if (now && now.problem === "") this.#work({ id: now.tile.row.id, tile: now.tile });
  }

  /** The keyboard goes on at the picture that follows. */
  #leave(): void {
    const hadFocus = document.activeElement?.closest("#removed") !== null;
    const next = removed.value?.next;
    removed.value = undefined;
    if (hadFocus) focusOn(next === undefined ? "gallery-title" : tileId(next));
  }

  #work(what: { id: string; tile: Tile | undefined }): void {
    const work = this.#remove(what).finally(() => this.#working.delete(work));
    this.#working.add(work);
  }

  async #remove({ id, tile }: { id: string; tile: Tile | undefined }): Promise<void> {
    const [sink, owner] = [this.#sink, this.#owner];
    if (!sink) return;
    this.gallery.take(id);
    try {
      await (await sink).remove({ imageId: id });
      keep(owner, (dueAt) => dueAt.delete(id));
    } catch (error) {
      if (sink !== this.#sink) return;
      // Without an answer it is deleted with the next visit, as is what nobody here could try again; what was refused stays.
      if (codeOf(error) === "network" || (!tile && isImagenCloudError(error) && error.retryable)) return;
      keep(owner, (dueAt) => dueAt.delete(id));
      if (!tile) {
        this.gallery.giveBack(id);
        return;
      }
      this.#putBack(tile);
      removed.value = { tile, next: undefined, problem: adviceFor(error).title };
    }
  }

  #putBack(tile: Tile): void {
    keep(this.#owner, (dueAt) => dueAt.delete(tile.row.id));
    this.gallery.putBack(tile);
  }
}

const keyOf = (owner: string) => `imagen-cloud-deleting-${owner}`;

/** When each is to be deleted, in ms since 1970. */
function kept(owner: string): Map<string, number> {
  try {
    return new Map(Object.entries(JSON.parse(localStorage.getItem(keyOf(owner)) ?? "{}")));
  } catch {
    return new Map();
  }
}

function keep(owner: string, change: (dueAt: Map<string, number>) => void): void {
  const dueAt = kept(owner);
  change(dueAt);
  try {
    if (dueAt.size > 0) localStorage.setItem(keyOf(owner), JSON.stringify(Object.fromEntries(dueAt)));
    else localStorage.removeItem(keyOf(owner));
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
