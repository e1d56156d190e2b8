// A large image in pieces, on a good line and on one that breaks.
import { inNode, startServer } from "./host.mjs";
import { figure } from "./support.mjs";

const SIZE = 100_000_000;
const CUT_EVERY = 20_000_000;
/** Not at the very end: there nothing would be left to send. */
const CUTS = Math.ceil(SIZE / CUT_EVERY) - 1;
const CHUNK_BYTES = 6 * 1024 * 1024;
const TIME_LIMIT = 1.05;
const plan = { size: SIZE, rounds: 8 };

export const title = "tus: 100 MB in pieces, and its row";
export const notes = [
  "Both send pieces of 6 MiB, the first with the creation. tus-js-client is set up as Supabase's documentation has it, and its row is inserted by a raw fetch. It takes a Buffer in Node, where ours gets the bytes as a Blob, and as a view, which it copies: its owner may reuse it.",
  "With cuts the server loses the connection whenever another 20 MB of the upload have got to it, and with it all bytes of the request, which is the worst that a server may do. Both wait 10 ms then.",
  "Sent twice is what the server received past the image's size, per cut.",
];

export async function run() {
  const lines = [];
  for (const cutEvery of [undefined, CUT_EVERY]) {
    const server = await startServer({ cutEvery });
    try {
      lines.push(
        ...figures("Node", cutEvery, await inNode("tus-node.mjs", { ...plan, peerTakes: "view", url: server.url })),
      );
      lines.push(...figures("Chromium", cutEvery, await server.open("tus-page.mjs", { ...plan, peerTakes: "Blob" })));
    } finally {
      server.close();
    }
  }
  return lines;
}

function figures(host, cutEvery, { times, received }) {
  const peer = "tus-js-client";
  return Object.keys(times).flatMap((name) => {
    const isOurs = name !== peer;
    const line = {
      what: `${host}, ${cutEvery ? "a cut per 20 MB" : "no cuts"}: ${name}`,
      unit: "ms",
      samples: times[name],
    };
    const beside = isOurs ? { name: peer, samples: times[peer] } : undefined;
    if (!cutEvery) return [figure({ ...line, beside, limit: isOurs ? TIME_LIMIT : undefined })];
    const twice = received[name].map((bytes) => (bytes - SIZE) / CUTS);
    return [
      figure({ ...line, beside }),
      figure({
        what: `${line.what}, sent twice per cut`,
        unit: "MiB",
        samples: twice,
        limit: isOurs ? CHUNK_BYTES : undefined,
      }),
    ];
  });
}
