// Draws away from the page, which stays quick while one types.
import { type Brief, type Drawing, drawOn } from "./drawing";

/** What the page asks for: to show the picture, or to send it. */
export interface Task extends Brief {
  id: number;
  as: "bitmap" | "png";
}

export type Outcome = { id: number; drawing: Drawing; made: ImageBitmap | Blob } | { id: number; failure: string };

const canvas = new OffscreenCanvas(1, 1);

self.addEventListener("message", async ({ data: { id, as, ...brief } }: MessageEvent<Task>) => {
  try {
    const drawing = drawOn(canvas, brief);
    const made = as === "png" ? await canvas.convertToBlob({ type: "image/png" }) : canvas.transferToImageBitmap();
    answer({ id, drawing, made }, made instanceof ImageBitmap ? [made] : []);
  } catch (error) {
    answer({ id, failure: String(error) });
  }
});

function answer(outcome: Outcome, transfer: Transferable[] = []): void {
  self.postMessage(outcome, { transfer });
}
