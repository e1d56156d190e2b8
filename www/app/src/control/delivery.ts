import type { Outbox, SyncRequest } from "imagen-cloud/outbox";
import { adviceFor, isAborted } from "../advice";
import { announce } from "../announce";
import { focusOn } from "../focus";
import { quoted, slugFor, today } from "../name";
import type { Picture } from "../picture";
import { type Arrival, type Delivered, onStage, state, underWay } from "../state";
import type { Transport } from "../transport";

const { shown, isBusy, last } = state.delivery;

export interface Surroundings {
  /** The way that is chosen now; none while nobody is signed in. */
  way: () => Transport | undefined;
  onEnqueue: (imageId: string) => void;
  onEnqueued: (imageId: string) => void;
  onArrived: () => void;
}

/** A picture that the outbox has brought to its place. */
export interface Brought {
  prompt: string;
  storagePath: string;
  imageId: string;
  /** Shows it without the network, where this page has it; whoever is told has to revoke it. */
  local: string | undefined;
  hasWaited: boolean;
}

/**
 * Sends a picture and tells how it fares: into the outbox, which goes on by itself; where the browser keeps none, at once,
 * while one waits.
 */
export class Delivery {
  /** On its way, with a name and an id that every attempt keeps, and what was on the stage when it was asked for. */
  #sent: { request: SyncRequest; what: string } | undefined;
  /** What was on the stage at the last click. */
  #what = "";
  #abort: AbortController | undefined;
  /** Ends with what was asked for last; none while nobody waits. */
  #turn: Promise<void> | undefined;
  /** How many have arrived since something was sent that had waited. */
  #waited = 0;
  /** Another one for another user. */
  #visit = {};

  constructor(private readonly around: Surroundings) {}

  /**
   * Sends what `take` gives, if it gives anything, after what was asked for before it. One more click for the very same
   * picture asks for nothing, and none does while the page waits.
   */
  async send(take: () => Promise<Picture | undefined>): Promise<void> {
    const before = this.#turn;
    const what = onStage.value;
    if (before && (isBusy.value || what === this.#what)) return;
    this.#what = what;
    if (!before) {
      this.#waited = 0;
      // At once: what arrived before is not what is asked for now.
      this.#show({ kind: "nothing" });
    }
    const visit = this.#visit;
    const taken = take(); // at once, too: something else may be on the stage when it is its turn
    taken.catch(() => {}); // its turn tells
    await this.#takeTurn(async () => {
      await before?.catch(() => {});
      const picture = await taken;
      const hasFailed = shown.value.kind === "failed"; // what is to be tried again is not forgotten for it
      if (!picture || hasFailed || visit !== this.#visit) return;
      this.#sent = { request: toRequest(picture), what };
      await this.#deliver();
    });
  }

  /** Sends what failed once more. */
  async retry(): Promise<void> {
    if (!this.#turn) await this.#takeTurn(() => this.#deliver());
  }

  cancel(): void {
    this.#abort?.abort();
  }

  /** Back to how it was before anything was sent. */
  reset(): void {
    this.cancel();
    this.#visit = {};
    this.#turn = undefined;
    this.#sent = undefined;
    last.value = undefined;
    this.#waited = 0;
    this.#show({ kind: "nothing" });
  }

  /** For another picture: what failed is not to be sent again in its place. */
  forgetFailure(): void {
    if (!this.#turn && shown.value.kind === "failed") this.#show({ kind: "nothing" });
  }

  /** Hears of every picture that has come to its place. */
  noteArrival(imageId: string): void {
    if (last.value?.imageId === imageId) last.value = { ...last.value, state: "arrived" };
  }

  /** Shows what the outbox has brought to its place, unless there is something else to be told. */
  async arrivedByOutbox({ hasWaited, ...landed }: Brought): Promise<void> {
    const visit = this.#visit;
    if (hasWaited) this.#waited++;
    const arrival = { ...landed, isKept: false, waited: hasWaited ? this.#waited : 0 };
    // Its picture and its words come at the same moment.
    if (landed.local !== undefined) await loaded(landed.local).catch(() => {});
    if (visit === this.#visit && !this.#turn && shown.value.kind !== "failed") {
      this.#show({ kind: "arrived", arrival });
      if (hasWaited && underWay.value === 0) announce(`${titleOf(arrival)}.`);
    } else if (landed.local !== undefined) {
      URL.revokeObjectURL(landed.local);
    }
  }

  async #takeTurn(work: () => Promise<void>): Promise<void> {
    const turn = work();
    this.#turn = turn;
    try {
      await turn;
    } finally {
      if (this.#turn === turn) this.#turn = undefined;
    }
  }

  async #deliver(): Promise<void> {
    const way = this.around.way();
    if (!this.#sent || !way) return;
    const { request, what } = this.#sent;
    const abort = new AbortController();
    this.#abort = abort;
    last.value = { what, imageId: request.imageId ?? "", state: "leaving" };
    try {
      await this.#by(way, request, abort.signal);
      this.#sent = undefined;
    } catch (error) {
      this.#ended(error);
    } finally {
      this.#abort = undefined;
      isBusy.value = false;
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
    this.#show({ kind: "nothing" });
    const { imageId = "", prompt } = request;
    this.around.onEnqueue(imageId);
    await outbox.enqueue(request);
    this.around.onEnqueued(imageId);
    // It may have arrived meanwhile.
    if (last.value?.imageId === imageId && last.value.state === "leaving")
      last.value = { ...last.value, state: "kept" };
    announce(`${quoted(prompt)} is in the outbox.`);
  }

  async #atOnce(request: SyncRequest, way: Transport, signal: AbortSignal): Promise<void> {
    isBusy.value = true;
    this.#show({ kind: "sending", percent: undefined });
    announce("Sending it");
    focusOn("cancel");
    const target = await way.target;
    const { queued: isKept = false, ...accepted } = await target.sync(request, {
      signal,
      onProgress: ({ sent, total }) => {
        const percent = Math.round((sent / Math.max(1, total)) * 100);
        this.#show({ kind: "sending", percent });
      },
    });
    signal.throwIfAborted();
    const { prompt, image } = request;
    const local = URL.createObjectURL(image as Blob);
    await loaded(local).catch(() => {});
    this.#show({ kind: "arrived", arrival: { ...accepted, prompt, local, isKept, waited: 0 } });
    announce(isKept ? KEPT : `${quoted(prompt)} arrived.`);
    last.value = { what: this.#sent?.what ?? "", imageId: accepted.imageId, state: isKept ? "kept" : "arrived" };
    focusOn("arrival-title");
    queueMicrotask(() => document.getElementById("arrival")?.scrollIntoView({ block: "nearest" }));
    this.around.onArrived();
  }

  #ended(error: unknown): void {
    if (this.#sent === undefined || isAborted(error)) {
      this.#show({ kind: "nothing" });
      announce("Cancelled.");
      return;
    }
    this.#show({ kind: "failed", advice: adviceFor(error) });
    focusOn("retry");
  }

  #show(next: Delivered): void {
    const old = shown.value;
    if (old.kind === "arrived" && old.arrival.local !== undefined) URL.revokeObjectURL(old.arrival.local);
    shown.value = next;
  }
}

export const KEPT = "Supabase can't take it now: the Worker keeps it until then.";

/** What a card says of its picture, and of those before it. */
export function titleOf({ waited }: Pick<Arrival, "waited">): string {
  if (waited > 1) return `${waited} pictures that waited have arrived`;
  return waited === 1 ? "A picture that waited has arrived" : "It arrived";
}

/** Waits until the browser can show it. */
async function loaded(url: string): Promise<void> {
  const image = new Image();
  image.src = url;
  await image.decode();
}

/** A request of its own for a picture, by an id and a name that are new. */
export function toRequest(picture: Picture, imageId: string = crypto.randomUUID()): SyncRequest {
  const { blob: image, prompt, ...rest } = picture;
  return { ...rest, image, prompt, imageId, date: today(), slug: slugFor(prompt, imageId) };
}
