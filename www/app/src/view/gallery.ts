import { adviceFor } from "../advice";
import { byId, element, show } from "../dom";
import { type GalleryItem, newestImages } from "../gallery";
import type { Route } from "../routes";
import type { Session } from "../session";

/** The user's newest pictures, each from a signed URL of its own. */
export class Gallery {
  #shown = 0;

  constructor(
    private readonly session: Session,
    private readonly route: () => Route | undefined,
  ) {
    byId("gallery-retry").addEventListener("click", () => this.refresh());
  }

  clear(): void {
    this.#shown++;
    byId("grid").replaceChildren();
    byId("gallery-meta").textContent = "";
    show("gallery-empty", false);
    show("gallery-failed", false);
  }

  async refresh(): Promise<void> {
    const route = this.route();
    if (!route) return;
    // Of two refreshes the later one counts, whichever answers first.
    const mine = ++this.#shown;
    let items: GalleryItem[] = [];
    let failure: string | undefined;
    try {
      items = await newestImages(this.session, route);
    } catch (error) {
      failure = adviceFor(error).hint;
    }
    if (mine !== this.#shown) return;
    show("gallery-failed", failure !== undefined);
    byId("gallery-failed-hint").textContent = failure ?? "";
    show("gallery-empty", failure === undefined && items.length === 0);
    byId("gallery-meta").textContent = items.length > 0 ? `${items.length === 12 ? "The last 12" : items.length}` : "";
    byId("grid").replaceChildren(...items.map(tile));
  }
}

function tile({ prompt, url, createdAt, backend }: GalleryItem): HTMLLIElement {
  const time = new Date(createdAt);
  const caption = element(
    "span",
    { className: "tile-text" },
    element("span", { className: "tile-title" }, prompt),
    element(
      "time",
      { className: "meta", dateTime: createdAt },
      `${backend === "canvas" ? "Drawn" : "Uploaded"} ${time.toLocaleTimeString([], { timeStyle: "short" })}`,
    ),
  );
  if (url === undefined) {
    const gap = element("span", { className: "tile-gap" }, "Its file is gone");
    return element("li", {}, element("span", { className: "tile" }, gap, caption));
  }
  const image = element("img", { src: url, alt: "", loading: "lazy", decoding: "async" });
  const link = element("a", { className: "tile", href: url, target: "_blank", rel: "noreferrer" }, image, caption);
  return element("li", {}, link);
}
