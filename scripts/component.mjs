// Prints how large the components in a folder are, and fails where one is larger in gzip than size-budget.json allows:
// `node scripts/component.mjs FOLDER`. With `wrap` it makes them first, of the core modules beside them, and JavaScript of each
// for Node.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const [folder, task] = process.argv.slice(2);
const WORLDS = ["library", "command"];
const { component: budget } = JSON.parse(await readFile(new URL("../size-budget.json", import.meta.url), "utf8"));
const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

for (const world of WORLDS) {
  const file = path.join(folder, `${world}.wasm`);
  if (task === "wrap") await wrap(world, file);
  const bytes = await readFile(file);
  const size = gzipSync(bytes, { level: 9 }).length;
  console.log(`component: ${world.padEnd(8)} ${kb(bytes.length).padStart(9)}, gzip ${kb(size).padStart(9)}`);
  if (!(size <= budget[world])) {
    console.error(`component: ${world}: ${size} bytes in gzip are more than the ${budget[world]} of size-budget.json`);
    process.exitCode = 1;
  }
}

// For tests that wait as another component would.
if (task === "wrap") {
  await writeFile(path.join(folder, "poll.mjs"), 'export { poll } from "@bytecodealliance/preview2-shim/io";\n');
}

async function wrap(world, file) {
  const tools = createRequire(new URL("../tests/component/tools/package.json", import.meta.url));
  const load = (name) => import(pathToFileURL(tools.resolve(name)).href);
  const { componentNew } = await load("@bytecodealliance/jco-transpile/wasm-tools");
  const { transpile } = await load("@bytecodealliance/jco-transpile");
  await writeFile(file, await componentNew(await readFile(path.join(folder, `${world}.core.wasm`))));
  const scripts = path.join(folder, world);
  await rm(scripts, { recursive: true, force: true });
  const { files } = await transpile(file, { name: world, outDir: scripts });
  for (const [name, bytes] of Object.entries(files)) {
    const target = path.relative(scripts, name).startsWith("..") ? path.join(scripts, name) : name;
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, bytes);
  }
}
