import type { Sink } from "imagen-cloud";
import { adviceFor } from "../advice";
import { byId, element, show } from "../dom";
import { PAGE, RENEW_AFTER_MS, type Row, readRows, signRows } from "../gallery";
import type { Session } from "../session";
import { Tile } from "./tile";

/** Arrivals within this time are read together, in ms. */
const GATHER_MS = 100;

type State = "loading" | "empty" | "failed" | "offline" | "shown";

/** The user's pictures, the newest first, page by page. */
export class Gallery {
  #sink: Promise<Sink> | undefined;
  /** In their order. */
  #tiles: Tile[] = [];
  #hasMore = false;
  #reading: Promise<void> | undefined;
  #isStale = false;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly session: Session,
    private readonly onOpen: (tile: Tile) => void,
  ) {
    byId("gallery-retry").addEventListener("click", () => this.refresh());
    byId("more").addEventListener("click", () => this.#more());
    addEventListener("online", () => this.refresh());
    addEventListener("offline", () => {
      if (!byId("gallery-failed").hidden) this.#show("offline");
    });
    document.addEventListener("visibilitychange", () => {
      // A sleeping device's timers sleep too.
      if (document.visibilityState === "visible") this.#renew();
    });
  }

  /** Shows the pictures that this sink signs, from now on. */
  open(sink: Promise<Sink>): void {
    this.close();
    this.#sink = sink;
    this.#show("loading");
    this.refresh();
  }

  close(): void {
    this.#sink = undefined;
    this.#reading = undefined;
    clearTimeout(this.#gathering);
    clearTimeout(this.#renewal);
    this.#tiles = [];
    this.#hasMore = false;
    byId("grid").replaceChildren();
    this.#show("shown");
  }

  /** Something arrived; more may follow at once. */
  arrived(): void {
    clearTimeout(this.#gathering);
    this.#gathering = setTimeout(() => this.refresh(), GATHER_MS);
  }

  /** Looks for newer pictures. */
  async refresh(): Promise<void> {
    // What arrives while the rows are read may be missing among them.
    this.#isStale = true;
    this.#reading ??= this.#readUntilFresh();
    await this.#reading;
  }

  async #readUntilFresh(): Promise<void> {
    const sink = this.#sink;
    try {
      while (this.#isStale && sink && sink === this.#sink) {
        this.#isStale = false;
        if (this.#tiles.length === 0 && byId("gallery-empty").hidden) this.#show("loading");
        await this.#read(sink, undefined);
      }
    } catch (error) {
      if (sink === this.#sink) this.#failed(error);
    } finally {
      if (sink === this.#sink) this.#reading = undefined;
    }
  }

  async #more(): Promise<void> {
    const sink = this.#sink;
    const last = this.#tiles.at(-1);
    const button = byId<HTMLButtonElement>("more");
    if (!sink || !last || button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    try {
      await this.#read(sink, last.row);
      // On with the first of the new ones, or the keyboard would be at the end again.
      this.#tiles[this.#tiles.indexOf(last) + 1]?.root.querySelector("button")?.focus();
    } catch (error) {
      if (sink === this.#sink) this.#failed(error);
    } finally {
      button.setAttribute("aria-busy", "false");
    }
  }

  /** The newest page, or the one after a row. */
  async #read(sink: Promise<Sink>, after: Row | undefined): Promise<void> {
    const { rows, hasMore } = await readRows(this.session, after);
    const known = new Set(this.#tiles.map(({ row }) => row.id));
    const news = rows.filter(({ id }) => !known.has(id));
    const links = await signRows(await sink, news);
    if (sink !== this.#sink) return;
    const tiles = news.map((row, i) => new Tile(row, links[i] ?? { url: undefined, signedAt: 0 }, this.onOpen));
    // A whole page of new ones: what lies between them and the older ones is not known, so those are read again.
    const isGap = !after && known.size > 0 && news.length === PAGE;
    if (isGap) {
      this.#tiles = tiles;
      byId("grid").replaceChildren();
    } else {
      this.#tiles = after ? [...this.#tiles, ...tiles] : [...tiles, ...this.#tiles];
    }
    if (after || known.size === 0 || isGap) this.#hasMore = hasMore;
    byId("grid")[after || isGap ? "append" : "prepend"](...tiles.map(({ root }) => root));
    this.#show(this.#tiles.length === 0 ? "empty" : "shown");
    this.#planRenewal();
  }

  #failed(error: unknown): void {
    const { hint, title } = adviceFor(error);
    byId("gallery-failed-hint").textContent = title.startsWith("Can't reach")
      ? "The server can't be reached. Your pictures are safe there."
      : hint;
    if (navigator.onLine) this.#show("failed");
    else this.#show(this.#tiles.length > 0 ? "shown" : "offline");
  }

  #show(state: State): void {
    show("gallery-empty", state === "empty");
    show("gallery-failed", state === "failed");
    show("gallery-offline", state === "offline");
    show("more", state === "shown" && this.#hasMore);
    byId("grid").setAttribute("aria-busy", String(state === "loading"));
    for (const blank of byId("grid").querySelectorAll(".blank")) blank.remove();
    if (state === "loading" && this.#tiles.length === 0) byId("grid").append(...Array.from({ length: 4 }, blankTile));
    const count = this.#tiles.length;
    byId("gallery-meta").textContent = count === 0 ? "" : this.#hasMore ? `the last ${count}` : String(count);
  }

  #planRenewal(): void {
    clearTimeout(this.#renewal);
    if (this.#tiles.length === 0) return;
    const oldest = Math.min(...this.#tiles.map(({ link }) => link.signedAt));
    this.#renewal = setTimeout(() => this.#renew(), Math.max(1000, oldest + RENEW_AFTER_MS - Date.now()));
  }

  /** Replaces the links that are about to end. */
  async #renew(): Promise<void> {
    const sink = this.#sink;
    const due = this.#tiles.filter(({ link }) => Date.now() - link.signedAt >= RENEW_AFTER_MS);
    if (!sink || due.length === 0) return;
    try {
      const links = await signRows(
        await sink,
        due.map(({ row }) => row),
      );
      for (const [i, tile] of due.entries()) tile.link = links[i] ?? tile.link;
      if (sink === this.#sink) this.#planRenewal();
    } catch {
      // Offline, perhaps: the next look at the page tries again.
      if (sink === this.#sink) this.#renewal = setTimeout(() => this.#renew(), 60_000);
    }
  }
}

function blankTile(): HTMLLIElement {
  const tile = element("li", { className: "blank" }, element("span", { className: "tile-gap" }));
  tile.setAttribute("aria-hidden", "true");
  return tile;
}
