// What the component costs in wasmtime.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { startServer } from "./host.mjs";
import { figure } from "./support.mjs";

export const title = "the component of WASI 0.2";
export const notes = [
  "In wasmtime, as Python's package brings it, on machine code that was compiled before. Where that or rustup's `wasm32-wasip2` can't be had, this part is empty.",
  "A call is a `sync` of 18 bytes, upload and row, to a server on this machine, beside the same two requests by `wasi:http` alone in the same engine, which opens a connection for each. Python makes the arguments before.",
  "Start is from the machine code in a file until a server has the first byte of the first request: engine, instance, `connect`, `sync`. Compiling is what comes once before that.",
  "Memory is the largest resident set of a process that sends a folder of one image of 100 MB, in pieces (TUS), beside one of 2 kB.",
];

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const PYTHON = file("../.tools/bin/python3");
const PACKAGES = file("../.tools/wasmtime");
const WORLDS = ["library", "command"];
const OWNER = "7d6f2b8e-1111-4222-8333-444455556666";
const ROUNDS = 9;
const BATCH = 20;
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
    return [...sizes, ...(await speed(server.url)), ...(await memory(server.url, folder))];
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Beside the same two requests without the library, in the same engine. */
async function speed(url) {
  const files = [file("../target/component/library.wasm"), await buildRaw()];
  const args = [file("component.py"), ...files, url, String(ROUNDS), String(BATCH)];
  const { stdout } = await execute(PYTHON, args, {
    env: { PYTHONPATH: PACKAGES, PYTHONDONTWRITEBYTECODE: "1" },
  });
  const { call, start, compiling } = JSON.parse(stdout);
  const beside = ({ raw }) => ({ name: "raw wasi:http", samples: raw });
  return [
    figure({ what: "a call", unit: "ms", samples: call.component, beside: beside(call) }),
    figure({ what: "start to first byte sent", unit: "ms", samples: start.component, beside: beside(start) }),
    figure({ what: "compiling it, once", unit: "ms", samples: compiling }),
  ];
}

/** The other component. What it needs is compiled for the library already. */
async function buildRaw() {
  const manifest = ["--manifest-path", file("wasi-http/Cargo.toml"), "--target-dir", file("../target")];
  const args = ["build", "--locked", "--quiet", "--release", "--target", "wasm32-wasip2", ...manifest];
  await execute(file("../.tools/bin/cargo"), args);
  return file("../target/wasm32-wasip2/release/imagen_cloud_bench_wasi_http.wasm");
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

async function memory(url, parent) {
  const peak = async (bytes) => {
    const folder = await folderOf(parent, bytes);
    const { stdout } = await execute(PYTHON, ["-c", WATCHED, PYTHON, ...program(folder)], { env: variables(url) });
    return Number(stdout) * 1024;
  };
  // The first run compiles the component, which needs more than any run after it.
  await peak(2000);
  const [small, large] = [await peak(2000), await peak(100_000_000)];
  return [
    figure({ what: "resident, an image of 2 kB", unit: "MB", samples: [small] }),
    figure({ what: "resident, an image of 100 MB", unit: "MB", samples: [large] }),
  ];
}
