// How long a hundred images take on a line with latency.
import { inNode, selfSigned, startServer } from "./host.mjs";
import { figure } from "./support.mjs";

const LATENCY_MS = 40;
const COUNT = 100;
const plan = { count: COUNT, size: 200_000, ours: [6, 8, 16], peers: [6, 16], rounds: 3 };

export const title = "many: 100 images of 200 kB and their rows, 40 ms added per request";
export const notes = [
  "The server holds each answer for 40 ms from the request's last byte, however many requests there are. A sample is all 100 images; they are views in Node and Blobs in Chromium.",
  'Ours is one syncMany. The others run a pool of Promises, each of which uploads an image and inserts its row. "One after another" is what the Go package does, by raw fetches.',
  "The limit in ms is 1.3 × the latency of ⌈100/n⌉ rounds of uploads and one insert.",
  "HTTP/2 is Node's server with a certificate of its own; in Node the fetch of undici with allowH2, which all contenders use. Chromium opens 6 connections to a server over HTTP/1.1, so that more at once are no faster there.",
];

/** What is wanted of ours: how many at once, and how much faster than one after another. */
const wanted = { Node: { at: 16, faster: 18 }, Chromium: { at: 6, faster: 9 } };
const SLACK = 1.3;

export async function run() {
  const lines = [];
  for (const [protocol, http2] of Object.entries({ "HTTP/1.1": undefined, "HTTP/2": await selfSigned() })) {
    const server = await startServer({ answerAfterMs: LATENCY_MS, http2 });
    try {
      const nodes = await inNode("many-node.mjs", { ...plan, url: server.url, certificate: http2?.cert });
      lines.push(...figures("Node", protocol, nodes));
      lines.push(...figures("Chromium", protocol, await server.open("many-page.mjs", { ...plan, asBlobs: true })));
    } finally {
      server.close();
    }
  }
  return lines;
}

function figures(host, protocol, samples) {
  const slow = { name: "one after another", samples: samples["one after another"] };
  return Object.keys(samples).flatMap((name) => {
    const line = { what: `${host}, ${protocol}: ${name}`, unit: "ms", samples: samples[name] };
    if (name === slow.name) return [figure(line)];
    const { at, faster } = wanted[host];
    if (name !== `ours, ${at} at once`) return [figure({ ...line, beside: slow, isSpeed: true })];
    const latency = (Math.ceil(COUNT / at) + 1) * LATENCY_MS;
    return [
      figure({ ...line, beside: slow, isSpeed: true, limit: faster }),
      figure({ ...line, what: `${line.what}, beside its latency`, limit: SLACK * latency }),
    ];
  });
}
