// Draws away from the page, which stays quick while one types.
import { tells } from "./canvas";
import { type Brief, type Drawing, drawOn } from "./drawing";

/** What the page asks for: to show the picture, or to send it. */
export interface Task extends Brief {
  id: number;
  as: "bitmap" | "png";
  side: number;
}

export type Outcome = { id: number; drawing: Drawing; made: ImageBitmap | Blob } | { id: number; failure: string };

const canvas = new OffscreenCanvas(1, 1);
/** What is on the canvas: mostly the picture to send is the one that was just shown. */
let drawn: Drawing | undefined;

self.addEventListener("message", async ({ data: { id, as, side, ...brief } }: MessageEvent<Task>) => {
  try {
    const drawing = draw(brief, side);
    // Both are copies of the canvas at this moment.
    if (as === "png" && !isTold()) throw new Error("This browser gives no picture back that is drawn on a canvas.");
    const made = await (as === "png" ? canvas.convertToBlob({ type: "image/png" }) : createImageBitmap(canvas));
    answer({ id, drawing, made }, made instanceof ImageBitmap ? [made] : []);
  } catch (error) {
    answer({ id, failure: String(error) });
  }
});

function isTold(): boolean {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  return context !== null && tells(context);
}

function draw(brief: Brief, side: number): Drawing {
  if (drawn?.prompt === brief.prompt && drawn.seed === brief.seed) return drawn;
  drawn = undefined;
  drawn = drawOn(canvas, brief, side);
  return drawn;
}

function answer(outcome: Outcome, transfer: Transferable[] = []): void {
  self.postMessage(outcome, { transfer });
}
