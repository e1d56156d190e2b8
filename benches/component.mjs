// What the component costs in wasmtime.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { createSink } from "imagen-cloud";
import { startInWasmtime } from "../tests/component/guest.mjs";
import { startServer } from "./host.mjs";
import { figure, interleave } from "./support.mjs";

export const title = "the component of WASI 0.2";
export const notes = [
  "In wasmtime, as Python's package brings it, on machine code that was compiled before. Where that or rustup's `wasm32-wasip2` can't be had, this part is empty.",
  "A call is a `sync` of 18 bytes, upload and row, to a server on this machine; Python's making a list of bytes is no part of what is measured then.",
  "The program is run with a folder of one image, which the server refuses: Python with it, from its start to its end. Beside it Python that only loads wasmtime.",
  "Memory is the largest resident set of a process that sends a folder of one image of 100 MB, in pieces (TUS), beside one of 2 kB.",
];

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const PYTHON = file("../.tools/bin/python3");
const PACKAGES = file("../.tools/wasmtime");
const WORLDS = ["library", "command"];
const OWNER = "7d6f2b8e-1111-4222-8333-444455556666";
const IMAGE = new TextEncoder().encode("eighteen-byte-body");
const ROUNDS = 9;
/** Runs its arguments, and prints the largest resident set in kB (Linux). */
const WATCHED =
  "import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";

const execute = promisify(execFile);

export async function run() {
  const files = WORLDS.map((world) => file(`../target/component/${world}.wasm`));
  if (!files.every(existsSync)) return [];
  const sizes = [];
  for (const [at, world] of WORLDS.entries()) {
    const bytes = await readFile(files[at]);
    sizes.push(figure({ what: `${world}.wasm, raw`, unit: "kB", samples: [bytes.length] }));
    sizes.push(figure({ what: `${world}.wasm, gzip`, unit: "kB", samples: [gzipSync(bytes, { level: 9 }).length] }));
  }
  if (!existsSync(PACKAGES)) return sizes;
  const server = await startServer();
  const folder = await mkdtemp(path.join(tmpdir(), "imagen-bench-"));
  try {
    return [...sizes, await call(server.url), await start(folder), ...(await memory(server.url, folder))];
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Beside the same call of the package. */
async function call(url) {
  const options = { url, apiKey: "key", ownerUserId: OWNER };
  const request = { image: IMAGE, seed: 42, slug: "lighthouse", date: "2026-05-11", prompt: "p", backend: "b" };
  const guest = startInWasmtime(PYTHON, PACKAGES);
  const sink = await guest.connect(options);
  const peer = await createSink(options);
  try {
    const contenders = { wasmtime: () => sink.sync(request), node: () => peer.sync(request) };
    const { wasmtime, node } = await interleave(contenders, { warmUp: 2, rounds: ROUNDS, batch: 20 });
    const beside = { name: "the package in Node", samples: node };
    return figure({ what: "a call", unit: "ms", samples: wasmtime, beside });
  } finally {
    peer.free();
    await guest.close();
  }
}

/** A folder of one image of so many bytes. */
async function folderOf(parent, bytes) {
  const folder = path.join(parent, String(bytes));
  await mkdir(path.join(folder, "2026-05-11"), { recursive: true });
  const image = Buffer.alloc(bytes, await readFile(file("../tests/data/lighthouse.png")));
  await writeFile(path.join(folder, "2026-05-11/lighthouse-42.png"), image);
  await writeFile(path.join(folder, "2026-05-11/lighthouse-42.json"), '{ "prompt": "p", "backend": "b" }');
  return folder;
}

const program = (folder) => [
  file("../tests/component/guest.py"),
  "command",
  file("../target/component/command.wasm"),
  folder,
];

const variables = (url) => ({
  PYTHONPATH: PACKAGES,
  SUPABASE_URL: url,
  SUPABASE_SERVICE_KEY: "key",
  IMAGEN_OWNER_USER_ID: OWNER,
});

/** The whole program, of which the first request is refused for good. */
async function start(parent) {
  const folder = await folderOf(parent, 2000);
  const server = createServer((_, answer) => answer.writeHead(400).end());
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const env = variables(`http://127.0.0.1:${server.address().port}`);
  const contenders = {
    // Its status is 1, since nothing was sent.
    command: () => execute(PYTHON, program(folder), { env }).catch(() => {}),
    python: () => execute(PYTHON, ["-c", "import wasmtime"], { env }),
  };
  const { command, python } = await interleave(contenders, { warmUp: 1, rounds: ROUNDS, batch: 1 });
  server.close();
  return figure({
    what: "a folder's program",
    unit: "ms",
    samples: command,
    beside: { name: "Python", samples: python },
  });
}

async function memory(url, parent) {
  const peak = async (bytes) => {
    const folder = await folderOf(parent, bytes);
    const { stdout } = await execute(PYTHON, ["-c", WATCHED, PYTHON, ...program(folder)], { env: variables(url) });
    return Number(stdout) * 1024;
  };
  const [small, large] = [await peak(2000), await peak(100_000_000)];
  return [
    figure({ what: "resident, an image of 2 kB", unit: "MB", samples: [small] }),
    figure({ what: "resident, an image of 100 MB", unit: "MB", samples: [large] }),
  ];
}
