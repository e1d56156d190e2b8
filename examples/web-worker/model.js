// Stands in for a model, so that this example loads no gigabytes: `pipeline` and what it gives have transformers.js' shape.
const SIDE = 256;

export async function pipeline(_task, _model, { progress_callback: tell }) {
  tell({ status: "ready" });
  return async (_prompt, { seed }) => [{ toBlob: (type) => draw(seed).convertToBlob({ type }) }];
}

function draw(seed) {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext("2d");
  const sky = context.createLinearGradient(0, 0, 0, SIDE);
  sky.addColorStop(0, `hsl(${seed % 360} 70% 30%)`);
  sky.addColorStop(1, `hsl(${(seed + 60) % 360} 80% 70%)`);
  context.fillStyle = sky;
  context.fillRect(0, 0, SIDE, SIDE);
  return canvas;
}
