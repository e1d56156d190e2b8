// A Worker in a process of workerd's own, by its CPU time.
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import workerd from "workerd";

/** Writes a Worker of this JavaScript and these wasm modules, by name; `env` is its text bindings. */
export async function writeWorker({ script, wasm = [] }, env) {
  const folder = await mkdtemp(join(tmpdir(), "imagen-cloud-bench-"));
  await writeFile(join(folder, "worker.js"), script);
  for (const [name, bytes] of wasm) await writeFile(join(folder, name), bytes);
  const modules = [
    '(name = "worker.js", esModule = embed "worker.js")',
    ...[...wasm].map(([name]) => `(name = "./${name}", wasm = embed "${name}")`),
  ];
  const bindings = Object.entries(env).map(([name, text]) => `(name = "${name}", text = ${JSON.stringify(text)})`);
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = (
      compatibilityDate = "2026-11-01",
      modules = [${modules.join(", ")}],
      bindings = [${bindings.join(", ")}],
      globalOutbound = "network",
    )),
    (name = "network", network = (allow = ["public", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
);`;
  await writeFile(join(folder, "config.capnp"), config);
  return { folder, remove: () => rm(folder, { recursive: true }) };
}

/** Starts it. `cpuMs` is what its process has used so far; `inspector` is where its isolate can be looked into. */
export async function startWorkerd({ folder }, { inspect = false } = {}) {
  const flags = inspect ? ["--inspector-addr=127.0.0.1:0"] : [];
  const child = spawn(workerd.default, ["serve", "--control-fd=3", ...flags, join(folder, "config.capnp")], {
    stdio: ["ignore", "ignore", inspect ? "ignore" : "inherit", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const failed = ended.then((code) => Promise.reject(new Error(`workerd ended with ${code}`)));
  failed.catch(() => {});
  const ports = await Promise.race([listening(child.stdio[3], inspect ? 2 : 1), failed]);
  return {
    url: `http://127.0.0.1:${ports.get("listen")}`,
    inspector: inspect ? new URL(`ws://127.0.0.1:${ports.get("listen-inspector")}`) : undefined,
    cpuMs: () => cpuMs(child.pid),
    async close() {
      child.kill();
      await ended;
    },
  };
}

/** Of all its threads, by the scheduler's own count, which is in ns. */
async function cpuMs(pid) {
  let ns = 0;
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8").catch(() => "0");
    ns += Number(text.split(" ")[0]);
  }
  return ns / 1e6;
}

/** The ports by what they are for, as workerd tells them. */
async function listening(pipe, count) {
  const ports = new Map();
  for await (const line of createInterface(pipe)) {
    const { event, port } = JSON.parse(line);
    ports.set(event, port);
    if (ports.size === count) return ports;
  }
}
