// What a large Blob costs a page.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { startServer } from "./host.mjs";
import { figure, shuffled } from "./support.mjs";

export const title = "memory: a 100 MB Blob and its row, Chromium";
export const notes = [
  "Each sample is one call in a fresh browser, whose page makes the Blob from 100 pieces. wasm memory is `memory.buffer.byteLength` after it.",
  "The renderer's peak is VmHWM of its process (/proc, so Linux only), reset between making the Blob and the call; the Blob itself lies in the browser's process. The growth is the peak less the resident memory before the call.",
  "Ours sends it in pieces (TUS), the others in one request.",
  "The arrayBuffer() is there to show what bytes that pass through the page would look like.",
];

const WASM_LIMIT_BYTES = 2 * 2 ** 20;
const PEAK_LIMIT = 1.1;
const ROUNDS = 4;
const RAW = "two raw fetches";
const READS_FIRST = "two raw fetches of its arrayBuffer()";
const names = ["ours", RAW, "supabase-js", READS_FIRST];

export async function run() {
  const server = await startServer();
  const wasm = [];
  const peaks = Object.fromEntries(names.map((name) => [name, []]));
  const growths = Object.fromEntries(names.map((name) => [name, []]));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of shuffled(names)) {
        let watched;
        const listeners = {
          ready: async (pid) => {
            watched = await renderer(pid);
            if (watched) await writeFile(`/proc/${watched.pid}/clear_refs`, "5"); // see proc(5): resets the peak
          },
          done: async () => {
            if (!watched) return;
            const { peak } = await memoryOf(watched.pid);
            peaks[name].push(peak);
            growths[name].push(peak - watched.resident);
          },
        };
        const call = name === READS_FIRST ? { name: RAW, readsFirst: true } : { name };
        const { wasmBytes } = await server.open("memory-page.mjs", { ...call, size: 100_000_000 }, listeners);
        if (name === "ours") wasm.push(wasmBytes);
      }
    }
  } finally {
    server.close();
  }
  const lines = [figure({ what: "ours: wasm memory after it", unit: "MiB", samples: wasm, limit: WASM_LIMIT_BYTES })];
  for (const name of names.filter((name) => peaks[name].length === ROUNDS)) {
    lines.push(
      figure({
        what: `renderer's peak: ${name}`,
        unit: "MB",
        samples: peaks[name],
        beside: name === RAW ? undefined : { name: "raw", samples: peaks[RAW] },
        limit: name === "ours" ? PEAK_LIMIT : undefined,
      }),
      figure({ what: `its growth: ${name}`, unit: "MB", samples: growths[name] }),
    );
  }
  return lines;
}

/** The page's process among the browser's: of the renderers, the one that uses most. */
async function renderer(browser) {
  const found = [];
  for (const pid of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8");
      if (command.includes("--type=renderer") && (await descends(pid, browser))) {
        found.push({ pid, ...(await memoryOf(pid)) });
      }
    } catch {
      // It ended meanwhile.
    }
  }
  return found.sort((a, b) => b.resident - a.resident)[0];
}

async function descends(pid, ancestor) {
  for (let at = pid; at !== "0"; ) {
    if (at === String(ancestor)) return true;
    at = /^PPid:\s*(\d+)/m.exec(await readFile(`/proc/${at}/status`, "utf8"))[1];
  }
  return false;
}

async function memoryOf(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const bytes = (name) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)[1]) * 1024;
  return { peak: bytes("VmHWM"), resident: bytes("VmRSS") };
}
