import type { Sink } from "imagen-cloud";
import { adviceFor } from "../advice";
import { byId, element } from "../dom";
import { LINK_SECONDS, RENEW_AFTER_MS, type Row, signRows } from "../gallery";
import type { Tile } from "./tile";

/** All that is known of one picture. */
export class Details {
  readonly #dialog = byId<HTMLDialogElement>("details");
  #tile: Tile | undefined;

  constructor(private readonly sink: () => Promise<Sink> | undefined) {
    byId("details-close").addEventListener("click", () => this.#dialog.close());
    byId("copy-link").addEventListener("click", () => this.#try(() => this.#copy()));
    byId("download").addEventListener("click", () => this.#try(() => this.#download()));
    this.#dialog.addEventListener("click", ({ target }) => {
      // Everything but the backdrop lies within its child.
      if (target === this.#dialog) this.#dialog.close();
    });
  }

  open(tile: Tile): void {
    this.#tile = tile;
    const { row, link } = tile;
    const image = byId<HTMLImageElement>("details-image");
    image.hidden = link.url === undefined;
    image.alt = row.prompt;
    if (link.url === undefined) image.removeAttribute("src");
    else image.src = link.url;
    byId("details-gap").hidden = link.url !== undefined;
    byId("details-actions").hidden = link.url === undefined;
    byId("details-title").textContent = row.prompt;
    byId("details-facts").replaceChildren(...factsOf(row).flatMap(fact));
    this.#say("");
    this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
    byId("details-title").focus();
  }

  close(): void {
    this.#dialog.close();
  }

  async #copy(): Promise<void> {
    await navigator.clipboard.writeText(await this.#url());
    this.#say(`Copied. Whoever has the link sees the picture, for up to ${LINK_SECONDS / 60} minutes.`);
  }

  /** A link that lasts for a while; signed anew only where it has to be, since a click allows to copy but for a moment. */
  async #url(): Promise<string> {
    const tile = this.#tile;
    if (tile && Date.now() - tile.link.signedAt >= RENEW_AFTER_MS) {
      const [link] = await signRows(await this.#sink(), [tile.row]);
      if (link) tile.link = link;
    }
    if (tile?.link.url === undefined) throw new Error("Its file is gone.");
    return tile.link.url;
  }

  async #download(): Promise<void> {
    const row = this.#tile?.row;
    if (!row) return;
    const href = await (await this.#sink()).signedUrl(row.storagePath, 60, { download: true });
    element("a", { href, rel: "noreferrer" }).click();
    this.#say("The download has begun.");
  }

  #sink(): Promise<Sink> {
    return this.sink() ?? Promise.reject(new Error("Nobody is signed in."));
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#say(`That didn't work: ${adviceFor(error).title}.`);
    }
  }

  #say(message: string): void {
    byId("details-message").textContent = message;
  }
}

type Fact = [name: string, value: string | undefined, isCode?: boolean];

function factsOf(row: Row): Fact[] {
  return [
    ["Made by", row.backend === "upload" ? "You, as a file" : row.backend === "canvas" ? "Your device" : row.backend],
    ["Model", row.model ?? undefined],
    ["Seed", row.backend === "upload" ? undefined : (row.seed ?? undefined)],
    ["Steps", row.steps?.toLocaleString()],
    ["Size", row.width && row.height ? `${row.width} × ${row.height} px` : undefined],
    ["Took", row.latencyMs ? `${row.latencyMs.toLocaleString()} ms` : undefined],
    ["Cost", row.costUsd === null ? undefined : cost(row.costUsd)],
    ["Created", new Date(row.createdAt).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })],
    ["Storage path", row.storagePath, true],
    ["Image id", row.id, true],
  ];
}

function cost(usd: number): string {
  return usd === 0
    ? "Free"
    : usd.toLocaleString("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 6 });
}

function fact([name, value, isCode]: Fact): HTMLElement[] {
  if (value === undefined) return [];
  const wide = isCode ? "wide" : "";
  return [
    element(
      "div",
      { className: wide },
      element("dt", {}, name),
      element("dd", { className: isCode ? "code" : "" }, value),
    ),
  ];
}
