// The memory part's page: one call with one large Blob.
import { contenders, fakeBlob } from "./contenders.mjs";

export default async function run({ name, readsFirst, size, url, tell }) {
  const { createSink } = await import("/pkg/browser.js");
  const modules = { createSink, ...(await import("/peers.js")) };
  const blob = await fakeBlob(size);
  await tell("ready");
  const calls = await contenders(url, readsFirst ? await blob.arrayBuffer() : blob, modules);
  await calls[name]();
  await tell("done");
  const { default: initWasm } = await import("/pkg/wasm/imagen_cloud.js");
  const { memory } = await initWasm(); // loaded already: gives what it loaded
  return { wasmBytes: memory.buffer.byteLength };
}
