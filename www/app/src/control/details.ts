import type { Sink } from "imagen-cloud";
import { adviceFor } from "../advice";
import { focusOn } from "../focus";
import { LINK_SECONDS } from "../gallery";
import { openTile, state } from "../state";
import { type Gallery, tileId } from "./gallery";

const { id, message } = state.details;

/** All that is known of one picture. */
export class Details {
  constructor(
    private readonly gallery: Gallery,
    private readonly sink: () => Promise<Sink> | undefined,
  ) {}

  open(imageId: string): void {
    message.value = "";
    id.value = imageId;
    focusOn("details-title");
  }

  close(): void {
    if (id.value === undefined) return;
    focusOn(tileId(id.value));
    id.value = undefined;
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
