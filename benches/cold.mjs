// How soon a Worker that has just started has sent its first image.
import { spawn } from "node:child_process";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import workerd from "workerd";
import { bundle, startServer } from "./host.mjs";
import { figure, shuffled } from "./support.mjs";

export const title = "cold: a Worker's first 200 kB image and its row, workerd";
export const notes = [
  "A sample is a new process of workerd with one Worker, bundled and minified by esbuild with wrangler's conditions, that makes its client in its first request and sends one image.",
  "The whole is from the process's start to the answer; the first request is from when workerd listens, having compiled the Worker's modules.",
];

const LIMIT = 0.85;
const ROUNDS = 25;
const PEER = "supabase-js";
const WASM = "imagen_cloud_bg.wasm";

/** How each Worker sends an image: `send(url, image)`. */
const workers = {
  ours: `
    import { createSink } from "imagen-cloud";
    const send = async (url, image) => (await createSink(sinkOptions(url))).sync(requestOf(image));`,
  [PEER]: `
    import { createClient } from "@supabase/supabase-js";
    const send = (url, image) => {
      const supabase = supabaseClient(createClient, url);
      return byClients(supabase.storage, supabase, image);
    };`,
  "two raw fetches": "const send = byHand;",
};

const source = (send) => `
  import { byClients, byHand, fakePng, requestOf, sinkOptions, supabaseClient } from "./benches/contenders.mjs";
  ${send}
  const image = fakePng(200_000);
  export default {
    async fetch(request) {
      await send(new URL(request.url).searchParams.get("supabase"), image);
      return new Response("sent");
    },
  };`;

const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = (
      compatibilityDate = "2026-11-01",
      modules = [(name = "worker.js", esModule = embed "worker.js"), (name = "./${WASM}", wasm = embed "${WASM}")],
      globalOutbound = "network",
    )),
    (name = "network", network = (allow = ["public", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
);`;

export async function run() {
  const server = await startServer();
  const folder = await mkdtemp(join(tmpdir(), "imagen-cloud-bench-"));
  const names = Object.keys(workers);
  const wholes = Object.fromEntries(names.map((name) => [name, []]));
  const firsts = Object.fromEntries(names.map((name) => [name, []]));
  try {
    const folders = {};
    for (const name of names) folders[name] = await write(await mkdtemp(join(folder, "worker-")), name);
    // The first round is for the files' sake.
    for (let round = -1; round < ROUNDS; round++) {
      for (const name of shuffled(names)) {
        const { wholeMs, firstMs } = await start(folders[name], server.url);
        if (round < 0) continue;
        wholes[name].push(wholeMs);
        firsts[name].push(firstMs);
      }
    }
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
  return names.flatMap((name) => {
    const beside = (samples) => (name === PEER ? undefined : { name: PEER, samples: samples[PEER] });
    const limit = name === "ours" ? LIMIT : undefined;
    return [
      figure({ what: `${name}: the whole`, unit: "ms", samples: wholes[name], beside: beside(wholes), limit }),
      figure({ what: `${name}: the first request`, unit: "ms", samples: firsts[name], beside: beside(firsts) }),
    ];
  });
}

async function write(folder, name) {
  const isOurs = name === "ours";
  const code = await bundle(source(workers[name]), {
    conditions: ["workerd", "worker", "browser"],
    plugins: [
      {
        name: "wasm",
        setup: (build) => build.onResolve({ filter: /\.wasm$/ }, () => ({ path: `./${WASM}`, external: true })),
      },
    ],
  });
  await writeFile(join(folder, "worker.js"), code);
  if (isOurs) await copyFile(new URL(`../pkg/wasm/${WASM}`, import.meta.url), join(folder, WASM));
  const modules = isOurs ? config : config.replace(/, \(name = "[^"]*wasm".*?\)/, "");
  await writeFile(join(folder, "config.capnp"), modules);
  return folder;
}

async function start(folder, supabase) {
  const started = performance.now();
  const child = spawn(workerd.default, ["serve", "--control-fd=3", join(folder, "config.capnp")], {
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    const failed = ended.then((code) => Promise.reject(new Error(`workerd ended with ${code}`)));
    const port = await Promise.race([listening(child.stdio[3]), failed]);
    const listens = performance.now();
    const answer = await asked(`http://127.0.0.1:${port}/?supabase=${encodeURIComponent(supabase)}`);
    if (answer !== "sent") throw new Error(`the Worker answered: ${answer}`);
    const answered = performance.now();
    return { wholeMs: answered - started, firstMs: answered - listens };
  } finally {
    child.kill();
    await ended;
  }
}

/** The port, as workerd tells it. */
async function listening(pipe) {
  for await (const line of createInterface(pipe)) {
    const { event, port } = JSON.parse(line);
    if (event === "listen") return port;
  }
}

const asked = (url) =>
  new Promise((resolve, reject) => {
    get(url, { agent: false }, async (response) => resolve((await response.toArray()).join(""))).once("error", reject);
  });
