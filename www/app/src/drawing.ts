import { MODEL, paint } from "./art";

/** Pixels of a drawn picture's side, unless the configuration says otherwise. */
export const SIDE = 1024;

/** What a picture is drawn from. */
export interface Brief {
  prompt: string;
  seed: bigint;
}

/** How it was drawn. */
export interface Drawing extends Brief {
  palette: string;
  layers: number;
  side: number;
  latencyMs: number;
}

/** Draws it on a canvas of the page, or of a worker, which becomes `side` pixels wide and high. */
export function drawOn(canvas: HTMLCanvasElement | OffscreenCanvas, { prompt, seed }: Brief, side: number): Drawing {
  canvas.width = side;
  canvas.height = side;
  // Of two kinds of canvas TypeScript takes the call for two different ones.
  const ctx = (canvas as OffscreenCanvas).getContext("2d", { willReadFrequently: true });
  if (!ctx) throw new Error("This browser has no canvas to draw on.");
  const started = performance.now();
  const { palette, layers } = paint(ctx, side, prompt, seed);
  return { prompt, seed, palette, layers, side, latencyMs: Math.max(1, Math.round(performance.now() - started)) };
}

/** What a row, and its sidecar, tell of it. */
export function factsOf({ palette, layers, side, latencyMs }: Drawing) {
  return {
    model: MODEL,
    steps: layers,
    latencyMs,
    // It was drawn on the user's own device.
    costUsdEstimate: 0,
    sidecar: { generator: MODEL, palette, steps: layers, width: side, height: side, latencyMs, costUsdEstimate: 0 },
  };
}
