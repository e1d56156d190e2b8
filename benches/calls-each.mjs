// The calls part's measurement, the same in Node and in a page.
import { contenders, fakePng } from "./contenders.mjs";
import { interleave } from "./support.mjs";

export async function timeCalls({ url, size, ...plan }, modules) {
  const bytes = fakePng(size);
  const inputs = { Uint8Array: bytes, Blob: new Blob([bytes], { type: "image/png" }) };
  const calls = {};
  for (const [kind, image] of Object.entries(inputs)) {
    for (const [name, call] of Object.entries(await contenders(url, image, modules))) calls[`${name}, ${kind}`] = call;
  }
  return interleave(calls, plan);
}
