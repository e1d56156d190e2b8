// A PostgreSQL server for a test: Debian's, in a cluster of its own that is gone afterwards.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, chown, mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { freePort } from "./port.mjs";
import { waitFor } from "./waiting.mjs";

const run = promisify(execFile);

/**
 * Starts a server on a free port of 127.0.0.1.
 * @returns {Promise<{ url: string, close: () => Promise<void> }>} the URL of its superuser
 */
export async function startPostgres() {
  const programs = await findPrograms();
  const user = process.getuid() === 0 ? await unprivilegedUser() : undefined;
  const directory = await mkdtemp(path.join(os.tmpdir(), "imagen-postgres-"));
  if (user) await chown(directory, user.uid, user.gid);
  const as = { cwd: directory, ...user };
  const data = path.join(directory, "data");
  // Nothing here has to survive a crash.
  await run(
    path.join(programs, "initdb"),
    ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
    as,
  );
  const port = String(await freePort());
  const command = [path.join(programs, "postgres"), "-D", data, "-p", port, "-k", directory, "-h", "127.0.0.1", "-F"];
  const server = spawn("sh", ["-c", UNTIL_STDIN_ENDS, "sh", ...command], { ...as, stdio: ["pipe", "ignore", "pipe"] });
  const ended = once(server, "exit");
  const close = async () => {
    server.stdin.end();
    await waitFor("PostgreSQL's end", ended);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await waitFor("PostgreSQL to take connections", ready(server));
  } catch (error) {
    await close();
    throw error;
  }
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, close };
}

// Ends the server with the test that started it, however that ends: a killed process closes its pipes.
const UNTIL_STDIN_ENDS = `
exec 3<&0
"$@" </dev/null &
server=$!
{ read -r _ <&3; kill -INT $server; } 2>/dev/null &
wait $server`;

async function findPrograms() {
  const versions = await readdir("/usr/lib/postgresql").catch(() => []);
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  const folders = [
    ...newestFirst.map((version) => `/usr/lib/postgresql/${version}/bin`),
    ...(process.env.PATH ?? "").split(path.delimiter),
  ];
  for (const folder of folders) {
    const found = await Promise.all(["initdb", "postgres"].map((name) => exists(path.join(folder, name))));
    if (found.every(Boolean)) return folder;
  }
  throw new Error("PostgreSQL's programs are missing: apt-get install --no-install-recommends postgresql");
}

/** initdb and postgres refuse root. */
async function unprivilegedUser() {
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all(["-u", "-g"].map(async (flag) => (await run("id", [flag, name])).stdout));
      return { uid: Number(uid), gid: Number(gid) };
    } catch {
      // The next one.
    }
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody");
}

/** Its log says when it takes connections. */
function ready(server) {
  return new Promise((resolve, reject) => {
    let log = "";
    server.stderr.setEncoding("utf8").on("data", (text) => {
      log += text;
      if (log.includes("ready to accept connections")) resolve();
    });
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`PostgreSQL ended with status ${code}:\n${log}`)));
  });
}

function exists(file) {
  return access(file).then(
    () => true,
    () => false,
  );
}
