// The repository's small projects, each with dependencies of its own.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";

const ROOT = new URL("../../", import.meta.url);

/** The projects in a folder such as `examples/`. What installing for an earlier commit has left there is none. */
export async function projectsIn(folder) {
  const paths = (await readdir(new URL(folder, ROOT))).map((name) => `${folder}${name}`);
  return paths.filter((path) => existsSync(new URL(`${path}/package.json`, ROOT)));
}
