import { element } from "../dom";
import type { Link, Row } from "../gallery";

/** A picture of the gallery: a button that opens its details. */
export class Tile {
  readonly root: HTMLLIElement;
  #link: Link;
  readonly #image = element("img", { alt: "", loading: "lazy", decoding: "async" });
  readonly #gap = element("span", { className: "tile-gap" }, "Its file is gone");

  constructor(
    readonly row: Row,
    link: Link,
    onOpen: (tile: Tile) => void,
  ) {
    this.#link = link;
    const made = row.backend === "upload" ? "Uploaded" : "Drawn";
    const button = element(
      "button",
      { type: "button", className: "tile" },
      this.#image,
      this.#gap,
      element(
        "span",
        { className: "tile-text" },
        element("span", { className: "tile-title" }, row.prompt),
        element("time", { className: "meta", dateTime: row.createdAt }, `${made} ${when(new Date(row.createdAt))}`),
      ),
    );
    button.setAttribute("aria-haspopup", "dialog");
    button.addEventListener("click", () => onOpen(this));
    this.root = element("li", {}, button);
    this.#show();
  }

  get link(): Link {
    return this.#link;
  }

  /** A picture that is there already stays: its old link has done its work. */
  set link(link: Link) {
    this.#link = link;
    if (!this.#image.complete || this.#image.naturalWidth === 0) this.#show();
  }

  #show(): void {
    const { url } = this.#link;
    if (url !== undefined) this.#image.src = url;
    this.#image.hidden = url === undefined;
    this.#gap.hidden = url !== undefined;
  }
}

/** The time of today's, the day of older ones. */
function when(date: Date): string {
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday
    ? `at ${date.toLocaleTimeString([], { timeStyle: "short" })}`
    : `on ${date.toLocaleDateString([], { dateStyle: "medium" })}`;
}
