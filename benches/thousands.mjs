// What one call with thousands of images, or of paths, takes.
import { inNode } from "./host.mjs";
import { figure, median } from "./support.mjs";

export const title = "thousands: one call with up to 100,000 images of 70 bytes, Node";
export const notes = [
  "Each sample is one call in a fresh Node, whose `fetch` is a function of the process that answers at once, or after 20 ms where rows are refused. wasm memory is `memory.buffer.byteLength` after it.",
  "Beside 1,000: how much longer an image takes in a call with 100,000.",
];

const ROUNDS = 3;
const SOME = 1000;
const MANY = 100_000;
const CALL_LIMIT_MS = 10_000;
const REFUSED_LIMIT_MS = 6_000;
const EACH_LIMIT = 1.3;
const WASM_LIMIT_BYTES = 128e6;

export async function run() {
  const some = await samplesOf({ what: "sync", count: SOME });
  const many = await samplesOf({ what: "sync", count: MANY });
  const urls = await samplesOf({ what: "urls", count: MANY });
  const refused = await samplesOf({ what: "sync", count: SOME, refused: 0.5, latencyMs: 20 });
  const ms = (samples) => samples.map((sample) => sample.ms);
  const wasmBytes = (samples) => samples.map((sample) => sample.wasmBytes);
  const beside = { name: "1,000", samples: ms(some).map((took) => (took * MANY) / SOME) };
  return [
    figure({ what: "syncMany of 1,000", unit: "ms", samples: ms(some) }),
    figure({ what: "syncMany of 100,000", unit: "ms", samples: ms(many), limit: CALL_LIMIT_MS }),
    figure({ what: "the same, an image", unit: "ms", samples: ms(many), beside, limit: EACH_LIMIT }),
    figure({ what: "its wasm memory", unit: "MB", samples: wasmBytes(many), limit: WASM_LIMIT_BYTES }),
    figure({ what: "signedUrls of 100,000", unit: "ms", samples: ms(urls) }),
    figure({ what: "its wasm memory", unit: "MB", samples: wasmBytes(urls) }),
    figure({
      what: `1,000, half of their rows refused: ${median(refused.map(({ inserts }) => inserts))} inserts`,
      unit: "ms",
      samples: ms(refused),
      limit: REFUSED_LIMIT_MS,
    }),
  ];
}

async function samplesOf(plan) {
  const samples = [];
  for (let round = 0; round < ROUNDS; round++) samples.push(await inNode("thousands-node.mjs", plan));
  return samples;
}
