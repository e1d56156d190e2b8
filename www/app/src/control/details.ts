import type { Sink } from "imagen-cloud/outbox";
import { adviceFor } from "../advice";
import { focusOn } from "../focus";
import { LINK_SECONDS } from "../gallery";
import { popAddress, pushAddress } from "../over-page";
import { openTile, state } from "../state";
import { type Gallery, tileId } from "./gallery";

const { id, isAwaited, message } = state.details;
const { status, tiles } = state.gallery;

/** All that is known of one picture. Its address is `#/image/<id>`, so that the browser's Back closes it. */
export class Details {
  constructor(
    private readonly gallery: Gallery,
    private readonly sink: () => Promise<Sink> | undefined,
  ) {
    addEventListener("popstate", () => this.follow());
    // What could not be asked for before can be now.
    status.subscribe(() => isAwaited.peek() && this.follow());
  }

  /** Opens what the page's address names, or closes what it doesn't. */
  async follow(): Promise<void> {
    const named = imageOf(location.hash);
    isAwaited.value = false;
    if (named === id.value) return;
    if (named === undefined) {
      this.#hide();
      return;
    }
    const isThere = await this.gallery.find(named);
    if (imageOf(location.hash) !== named) return;
    if (isThere) this.#show(named);
    // Somebody else's, or gone.
    else if (isThere === false) history.replaceState(null, "", location.pathname);
    else isAwaited.value = true;
  }

  async open(imageId: string): Promise<void> {
    this.#show(imageId);
    await pushAddress(addressOf(imageId), () => id.value === imageId);
  }

  close(): void {
    if (id.value === undefined) return;
    this.#hide();
    popAddress();
  }

  /** Goes on to a neighbour in the gallery, `by` 1 or -1, where there is one. */
  move(by: 1 | -1): void {
    const next = neighbour(by);
    if (next === undefined) return;
    message.value = "";
    id.value = next;
    history.replaceState(history.state, "", addressOf(next));
  }

  copyLink(): Promise<void> {
    return this.#try(async () => {
      await navigator.clipboard.writeText(await this.#url());
      message.value = `Copied. Whoever has the link sees the picture, for up to ${LINK_SECONDS / 60} minutes.`;
    });
  }

  download(): Promise<void> {
    return this.#try(async () => {
      const sink = this.sink();
      const tile = openTile.value;
      if (!sink || !tile) throw new Error("Nobody is signed in.");
      const href = await (await sink).signedUrl(tile.row.storagePath, 60, { download: true });
      Object.assign(document.createElement("a"), { href, rel: "noreferrer" }).click();
      message.value = "The download has begun.";
    });
  }

  #show(imageId: string): void {
    message.value = "";
    id.value = imageId;
    focusOn("details-title");
  }

  #hide(): void {
    if (id.value !== undefined) focusOn(tileId(id.value));
    id.value = undefined;
  }

  /** Signed anew only where it has to be, since a click allows to copy but for a moment. */
  async #url(): Promise<string> {
    const tile = openTile.value;
    const url = tile && (await this.gallery.linkOf(tile));
    if (url === undefined) throw new Error("Its file is gone.");
    return url;
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      message.value = `That didn't work: ${adviceFor(error).title}.`;
    }
  }
}

/** The open picture's neighbour in the gallery. */
export function neighbour(by: 1 | -1): string | undefined {
  const at = tiles.value.findIndex(({ row }) => row.id === id.value);
  return at < 0 ? undefined : tiles.value[at + by]?.row.id;
}

function addressOf(imageId: string): string {
  return `#/image/${imageId}`;
}

function imageOf(hash: string): string | undefined {
  return /^#\/image\/([0-9a-f-]{36})$/.exec(hash)?.[1];
}
