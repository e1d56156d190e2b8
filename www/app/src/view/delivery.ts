import type { SyncRequest } from "imagen-cloud";
import { adviceFor, isAborted } from "../advice";
import { byId, element, show } from "../dom";
import { slugFor, today } from "../name";
import type { Picture } from "../picture";
import type { Route, Stage } from "../routes";

/** One picture on its way, with a name and an id that every attempt keeps. */
interface Parcel {
  request: SyncRequest;
  route: Route;
}

type Step = "upload" | "insert" | "sign";

/** Sends a picture and shows how it fares. */
export class Delivery {
  #parcel: Parcel | undefined;
  #abort: AbortController | undefined;

  constructor(private readonly onArrived: () => void) {
    byId("cancel").addEventListener("click", () => this.#abort?.abort());
    byId("retry").addEventListener("click", () => this.#attempt());
  }

  get #busy(): boolean {
    return this.#abort !== undefined;
  }

  /** Sends what `take` gives, if it gives anything. */
  async send(take: () => Promise<Picture | undefined>, route: Route): Promise<void> {
    if (this.#busy) return;
    // At once: what arrived before is not what is asked for now.
    this.#only(undefined);
    const picture = await take();
    if (!picture || this.#busy) return;
    this.#parcel = { request: toRequest(picture), route };
    await this.#attempt();
  }

  /** Back to how it was before anything was sent. */
  reset(): void {
    this.#abort?.abort();
    this.#parcel = undefined;
    this.#only(undefined);
  }

  /** For another picture: what failed is not to be sent again in its place. */
  forgetFailure(): void {
    if (!this.#busy) show("failure", false);
  }

  async #attempt(): Promise<void> {
    const parcel = this.#parcel;
    if (!parcel || this.#busy) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#begin();
    try {
      const result = await parcel.route.send(parcel.request, {
        signal: abort.signal,
        onProgress: (stage, fraction) => this.#progress(stage, fraction),
      });
      this.#step("sign", "Signing a link");
      const url = await parcel.route.signedUrl(result.storagePath);
      abort.signal.throwIfAborted();
      await this.#arrived(parcel.request, result.storagePath, result.imageId, url);
      this.onArrived();
    } catch (error) {
      this.#ended(error);
    } finally {
      this.#abort = undefined;
      byId<HTMLButtonElement>("send").disabled = false;
    }
  }

  #begin(): void {
    byId<HTMLButtonElement>("send").disabled = true;
    this.#only("delivery");
    this.#step("upload", "Uploading");
    byId("cancel").focus();
  }

  #progress(stage: Stage, fraction: number | undefined): void {
    if (stage === "retry") {
      this.#title("Trying again in a moment");
    } else {
      this.#step(stage, stage === "upload" ? "Uploading" : "Inserting the row", fraction);
    }
  }

  #step(step: Step, title: string, fraction?: number): void {
    const bar = byId<HTMLProgressElement>("progress");
    // Without a known fraction the bar shows that it is at work, not how far.
    if (fraction === undefined || fraction === 0) bar.removeAttribute("value");
    else bar.value = Math.round(fraction * 100);
    let state = "done";
    for (const item of byId("steps").querySelectorAll<HTMLElement>("[data-step]")) {
      const isCurrent = item.dataset.step === step;
      item.dataset.state = isCurrent ? "current" : state;
      if (isCurrent) state = "open";
    }
    this.#title(title);
  }

  #title(title: string): void {
    if (byId("delivery-title").textContent === title) return;
    byId("delivery-title").textContent = title;
    announce(title);
  }

  async #arrived({ prompt }: SyncRequest, storagePath: string, imageId: string, url: string): Promise<void> {
    const image = byId<HTMLImageElement>("arrival-image");
    image.src = url;
    image.alt = prompt;
    const link = element("a", { href: url, target: "_blank", rel: "noreferrer" }, "Open its signed URL");
    byId("arrival-open").replaceChildren(link);
    byId("arrival-path").textContent = storagePath;
    byId("arrival-id").textContent = imageId;
    await image.decode();
    this.#parcel = undefined;
    this.#only("arrival");
    announce("It arrived.");
    byId("arrival-title").focus({ preventScroll: true });
    byId("arrival").scrollIntoView({ block: "nearest" });
  }

  #ended(error: unknown): void {
    if (this.#parcel === undefined || isAborted(error)) {
      this.#only(undefined);
      announce("Cancelled.");
      return;
    }
    const { title, hint, detail } = adviceFor(error);
    byId("failure-title").textContent = title;
    byId("failure-hint").textContent = hint;
    byId("failure-detail").textContent = detail;
    this.#only("failure");
    byId("retry").focus();
  }

  #only(shown: "delivery" | "failure" | "arrival" | undefined): void {
    for (const id of ["delivery", "failure", "arrival"]) show(id, id === shown);
  }
}

function toRequest(picture: Picture): SyncRequest {
  const { blob: image, prompt, ...rest } = picture;
  const imageId = crypto.randomUUID();
  const cost = picture.backend === "canvas" ? { costUsdEstimate: 0 } : {};
  return { ...rest, ...cost, image, prompt, imageId, date: today(), slug: slugFor(prompt, imageId) };
}

function announce(message: string): void {
  byId("announce").textContent = message;
}
