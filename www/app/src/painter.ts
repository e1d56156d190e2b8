import { tells } from "./canvas";
import { type Brief, type Drawing, drawOn, SIDE } from "./drawing";
import type { Outcome, Task } from "./painter.worker";

type Made = Extract<Outcome, { drawing: Drawing }>;

interface Call {
  resolve: (made: Made) => void;
  reject: (reason: Error) => void;
}

/** Draws in a worker; on the page itself where the browser can't do that. */
export class Painter {
  #worker: Worker | undefined;
  #calls = new Map<number, Call>();
  #count = 0;

  /** `side` is how many pixels wide and high its pictures are. */
  constructor(private readonly side = SIDE) {
    if (typeof OffscreenCanvas === "undefined") return;
    this.#worker = new Worker(new URL("./painter.worker.ts", import.meta.url), { type: "module" });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Outcome>) => this.#answered(data));
    this.#worker.addEventListener("error", () => this.#giveUp());
  }

  /** Draws it on the page's canvas, unless `isWanted` says meanwhile that it isn't. */
  async show(canvas: HTMLCanvasElement, brief: Brief, isWanted: () => boolean): Promise<Drawing> {
    const drawn = await this.#inWorker(brief, "bitmap");
    if (!drawn) return drawOn(canvas, brief, this.side);
    const { made: bitmap, drawing } = drawn;
    if (bitmap instanceof ImageBitmap && isWanted()) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
      bitmap.close();
    }
    return drawing;
  }

  /** Its PNG; `null` where the browser can't make one. */
  async png(brief: Brief): Promise<{ drawing: Drawing; blob: Blob | null }> {
    const drawn = await this.#inWorker(brief, "png");
    if (drawn?.made instanceof Blob) return { drawing: drawn.drawing, blob: drawn.made };
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const isTold = context !== null && tells(context);
    const drawing = drawOn(canvas, brief, this.side);
    if (!isTold) return { drawing, blob: null };
    return { drawing, blob: await new Promise((resolve) => canvas.toBlob(resolve, "image/png")) };
  }

  /** `undefined` when the page has to do it. */
  async #inWorker(brief: Brief, as: Task["as"]): Promise<Made | undefined> {
    const worker = this.#worker;
    if (!worker) return undefined;
    const id = this.#count++;
    try {
      return await new Promise((resolve, reject) => {
        this.#calls.set(id, { resolve, reject });
        worker.postMessage({ id, as, side: this.side, ...brief } satisfies Task);
      });
    } catch {
      return undefined;
    }
  }

  #answered(outcome: Outcome): void {
    const call = this.#calls.get(outcome.id);
    this.#calls.delete(outcome.id);
    if ("drawing" in outcome) call?.resolve(outcome);
    else call?.reject(new Error(outcome.failure));
  }

  /** The worker could not be loaded, or is broken. */
  #giveUp(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#calls.values()) reject(new Error("The painter's worker is gone."));
    this.#calls.clear();
  }
}
