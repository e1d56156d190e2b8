// The memory part's page: one call with one large Blob.
import { contenders, fakePng } from "./contenders.mjs";

const PIECES = 100;

export default async function run({ name, readsFirst, size, url, tell }) {
  const { createSink } = await import("/pkg/browser.js");
  const modules = { createSink, ...(await import("/peers.js")) };
  // Piece by piece, so that the page never holds all of the bytes itself.
  let blob = new Blob([]);
  for (let i = 1; i <= PIECES; i++) blob = new Blob([blob, fakePng(size / PIECES, i)], { type: "image/png" });
  await settled();
  await tell("ready");
  const calls = await contenders(url, readsFirst ? await blob.arrayBuffer() : blob, modules);
  await calls[name]();
  await tell("done");
  const { default: initWasm } = await import("/pkg/wasm/imagen_cloud.js");
  const { memory } = await initWasm(); // loaded already: gives what it loaded
  return { wasmBytes: memory.buffer.byteLength };
}

/** Gives the pieces time to be handed over and collected. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 1500));
