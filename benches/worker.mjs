// What a request costs the Worker, beside two that do the least: raw fetches or supabase-js, and jose.
import { randomUUID } from "node:crypto";
import { request as httpRequest } from "node:http";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { SignJWT } from "jose";
import { inspect } from "../tests/worker/inspector.mjs";
import { bundleWorker } from "../www/local/worker.mjs";
import { fakePng } from "./contenders.mjs";
import { bundle, startServer } from "./host.mjs";
import { figure, median, roundsOf, shuffled } from "./support.mjs";
import { startWorkerd, writeWorker } from "./workerd.mjs";

export const title = "worker: CPU time of workerd's process, a request";
export const notes = [
  "Each Worker has a process of workerd to itself, and a server that answers at once. A sample is the mean of some requests in a row, one at a time, by the CPU time of all of the process's threads.",
  "The peers check the user's token by jose and send image and row, or ask for a signed URL; ours does all that the Worker does, but for the rate limit and the bucket, which are services of the platform.",
  "A first request is the first of a new process, from when it listens; a start is what the process took until then, the Worker's modules among it. What the empty Worker takes is workerd's own, and a share is what is left of the same round without it.",
  "Ours before is the Worker of the clone that the variable BEFORE names, built: b24380b is the commit before its first requests were looked at. Without the variable its lines are left out.",
  "A burst is so many forms of 200 kB at once, of 20 users. The live memory is the isolate's heap and buffers after a collection, the most of some samples, while the server takes a second to answer.",
  "The slow senders are 16 of one user, which announce 1 MB each and bring a byte a second; the upload is another user's.",
];

const SECRET = "a-secret-of-the-bench-that-is-long-enough-for-it";
const RAW = "raw + jose";
const EMPTY = "an empty Worker";
const BEFORE = "ours before";
const KB = 1_000;
const MB = 1_000_000;
/** Of each kind of request: as many rounds as a quiet machine does in that time. */
const ROUNDS = { least: 3, most: 20, seconds: 25 };
/** What Cloudflare's free plan gives a request. */
const FIRST_MS = 10;

/** What is measured: name, how often in a row, limit beside the raw Worker, and the request. */
const requests = [
  ["GET signed-url", 100, 1.3, (user) => ({ path: `/api/signed-url?path=${user.id}/2026-05-11/a-1.png`, user })],
  ["POST 200 kB", 50, undefined, (user) => post(user, 200 * KB)],
  ["POST 1 MB", 20, 1.3, (user) => post(user, MB)],
  ["POST 10 MB", 4, 1.3, (user) => post(user, 10 * MB)],
];

/** Takes what comes: the rest of a first request is the Worker's own. */
const emptyWorker = `
  export default {
    async fetch(request) {
      await request.arrayBuffer();
      return new Response();
    },
  };`;

export async function run() {
  const server = await startServer();
  const slow = await startServer({ answerAfterMs: 1_000 });
  const written = {};
  try {
    const env = (url) => ({ SUPABASE_URL: url, SUPABASE_SERVICE_KEY: "bench-key", SUPABASE_JWT_SECRET: SECRET });
    const ours = await bundleWorker();
    written.ours = await writeWorker(ours, env(server.url));
    for (const [name, of] of [
      [RAW, "raw"],
      ["supabase-js + jose", "supabase"],
    ]) {
      const script = await bundle(`export { ${of} as default } from "./benches/worker-peers.mjs";`, {
        conditions: ["workerd", "worker", "browser"],
      });
      written[name] = await writeWorker({ script }, env(server.url));
    }
    written["ours, slowly answered"] = await writeWorker(ours, env(slow.url));
    written[EMPTY] = await writeWorker({ script: emptyWorker }, {});
    const before = await bundleBefore();
    if (before) written[BEFORE] = await writeWorker(before, env(server.url));
    const { "ours, slowly answered": slowly, [EMPTY]: empty, [BEFORE]: earlier, ...all } = written;
    return [
      ...(await perRequest(all)),
      ...(await firstRequests({ ...all, [EMPTY]: empty, ...(earlier && { [BEFORE]: earlier }) })),
      ...(await bursts(written.ours)),
      ...(await memory(slowly)),
      ...(await besideSlowSenders(written.ours)),
    ];
  } finally {
    server.close();
    slow.close();
    for (const worker of Object.values(written)) await worker.remove();
  }
}

/** By the clone's own means, with its own packages. */
async function bundleBefore() {
  const { BEFORE: clone } = process.env;
  if (!clone) return undefined;
  const { bundleWorker } = await import(pathToFileURL(join(resolve(clone), "www/local/worker.mjs")).href);
  return bundleWorker();
}

async function perRequest(all) {
  const user = await someUser();
  const running = {};
  try {
    for (const [name, worker] of Object.entries(all)) running[name] = await startWorkerd(worker);
    const figures = [];
    for (const [what, batch, limit, make] of requests) {
      const samples = samplesOf(running);
      // Two rounds in which all is compiled.
      for (const round of roundsOf({ ...ROUNDS, most: ROUNDS.most + 2, least: ROUNDS.least + 2 })) {
        for (const name of shuffled(Object.keys(running))) {
          const ms = await cpuOf(running[name], make(user), batch);
          if (round >= 2) samples[name].push(ms / batch);
        }
      }
      figures.push(...beside(what, samples, limit));
    }
    return figures;
  } finally {
    for (const worker of Object.values(running)) await worker.close();
  }
}

async function firstRequests(all) {
  const user = await someUser();
  const figures = [];
  const starts = samplesOf(all);
  for (const [what, , , make] of requests.slice(0, 2)) {
    const samples = samplesOf(all);
    for (const _ of roundsOf(ROUNDS)) {
      for (const name of shuffled(Object.keys(all))) {
        const worker = await startWorkerd(all[name]);
        try {
          starts[name].push(await worker.cpuMs());
          samples[name].push(await cpuOf(worker, make(user), 1));
        } finally {
          await worker.close();
        }
      }
    }
    figures.push(...firstOf(`first ${what}`, samples));
  }
  return [...figures, ...beside("start", starts)];
}

/** What each first request took, and how much of that is its Worker's own. */
function firstOf(what, { [EMPTY]: empty, ...samples }) {
  const shares = Object.fromEntries(
    Object.entries(samples).map(([name, of]) => [name, of.map((ms, round) => ms - empty[round])]),
  );
  const line = (name) => ({ what: `${what}: ${name}`, unit: "ms", samples: samples[name] });
  const share = (name) => ({ what: `${what}, its share: ${name}`, unit: "ms", samples: shares[name] });
  return [
    figure({ ...line("ours"), limit: FIRST_MS }),
    ...Object.keys(samples)
      .slice(1)
      .map((name) => figure(line(name))),
    figure({ what: `${what}: ${EMPTY}`, unit: "ms", samples: empty }),
    ...Object.keys(shares).map((name) => {
      const isCompared = name === "ours" && shares[BEFORE] !== undefined;
      const compared = isCompared && { beside: { name: BEFORE, samples: shares[BEFORE] }, limit: 2 / 3 };
      return figure({ ...share(name), ...compared });
    }),
  ];
}

const samplesOf = (all) => Object.fromEntries(Object.keys(all).map((name) => [name, []]));

async function cpuOf(worker, request, count) {
  const before = await worker.cpuMs();
  for (let i = 0; i < count; i += 1) await insist(worker.url, request);
  return (await worker.cpuMs()) - before;
}

function beside(what, samples, limit) {
  return Object.keys(samples).map((name) =>
    figure({
      what: `${what}: ${name}`,
      unit: "ms",
      samples: samples[name],
      beside: name === RAW ? undefined : { name: RAW, samples: samples[RAW] },
      limit: name === "ours" ? limit : undefined,
    }),
  );
}

/** Nobody may be refused. */
async function bursts(ours) {
  const users = await Promise.all(Array.from({ length: 20 }, someUser));
  const figures = [];
  for (const count of [50, 100, 200, 500, 1_000]) {
    const worker = await startWorkerd(ours);
    try {
      await insist(worker.url, post(users[0], KB));
      const started = performance.now();
      const took = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const { status } = await ask(worker.url, post(users[index % users.length], 200 * KB));
          return { status, ms: performance.now() - started };
        }),
      );
      const done = took.filter(({ status }) => status === 201);
      const what = `a burst of ${count}: ours, ${count - done.length} refused`;
      figures.push(figure({ what, unit: "ms", samples: done.map(({ ms }) => ms) }));
    } finally {
      await worker.close();
    }
  }
  return figures;
}

async function memory(ours) {
  const figures = [];
  for (const [count, size, limit] of [
    [1, 25 * MB, 64 * 2 ** 20],
    [3, 10 * MB, undefined],
  ]) {
    const worker = await startWorkerd(ours, { inspect: true });
    try {
      await insist(worker.url, post(await someUser(), KB));
      const isolate = await inspect(worker.inspector);
      const users = await Promise.all(Array.from({ length: count }, someUser));
      const sending = Promise.all(users.map((user) => insist(worker.url, post(user, size))));
      const samples = [];
      for (;;) {
        // An isolate that has nothing to do answers no question.
        const asking = isolate.liveBytes();
        asking.catch(() => {});
        const live = await Promise.race([asking, sending.then(() => undefined)]);
        if (live === undefined) break;
        samples.push(live.heap + live.buffers);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      isolate.close();
      const what = `live at most, ${count} × ${size / MB} MB: ours`;
      figures.push(figure({ what, unit: "MB", samples: [Math.max(...samples)], limit }));
    } finally {
      await worker.close();
    }
  }
  return figures;
}

async function besideSlowSenders(ours) {
  const worker = await startWorkerd(ours);
  const slow = [];
  try {
    const [attacker, user] = [await someUser(), await someUser()];
    const timed = async () => {
      const started = performance.now();
      await insist(worker.url, post(user, 200 * KB));
      return performance.now() - started;
    };
    const uploads = async () => {
      const samples = [];
      for (let i = 0; i < 40; i += 1) samples.push(await timed());
      return samples.slice(10);
    };
    const without = await uploads();
    for (let i = 0; i < 16; i += 1) slow.push(sendSlowly(worker.url, post(attacker, MB)));
    await timed();
    const among = await uploads();
    return [
      figure({ what: "an upload without slow senders: ours", unit: "ms", samples: without }),
      figure({
        what: "an upload beside 16 slow senders: ours",
        unit: "ms",
        samples: [median(among)],
        beside: { name: "without", samples: [median(without)] },
        limit: 2,
      }),
    ];
  } finally {
    for (const sender of slow) sender.stop();
    await worker.close();
  }
}

/** Whose token the benches' Workers take. */
export async function someUser() {
  const id = randomUUID();
  const token = await new SignJWT({ aud: "authenticated", role: "authenticated" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(id)
    .setExpirationTime("2h")
    .sign(new TextEncoder().encode(SECRET));
  return { id, token };
}

/** As long as browsers' are. */
const BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW1";

const images = new Map();

/** A form, in pieces: all requests share the image's. */
function post(user, size) {
  if (!images.has(size)) images.set(size, Buffer.from(fakePng(size)));
  const fields = { date: "2026-05-11", slug: "bench", seed: 1, prompt: "a lighthouse", backend: "bench" };
  const lines = [
    `--${BOUNDARY}`,
    'Content-Disposition: form-data; name="request"',
    "",
    JSON.stringify(fields),
    `--${BOUNDARY}`,
    'Content-Disposition: form-data; name="image"; filename="a.png"',
    "Content-Type: image/png",
    "",
    "",
  ];
  const body = [Buffer.from(lines.join("\r\n")), images.get(size), Buffer.from(`\r\n--${BOUNDARY}--\r\n`)];
  return { path: "/api/sync", user, body };
}

function open(url, { path, user, body }) {
  const headers = { authorization: `Bearer ${user.token}` };
  if (body !== undefined) {
    headers["content-type"] = `multipart/form-data; boundary=${BOUNDARY}`;
    headers["content-length"] = body.reduce((sum, { length }) => sum + length, 0);
  }
  return httpRequest(url + path, { method: body === undefined ? "GET" : "POST", headers, agent: false });
}

function ask(url, request) {
  return new Promise((resolve, reject) => {
    const sent = open(url, request).once("error", reject);
    sent.setTimeout(60_000, () => sent.destroy(new Error("no answer in a minute")));
    sent.once("response", async (answer) => {
      resolve({ status: answer.statusCode, text: (await answer.toArray()).join("") });
    });
    for (const piece of request.body ?? []) sent.write(piece);
    sent.end();
  });
}

async function insist(url, request) {
  const { status, text } = await ask(url, request);
  if (status >= 300) throw new Error(`the Worker answered ${status}: ${text.slice(0, 300)}`);
}

function sendSlowly(url, request) {
  const sent = open(url, request).on("error", () => {});
  sent.write(request.body[0]);
  const more = setInterval(() => sent.write("x"), 1_000);
  return {
    stop() {
      clearInterval(more);
      sent.destroy();
    },
  };
}
