import type { Outbox, SyncRequest, SyncResult } from "imagen-cloud";
import { adviceFor, isAborted } from "../advice";
import { announce } from "../announce";
import { focusOn } from "../focus";
import { quoted, slugFor, today } from "../name";
import type { Picture } from "../picture";
import { type Arrival, type Delivered, onStage, state } from "../state";
import type { Transport } from "../transport";

const { shown, isBusy, last } = state.delivery;

export interface Surroundings {
  /** The way that is chosen now; none while nobody is signed in. */
  way: () => Transport | undefined;
  onEnqueue: (imageId: string, prompt: string) => void;
  onArrived: () => void;
}

type Landed = SyncResult & { prompt: string };

/**
 * Sends a picture and tells how it fares: into the outbox, which goes on by itself; where the browser keeps none, at once,
 * while one waits.
 */
export class Delivery {
  /** On its way, with a name and an id that every attempt keeps. */
  #request: SyncRequest | undefined;
  /** What was on the stage when it was sent. */
  #what = "";
  #abort: AbortController | undefined;
  #isTaking = false;
  /** Another one for another user. */
  #visit = {};

  constructor(private readonly around: Surroundings) {}

  get #isAtWork(): boolean {
    return this.#abort !== undefined || this.#isTaking;
  }

  /** Sends what `take` gives, if it gives anything. */
  async send(take: () => Promise<Picture | undefined>): Promise<void> {
    if (this.#isAtWork) return;
    // At once: what arrived before is not what is asked for now.
    this.#show({ kind: "nothing" });
    this.#isTaking = true;
    const visit = this.#visit;
    this.#what = onStage.value;
    const picture = await take().finally(() => {
      this.#isTaking = false;
    });
    if (!picture || visit !== this.#visit) return;
    this.#request = toRequest(picture);
    await this.retry();
  }

  /** Sends what failed once more. */
  async retry(): Promise<void> {
    const request = this.#request;
    const way = this.around.way();
    if (!request || !way || this.#isAtWork) return;
    const abort = new AbortController();
    this.#abort = abort;
    last.value = { what: this.#what, imageId: request.imageId ?? "", state: "leaving" };
    try {
      await this.#by(way, request, abort.signal);
      this.#request = undefined;
    } catch (error) {
      this.#ended(error);
    } finally {
      this.#abort = undefined;
      isBusy.value = false;
    }
  }

  cancel(): void {
    this.#abort?.abort();
  }

  /** Back to how it was before anything was sent. */
  reset(): void {
    this.cancel();
    this.#visit = {};
    this.#request = undefined;
    last.value = undefined;
    this.#show({ kind: "nothing" });
  }

  /** For another picture: what failed is not to be sent again in its place. */
  forgetFailure(): void {
    if (!this.#isAtWork && shown.value.kind === "failed") this.#show({ kind: "nothing" });
  }

  /** Hears of every picture that has come to its place. */
  noteArrival(imageId: string): void {
    if (last.value?.imageId === imageId) last.value = { ...last.value, state: "arrived" };
  }

  /** Shows what the outbox has brought to its place, unless there is something else to be told. */
  async arrivedByOutbox(prompt: string, storagePath: string, imageId: string, link: string): Promise<void> {
    const isFree = () => !this.#isAtWork && shown.value.kind !== "failed";
    const arrival = { prompt, storagePath, imageId, picture: link, link };
    await loaded(link);
    if (isFree()) this.#show({ kind: "arrived", arrival });
  }

  /** The Worker has it, and Supabase has not. */
  #kept({ prompt, storagePath, imageId }: Landed, image: Blob): void {
    const arrival: Arrival = { prompt, storagePath, imageId, picture: URL.createObjectURL(image), link: undefined };
    this.#show({ kind: "arrived", arrival });
    announce("Supabase can't take it now: the Worker keeps it until then.");
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
    this.#show({ kind: "nothing" });
    const { imageId = "", prompt } = request;
    this.around.onEnqueue(imageId, prompt);
    await outbox.enqueue(request);
    // It may have arrived meanwhile.
    if (last.value?.imageId === imageId && last.value.state === "leaving")
      last.value = { ...last.value, state: "kept" };
    announce(`${quoted(prompt)} is in the outbox.`);
  }

  async #atOnce(request: SyncRequest, way: Transport, signal: AbortSignal): Promise<void> {
    isBusy.value = true;
    this.#step("upload", "Sending it");
    focusOn("cancel");
    const target = await way.target;
    const accepted = await target.sync(request, {
      signal,
      onProgress: ({ sent, total }) => {
        const percent = Math.round((sent / Math.max(1, total)) * 100);
        this.#show({ kind: "sending", step: "upload", percent });
      },
    });
    const landed = { ...accepted, prompt: request.prompt };
    if (accepted.queued) {
      this.#kept(landed, request.image as Blob);
    } else {
      this.#step("sign", "Signing a link");
      const link = await target.signedUrl(accepted.storagePath);
      signal.throwIfAborted();
      await loaded(link);
      this.#show({ kind: "arrived", arrival: { ...landed, picture: link, link } });
      announce(`${quoted(request.prompt)} arrived.`);
    }
    last.value = { what: this.#what, imageId: accepted.imageId, state: accepted.queued ? "kept" : "arrived" };
    focusOn("arrival-title");
    queueMicrotask(() => document.getElementById("arrival")?.scrollIntoView({ block: "nearest" }));
    this.around.onArrived();
  }

  #step(step: "upload" | "sign", title: string): void {
    this.#show({ kind: "sending", step, percent: undefined });
    announce(title);
  }

  #ended(error: unknown): void {
    if (this.#request === undefined || isAborted(error)) {
      this.#show({ kind: "nothing" });
      announce("Cancelled.");
      return;
    }
    this.#show({ kind: "failed", advice: adviceFor(error) });
    focusOn("retry");
  }

  #show(next: Delivered): void {
    const last = shown.value;
    if (last.kind === "arrived" && last.arrival.link === undefined) URL.revokeObjectURL(last.arrival.picture);
    shown.value = next;
  }
}

/** Waits until the browser can show it. */
async function loaded(url: string): Promise<void> {
  const image = new Image();
  image.src = url;
  await image.decode();
}

function toRequest(picture: Picture): SyncRequest {
  const { blob: image, prompt, ...rest } = picture;
  const imageId = crypto.randomUUID();
  return { ...rest, image, prompt, imageId, date: today(), slug: slugFor(prompt, imageId) };
}
