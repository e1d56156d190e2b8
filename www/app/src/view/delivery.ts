import type { Outbox, SyncRequest, SyncResult } from "imagen-cloud";
import { adviceFor, isAborted } from "../advice";
import { announce } from "../announce";
import { byId, element, show } from "../dom";
import { quoted, slugFor, today } from "../name";
import type { Picture } from "../picture";
import type { Transport } from "../transport";

export interface Surroundings {
  /** The way that is chosen now; none while nobody is signed in. */
  way: () => Transport | undefined;
  onEnqueue: (imageId: string, prompt: string) => void;
  onArrived: () => void;
}

interface Arrival extends SyncResult {
  prompt: string;
}

type Step = "upload" | "sign";

/**
 * Sends a picture and shows how it fares: into the outbox, which goes on by itself; where the browser keeps none, at once,
 * while one waits.
 */
export class Delivery {
  /** On its way, with a name and an id that every attempt keeps. */
  #request: SyncRequest | undefined;
  #abort: AbortController | undefined;
  #isTaking = false;
  /** Another one for another user. */
  #visit = {};

  constructor(private readonly around: Surroundings) {
    byId("cancel").addEventListener("click", () => this.#abort?.abort());
    byId("retry").addEventListener("click", () => this.#attempt());
  }

  get #busy(): boolean {
    return this.#abort !== undefined || this.#isTaking;
  }

  /** Sends what `take` gives, if it gives anything. */
  async send(take: () => Promise<Picture | undefined>): Promise<void> {
    if (this.#busy) return;
    // At once: what arrived before is not what is asked for now.
    this.#only(undefined);
    this.#isTaking = true;
    const visit = this.#visit;
    const picture = await take().finally(() => {
      this.#isTaking = false;
    });
    if (!picture || visit !== this.#visit) return;
    this.#request = toRequest(picture);
    await this.#attempt();
  }

  /** Back to how it was before anything was sent. */
  reset(): void {
    this.#abort?.abort();
    this.#visit = {};
    this.#request = undefined;
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
    const request = this.#request;
    const way = this.around.way();
    if (!request || !way || this.#busy) return;
    const abort = new AbortController();
    this.#abort = abort;
    try {
      await this.#by(way, request, abort.signal);
      this.#request = undefined;
    } catch (error) {
      this.#ended(error);
    } finally {
      this.#abort = undefined;
      byId<HTMLButtonElement>("send").disabled = false;
    }
  }

  async #by(way: Transport, request: SyncRequest, signal: AbortSignal): Promise<void> {
    try {
      const outbox = await way.outbox.catch(() => undefined);
      if (outbox) await this.#byOutbox(request, outbox);
      else await this.#atOnce(request, way, signal);
      if (outbox && this.#hasChanged(way)) await (await this.around.way()?.outbox)?.drain();
    } catch (error) {
      // This way is closed then.
      const other = this.around.way();
      if (!other || !this.#hasChanged(way) || signal.aborted) throw error;
      await this.#by(other, request, signal);
    }
  }

  /** Whether another way was chosen meanwhile. */
  #hasChanged(way: Transport): boolean {
    return this.around.way() !== way;
  }

  async #byOutbox(request: SyncRequest, outbox: Outbox): Promise<void> {
    this.#only(undefined);
    const { imageId = "", prompt } = request;
    this.around.onEnqueue(imageId, prompt);
    await outbox.enqueue(request);
    announce(`${quoted(prompt)} is in the outbox.`);
  }

  async #atOnce(request: SyncRequest, way: Transport, signal: AbortSignal): Promise<void> {
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
    this.around.onArrived();
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
    if (this.#request === undefined || isAborted(error)) {
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
