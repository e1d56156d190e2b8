import type { Sink } from "imagen-cloud/outbox";
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
  /** Deletions that are under way. */
  #working = new Set<Promise<void>>();

  constructor(private readonly gallery: Gallery) {}

  /** For this user; what was to be deleted when the page was left is deleted now. */
  open(sink: Promise<Sink>, owner: string): void {
    this.#sink = sink;
    this.#owner = owner;
    for (const id of keptIds(owner)) this.#work({ id, tile: undefined });
  }

  /** What was not deleted yet stays. */
  close(): void {
    clearTimeout(this.#due);
    removed.value = undefined;
    this.#sink = undefined;
  }

  /** Out of sight at once, and deleted when nobody has asked for it back. */
  begin(tile: Tile): void {
    this.#now();
    keepIds(this.#owner, (ids) => ids.add(tile.row.id));
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
      keepIds(owner, (ids) => ids.delete(id));
    } catch (error) {
      if (sink !== this.#sink) return;
      // Without an answer it is deleted with the next visit; what was refused stays.
      if (codeOf(error) === "network") return;
      keepIds(owner, (ids) => ids.delete(id));
      if (!tile) return;
      this.#putBack(tile);
      removed.value = { tile, next: undefined, problem: adviceFor(error).title };
    }
  }

  #putBack(tile: Tile): void {
    keepIds(this.#owner, (ids) => ids.delete(tile.row.id));
    this.gallery.putBack(tile);
  }
}

const keyOf = (owner: string) => `imagen-cloud-deleting-${owner}`;

function keptIds(owner: string): Set<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(keyOf(owner)) ?? "[]"));
  } catch {
    return new Set();
  }
}

function keepIds(owner: string, change: (ids: Set<string>) => void): void {
  const ids = keptIds(owner);
  change(ids);
  try {
    if (ids.size > 0) localStorage.setItem(keyOf(owner), JSON.stringify([...ids]));
    else localStorage.removeItem(keyOf(owner));
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
