// How long one sync takes beside the two requests it consists of.
import { inNode, startServer } from "./host.mjs";
import { figure, pooled } from "./support.mjs";

export const title = "calls: a 200 kB image and its row";
export const notes = [
  "The server answers at once, in a process of its own, over HTTP/1.1 connections that are kept.",
  "Chromium runs without a debugger, which would copy the bodies; page and server have one origin, so that nobody waits for a preflight; the clock is the page's.",
  "A sample is the mean of 10 calls in a row, after 450 calls to warm up, in two fresh processes and two fresh browsers.",
  "\"The same with care\" is what ours can't do without: a look at the image's head, a copy of a view, a time limit and an AbortSignal for each request.",
  "Ours before is the package of the clone that the variable BEFORE names, built: 1495b47 is the commit before the library was described by serde and spoke to its host by web-sys. Without the variable its lines are left out.",
  "Raw fetches send the headers and bodies that ours sends, the row's prompt hash ready-made, and read the answers. storage-js sends a Blob as multipart/form-data.",
];

const LIMIT = 1.08;
/** Beside ours of before. */
const LIMIT_BEFORE = 1.05;
const RUNS = 2;
// The host's compilers are done with our code and everybody's after about 500 calls.
const plan = { size: 200_000, warmUp: 45, rounds: 60, batch: 10 };

export async function run() {
  const server = await startServer();
  try {
    const inNodes = await repeated(() => inNode("calls-node.mjs", { url: server.url, ...plan }));
    const inPages = await repeated(() =>
      server.open("calls-page.mjs", { ...plan, hasBefore: Boolean(process.env.BEFORE) }),
    );
    return [...figures("Node", inNodes), ...figures("Chromium", inPages)];
  } finally {
    server.close();
  }
}

async function repeated(once) {
  const runs = [];
  for (let i = 0; i < RUNS; i++) runs.push(await once());
  return pooled(runs);
}

function figures(host, samples) {
  const lines = Object.keys(samples).map((name) => {
    const raw = `two raw fetches, ${name.split(", ").at(-1)}`;
    return figure({
      what: `${host}: ${name}`,
      unit: "ms",
      samples: samples[name],
      beside: name === raw ? undefined : { name: "raw", samples: samples[raw] },
      limit: name.startsWith("ours,") ? LIMIT : undefined,
    });
  });
  const compared = ["Uint8Array", "Blob"].filter((kind) => samples[`ours before, ${kind}`]);
  const beside = compared.map((kind) =>
    figure({
      what: `${host}: ours, ${kind}, beside before`,
      unit: "ms",
      samples: samples[`ours, ${kind}`],
      beside: { name: "ours before", samples: samples[`ours before, ${kind}`] },
      limit: LIMIT_BEFORE,
    }),
  );
  return [...lines, ...beside];
}
