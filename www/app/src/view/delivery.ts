import type { Outbox, SyncRequest, SyncResult } from "imagen-cloud";
import { adviceFor, isAborted } from "../advice";
import { announce } from "../announce";
import { byId, element, show } from "../dom";
import { quoted, slugFor, today } from "../name";
import type { Picture } from "../picture";
import type { Transport } from "../transport";

/** Into the outbox, which sends it on its own; where the browser keeps none, at once, while one waits. */
export interface Way extends Pick<Transport, "target" | "outbox"> {
  onEnqueue: (imageId: string, prompt: string) => void;
}

/** One picture on its way, with a name and an id that every attempt keeps. */
interface Parcel {
  request: SyncRequest;
  way: Way;
}

interface Arrival extends SyncResult {
  prompt: string;
}

type Step = "upload" | "sign";

/** Sends a picture and shows how it fares. */
export class Delivery {
  #parcel: Parcel | undefined;
  #abort: AbortController | undefined;
  #isTaking = false;

  constructor(private readonly onArrived: () => void) {
    byId("cancel").addEventListener("click", () => this.#abort?.abort());
    byId("retry").addEventListener("click", () => this.#attempt());
  }

  get #busy(): boolean {
    return this.#abort !== undefined || this.#isTaking;
  }

  /** Sends what `take` gives, if it gives anything. */
  async send(take: () => Promise<Picture | undefined>, way: Way): Promise<void> {
    if (this.#busy) return;
    // At once: what arrived before is not what is asked for now.
    this.#only(undefined);
    this.#isTaking = true;
    const picture = await take().finally(() => {
      this.#isTaking = false;
    });
    if (!picture) return;
    this.#parcel = { request: toRequest(picture), way };
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

  /** Shows what the outbox has brought to its place, unless there is something else to be told. */
  async arrivedByOutbox(prompt: string, storagePath: string, imageId: string, url: string): Promise<void> {
    const isFree = () => !this.#busy && Boolean(byId("failure").hidden);
    if (isFree()) await this.#arrived({ prompt, storagePath, imageId }, url, isFree);
  }

  /** Shows what has come to its place, once its picture is there. */
  async #arrived({ prompt, storagePath, imageId }: Arrival, url: string, isWanted = () => true): Promise<void> {
    const image = byId<HTMLImageElement>("arrival-image");
    image.src = url;
    image.alt = prompt;
    const link = element("a", { href: url, target: "_blank", rel: "noreferrer" }, "Open its signed URL");
    byId("arrival-open").replaceChildren(link);
    byId("arrival-title").textContent = "It arrived";
    byId("arrival-path").textContent = storagePath;
    byId("arrival-id").textContent = imageId;
    await image.decode();
    if (isWanted()) this.#only("arrival");
  }

  /** The Worker has it, and Supabase has not. */
  #kept({ prompt, storagePath, imageId }: Arrival, image: Blob): void {
    byId<HTMLImageElement>("arrival-image").src = URL.createObjectURL(image);
    byId<HTMLImageElement>("arrival-image").alt = prompt;
    byId("arrival-title").textContent = "It's in safe hands";
    byId("arrival-path").textContent = storagePath;
    byId("arrival-id").textContent = imageId;
    byId("arrival-open").replaceChildren("Supabase can't take it now: the Worker keeps it until then.");
    this.#only("arrival");
    announce("Supabase can't take it now: the Worker keeps it until then.");
  }

  async #attempt(): Promise<void> {
    const parcel = this.#parcel;
    if (!parcel || this.#busy) return;
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const outbox = await parcel.way.outbox.catch(() => undefined);
      if (outbox) await this.#byOutbox(parcel.request, outbox, parcel.way);
      else await this.#atOnce(parcel.request, parcel.way, abort.signal);
      this.#parcel = undefined;
    } catch (error) {
      this.#ended(error);
    } finally {
      this.#abort = undefined;
      byId<HTMLButtonElement>("send").disabled = false;
    }
  }

  async #byOutbox(request: SyncRequest, outbox: Outbox, { onEnqueue }: Way): Promise<void> {
    this.#only(undefined);
    const { imageId = "", prompt } = request;
    onEnqueue(imageId, prompt);
    await outbox.enqueue(request);
    announce(`${quoted(prompt)} is in the outbox.`);
  }

  async #atOnce(request: SyncRequest, way: Way, signal: AbortSignal): Promise<void> {
    byId<HTMLButtonElement>("send").disabled = true;
    this.#only("delivery");
    this.#step("upload", "Sending it");
    byId("cancel").focus();
    const bar = byId<HTMLProgressElement>("progress");
    bar.removeAttribute("value");
    const target = await way.target;
    const accepted = await target.sync(request, {
      signal,
      onProgress: ({ sent, total }) => {
        bar.value = Math.round((sent / Math.max(1, total)) * 100);
      },
    });
    const arrival = { ...accepted, prompt: request.prompt };
    if (accepted.queued) {
      this.#kept(arrival, request.image as Blob);
    } else {
      this.#step("sign", "Signing a link");
      bar.removeAttribute("value");
      const url = await target.signedUrl(accepted.storagePath);
      signal.throwIfAborted();
      await this.#arrived(arrival, url);
      announce(`${quoted(request.prompt)} arrived.`);
    }
    byId("arrival-title").focus({ preventScroll: true });
    byId("arrival").scrollIntoView({ block: "nearest" });
    this.onArrived();
  }

  #step(step: Step, title: string): void {
    let state = "done";
    for (const item of byId("steps").querySelectorAll<HTMLElement>("[data-step]")) {
      const isCurrent = item.dataset.step === step;
      item.dataset.state = isCurrent ? "current" : state;
      if (isCurrent) state = "open";
    }
    byId("delivery-title").textContent = title;
    announce(title);
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
  return { ...rest, image, prompt, imageId, date: today(), slug: slugFor(prompt, imageId) };
}
