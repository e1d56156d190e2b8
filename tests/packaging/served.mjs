// Programs of Node that serve, as those who use the package start them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { freePort } from "../support/port.mjs";
import { until } from "../support/until.mjs";

/** A build of a framework may be slow. */
export const LIMIT_MS = 240_000;

/** Without what Vite sets for all of this process. */
export function usualEnv() {
  const { NODE_ENV: _, ...usual } = process.env;
  return usual;
}

/**
 * A server, from when it says that it is ready until `use` is over.
 * @template T
 * @param {object} what
 * @param {string} what.folder where it runs
 * @param {string} what.program
 * @param {(port: number) => string[]} what.args
 * @param {NodeJS.ProcessEnv | ((port: number) => NodeJS.ProcessEnv)} [what.env]
 * @param {string} what.ready what it says then
 * @param {(url: string, said: () => string) => Promise<T>} use what it has said so far is its second argument
 * @returns {Promise<T>} what that gives
 */
export async function served({ folder, program, args, env = usualEnv(), ready }, use) {
  const port = await freePort();
  const child = spawn(process.execPath, [program, ...args(port)], {
    cwd: folder,
    env: typeof env === "function" ? env(port) : env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (bytes) => {
      said += bytes;
    });
  }
  try {
    await until(() => said.includes(ready), `"${ready}" of ${path.basename(program)}`, LIMIT_MS).catch((cause) => {
      throw new Error(said, { cause });
    });
    return await use(`http://127.0.0.1:${port}`, () => said);
  } finally {
    process.kill(-child.pid, "SIGKILL");
    await ended;
  }
}
