import type { Sink } from "imagen-cloud/outbox";
import { codeOf, mayBeSetUp, readingAdviceFor } from "../advice";
import { focusOn } from "../focus";
import { PAGE, RENEW_AFTER_MS, readPage, readRowsOf, signRows } from "../gallery";
import { type GalleryStatus, state, type Tile } from "../state";

const { status, tiles, hasMore, isReadingMore, hint } = state.gallery;
const { older } = state.details;

/** Arrivals within this time are read together, in ms. */
const GATHER_MS = 100;

/** How long it waits before it reads again what could not be read, in ms: the first time, and at most. */
const AGAIN_MS = 2000;
const AGAIN_AT_MOST_MS = 60_000;

/** The id of a picture's button in the gallery. */
export const tileId = (id: string) => `tile-${id}`;

/** The user's pictures, the newest first, page by page. */
export class Gallery {
  #sink: Promise<Sink> | undefined;
  #reading: Promise<void> | undefined;
  #isStale = false;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  /** Where the pages end that are shown. */
  #before: string | null = null;
  /** What was deleted here, and is not to be shown if it is read once more. */
  #taken = new Set<string>();

  constructor() {
    addEventListener("online", () => this.refresh());
    addEventListener("offline", () => {
      if (status.value === "failed") status.value = "offline";
    });
    document.addEventListener("visibilitychange", () => {
      // A sleeping device's timers sleep too.
      if (document.visibilityState === "visible") this.#renew();
    });
  }

  /** Shows the pictures that this sink signs, from now on. */
  async open(sink: Promise<Sink>): Promise<void> {
    this.close();
    this.#sink = sink;
    status.value = "loading";
    await this.refresh();
  }

  close(): void {
    this.#sink = undefined;
    this.#reading = undefined;
    clearTimeout(this.#gathering);
    clearTimeout(this.#renewal);
    clearTimeout(this.#again);
    this.#failures = 0;
    this.#taken.clear();
    tiles.value = [];
    older.value = undefined;
    hasMore.value = false;
    this.#before = null;
    status.value = "shown";
  }

  /** Something arrived; more may follow at once. */
  arrived(): void {
    clearTimeout(this.#gathering);
    this.#gathering = setTimeout(() => this.refresh(), GATHER_MS);
  }

  /** There is this row now: another device's, or one that is shown already. */
  noteRow(id: string): void {
    if (!this.#taken.has(id) && !tiles.value.some(({ row }) => row.id === id)) this.arrived();
  }

  /** Looks for newer pictures. */
  async refresh(): Promise<void> {
    // What arrives while the rows are read may be missing among them.
    this.#isStale = true;
    clearTimeout(this.#again);
    this.#reading ??= this.#readUntilFresh();
    await this.#reading;
  }

  async more(): Promise<void> {
    const sink = this.#sink;
    const last = tiles.value.at(-1);
    if (!sink || !this.#before || isReadingMore.value) return;
    isReadingMore.value = true;
    try {
      await this.#read(sink, this.#before);
      // On with the first of the new ones, or the keyboard would be at the end again.
      const next = last && tiles.value[tiles.value.indexOf(last) + 1];
      if (next) focusOn(tileId(next.row.id));
    } catch (error) {
      if (sink === this.#sink) this.#failed(error);
    } finally {
      isReadingMore.value = false;
    }
  }

  /** Whether there is such a picture, `undefined` where nobody can be asked; one that is older than the shown ones is read then. */
  async find(id: string): Promise<boolean | undefined> {
    await this.#reading;
    if (tiles.value.some(({ row }) => row.id === id)) return true;
    const sink = this.#sink;
    if (!sink) return undefined;
    try {
      const [row] = await readRowsOf(await sink, [id]);
      const [link] = row ? await signRows(await sink, [row]) : [];
      if (sink !== this.#sink) return undefined;
      if (row && link) older.value = { row, link };
      return row !== undefined && link !== undefined;
    } catch {
      return undefined;
    }
  }

  /** Takes a picture out of sight; gives the one that is in its place then, or before it. */
  take(id: string): string | undefined {
    this.#taken.add(id);
    const at = tiles.value.findIndex(({ row }) => row.id === id);
    if (at < 0) return undefined;
    tiles.value = tiles.value.filter(({ row }) => row.id !== id);
    if (tiles.value.length === 0 && status.value === "shown") status.value = "empty";
    return (tiles.value[at] ?? tiles.value[at - 1])?.row.id;
  }

  /** Shows a picture again that is there after all. */
  giveBack(id: string): void {
    this.#taken.delete(id);
    this.refresh();
  }

  /** Shows a picture again, where it was. */
  putBack(tile: Tile): void {
    this.#taken.delete(tile.row.id);
    if (tiles.value.some(({ row }) => row.id === tile.row.id)) return;
    const at = tiles.value.findIndex(({ row }) => row.createdAt < tile.row.createdAt);
    const newer = at < 0 ? tiles.value : tiles.value.slice(0, at);
    tiles.value = [...newer, tile, ...tiles.value.slice(newer.length)];
    status.value = "shown";
  }

  /** This picture's link, good for a while longer: signed anew only where it has to be. */
  async linkOf({ row, link }: Tile): Promise<string | undefined> {
    if (Date.now() - link.signedAt < RENEW_AFTER_MS) return link.url;
    const [fresh] = this.#sink ? await signRows(await this.#sink, [row]) : [];
    if (fresh) this.#relink(new Map([[row.id, fresh]]));
    return fresh?.url;
  }

  async #readUntilFresh(): Promise<void> {
    const sink = this.#sink;
    while (this.#isStale && sink && sink === this.#sink) {
      this.#isStale = false;
      // What is said of a failure stays until there is an answer: it is tried again and again.
      if (tiles.value.length === 0 && !["empty", "failed"].includes(status.value)) status.value = "loading";
      try {
        await this.#read(sink, undefined);
      } catch (error) {
        // Who has asked meanwhile may know that it goes again.
        if (sink === this.#sink && !this.#isStale) this.#failed(error);
      }
    }
    if (sink === this.#sink) this.#reading = undefined;
  }

  /** The newest page, or the one that begins where others end. */
  async #read(sink: Promise<Sink>, before: string | undefined): Promise<void> {
    const page = await readPage(await sink, before);
    const known = new Set(tiles.value.map(({ row }) => row.id));
    const news = page.rows.filter(({ id }) => !known.has(id) && !this.#taken.has(id));
    const links = await signRows(await sink, news);
    if (sink !== this.#sink) return;
    const read = news.map((row, i) => ({ row, link: links[i] ?? { url: undefined, signedAt: 0 } }));
    // A whole page of new ones: what lies between them and the older ones is not known, so those are read again.
    const isGap = !before && known.size > 0 && news.length === PAGE;
    if (before) tiles.value = [...tiles.value, ...read];
    else tiles.value = isGap ? read : [...read, ...tiles.value];
    if (before || known.size === 0 || isGap) this.#before = page.before;
    hasMore.value = this.#before !== null;
    status.value = tiles.value.length === 0 ? "empty" : "shown";
    this.#failures = 0;
    this.#planRenewal();
  }

  #failed(error: unknown): void {
    hint.value = readingAdviceFor(codeOf(error));
    state.gallery.mayBeSetUp.value = mayBeSetUp(error);
    status.value = this.#statusAfterFailure();
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.refresh(), Math.min(AGAIN_MS * 2 ** this.#failures++, AGAIN_AT_MOST_MS));
  }

  #statusAfterFailure(): GalleryStatus {
    if (state.isOnline.value) return "failed";
    return tiles.value.length > 0 ? "shown" : "offline";
  }

  #planRenewal(): void {
    clearTimeout(this.#renewal);
    if (tiles.value.length === 0) return;
    const oldest = Math.min(...tiles.value.map(({ link }) => link.signedAt));
    this.#renewal = setTimeout(() => this.#renew(), Math.max(1000, oldest + RENEW_AFTER_MS - Date.now()));
  }

  /** Replaces the links that are about to end. */
  async #renew(): Promise<void> {
    const sink = this.#sink;
    const due = tiles.value.filter(({ link }) => Date.now() - link.signedAt >= RENEW_AFTER_MS);
    if (!sink || due.length === 0) return;
    try {
      const rows = due.map(({ row }) => row);
      const links = await signRows(await sink, rows);
      if (sink !== this.#sink) return;
      this.#relink(new Map(rows.map(({ id }, i) => [id, links[i]])));
      this.#planRenewal();
    } catch {
      // Offline, perhaps: the next look at the page tries again.
      if (sink === this.#sink) this.#renewal = setTimeout(() => this.#renew(), 60_000);
    }
  }

  #relink(links: ReadonlyMap<string, Tile["link"] | undefined>): void {
    const relinked = ({ row, link }: Tile): Tile => ({ row, link: links.get(row.id) ?? link });
    tiles.value = tiles.value.map(relinked);
    older.value = older.value && relinked(older.value);
  }
}
