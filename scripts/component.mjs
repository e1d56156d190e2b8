// Prints how large the components in a folder are, and fails where one is larger in gzip than size-budget.json allows:
// `node scripts/component.mjs FOLDER`. With `wrap` it makes them first, of the core modules beside them, and JavaScript of each
// for Node.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { componentOf, translate } from "../tests/component/translate.mjs";

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
  await writeFile(file, await componentOf(await readFile(path.join(folder, `${world}.core.wasm`))));
  await translate(file, world, path.join(folder, world));
}
