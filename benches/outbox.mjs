// What an outbox costs with few jobs and with ten thousand, and how fast it is emptied.
import { selfSigned, startServer } from "./host.mjs";
import { figure } from "./support.mjs";

const FEW = 100;
const MANY = 10_000;
const LATENCY_MS = 40;
const DRAINED = 1000;
const ROWS_AT_ONCE = 50;
/** Uppy takes some 20 ms for each file that is there, and more the more there are: ten thousand would be many minutes. */
const PEERS = [
  { peer: "workbox", name: "Workbox's queue", many: MANY },
  { peer: "uppy", name: "Uppy's golden retriever", many: 1000 },
];

export const title = "outbox: few images and ten thousand, Chromium";
export const notes = [
  "An enqueue is of a Blob of 50 kB, new each time; the jobs that are only there have images of 1 kB, and most are written by the bench itself. Few and many are in storage buckets of their own, so in other files, and are timed in turn, in another order each round. With them one in a page whose `caches` is absent, which keeps no second copy, and the bare write of the same record and bytes, read of a Blob too, by one IndexedDB transaction with strict durability, without an index, in the same bucket.",
  "A list is of 50 jobs. The opening is from createOutbox to the first request, in the same page, whose module is compiled.",
  "The drain of all is against a server that answers at once. The longest task is the page's own (PerformanceObserver); the page's memory is performance.measureUserAgentSpecificMemory after it less before it, wasm memory is memory.buffer.byteLength after it.",
  "Workbox's queue keeps a request with the same bytes (the row's would be another) and Uppy's golden retriever a file, both without strict durability and once. Found again is for the former from replayRequests to the first request, for the latter from a new Uppy to its files; it sends none before its user has said so.",
  "The drain of 1,000 images of 200 kB and the syncMany of the same, with the same lanes, are against a server that holds each answer for 40 ms.",
];

export async function run() {
  return [...(await costs()), ...(await peers()), ...(await drains())];
}

async function costs() {
  const server = await startServer();
  try {
    const found = await server.open("outbox-page.mjs", {
      task: "size",
      few: FEW,
      many: MANY,
      size: 50_000,
      rounds: 40,
    });
    const { few, many, openedMs, drained, drainedMs, longestMs, wasmBytes, heapBytes } = found;
    const beside = (name, samples) => ({ name, samples });
    return [
      figure({ what: `enqueue at ${FEW} jobs`, unit: "ms", samples: few.enqueue, limit: 10 }),
      figure({ what: `enqueue at ${MANY}`, unit: "ms", samples: many.enqueue, limit: 10 }),
      figure({
        what: "the same",
        unit: "ms",
        samples: many.enqueue,
        beside: beside(`${FEW}`, few.enqueue),
        limit: 1.2,
      }),
      figure({
        what: "the same",
        unit: "ms",
        samples: many.enqueue,
        beside: beside("a bare write", many.bare),
        limit: 1.5,
      }),
      figure({
        what: "the same without Cache Storage, so without a second copy",
        unit: "ms",
        samples: many.single,
        beside: beside("a bare write", many.bare),
        limit: 1.5,
      }),
      figure({
        what: `list of 50 of ${MANY}`,
        unit: "ms",
        samples: many.list,
        beside: beside(`${FEW}`, few.list),
        limit: 1.5,
      }),
      figure({ what: `opening ${MANY} to the first request`, unit: "ms", samples: [openedMs], limit: 300 }),
      figure({ what: `${drained} drained`, unit: "ms", samples: [drainedMs] }),
      figure({ what: "the longest task meanwhile", unit: "ms", samples: [longestMs], limit: 50 }),
      figure({ what: "wasm memory after it", unit: "MiB", samples: [wasmBytes], limit: 4 * 2 ** 20 }),
      figure({
        what: "the page's memory after it, less before",
        unit: "MiB",
        samples: [heapBytes],
        limit: 20 * 2 ** 20,
      }),
    ];
  } finally {
    server.close();
  }
}

/** What others do with the same bytes, as far as they do it. */
async function peers() {
  const lines = [];
  const server = await startServer();
  try {
    for (const { peer, name, many } of PEERS) {
      const plan = { peer, few: FEW, many, size: 50_000, rounds: 40 };
      const samples = await server.open("outbox-peers-page.mjs", plan);
      const beside = { name: `${FEW}`, samples: samples.few };
      lines.push(
        figure({ what: `${name}: one more at ${FEW}`, unit: "ms", samples: samples.few }),
        figure({ what: `${name}: one more at ${many}`, unit: "ms", samples: samples.many, beside }),
        figure({ what: `${name}: ${many} found again`, unit: "ms", samples: [samples.backMs] }),
      );
    }
  } finally {
    server.close();
  }
  return lines;
}

async function drains() {
  const lines = [];
  for (const [protocol, http2] of Object.entries({ "HTTP/1.1": undefined, "HTTP/2": await selfSigned() })) {
    const server = await startServer({ answerAfterMs: LATENCY_MS, http2 });
    try {
      for (const concurrency of [undefined, 3, 6, 12, 16]) {
        const plan = { task: "lanes", count: 200, size: 200_000, concurrency, rounds: 2 };
        const { outbox } = await server.open("outbox-page.mjs", plan);
        const lanes = concurrency === undefined ? "lanes as by default" : `${concurrency} lanes`;
        lines.push(figure({ what: `drain of 200, ${protocol}, ${lanes}`, unit: "ms", samples: outbox }));
      }
      if (http2) continue;
      const plan = { task: "drain", count: DRAINED, size: 200_000, concurrency: 6, compare: true, rounds: 2 };
      const { outbox, syncMany, inserts } = await server.open("outbox-page.mjs", plan);
      const most = 1 + DRAINED / ROWS_AT_ONCE;
      const what = `drain of ${DRAINED}, ${protocol}, 6 lanes: ${Math.max(...inserts)} inserts (≤ ${most})`;
      lines.push(
        figure({ what, unit: "ms", samples: outbox, beside: { name: "syncMany", samples: syncMany }, limit: 1.3 }),
      );
    } finally {
      server.close();
    }
  }
  return lines;
}
