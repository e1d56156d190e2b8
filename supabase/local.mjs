// The embedded Supabase: @supabase/lite on PGlite, or on the PostgreSQL of DATABASE_URL, with this
// project's migrations and resumable uploads, for development and tests.
//
//   node supabase/local.mjs [--port 54321] [--reset]
//
// Keys are made at the first start and kept with the data under supabase/.local/, out of git.

import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { App, setExperimental } from "@supabase/lite";
import { parse as parseToml } from "smol-toml";
import { claim } from "./claim.mjs";
import { storageContract } from "./contract.mjs";
import { openDatabase } from "./database.mjs";
import { exactIntegers } from "./exact-integers.mjs";
import { keyResolver, loadKeys } from "./keys.mjs";
import { KeyLocks } from "./locks.mjs";
import { FileObjects } from "./objects.mjs";
import { quietly } from "./quiet.mjs";
import { serve } from "./server.mjs";
import { StorageTable } from "./storage-table.mjs";
import { resumableUploads } from "./tus.mjs";

const LOCAL = fileURLToPath(new URL("./.local/", import.meta.url));
const CONFIG = new URL("./config.toml", import.meta.url);

/**
 * Starts the embedded Supabase in this process. When it resolves it is ready.
 * @param {object} [options]
 * @param {number} [options.port] 0, the default, takes a free one
 * @param {string} [options.host]
 * @param {string} [options.dataDir] keys, database and objects
 * @param {boolean} [options.reset] begins with new keys and no data
 * @param {string} [options.databaseUrl] a PostgreSQL to use instead of PGlite; DATABASE_URL by default
 * @param {boolean} [options.inMemory] PGlite in memory: only keys and objects go to dataDir
 * @param {"storage" | "lite"} [options.signedUrls] the form of signedURL answers: the real server's
 *   (relative to /storage/v1, not encoded) or @supabase/lite's (with that prefix)
 * @param {number} [options.jwtExpiry] seconds a user's access token lives
 * @param {number} [options.resumableExpiryMs] how long an unfinished resumable upload lives
 * @param {number} [options.resumableDrainMs] how long a request may go on that another one evicted
 * @param {number} [options.closingLimitMs] how long what is being answered may hold up the end, and so may its queries
 * @returns {Promise<{ url: string, anonKey: string, serviceKey: string, publishableKey: string,
 *   secretKey: string, jwtSecret: string, connection: import("@supabase/lite").Connection,
 *   close: () => Promise<void> }>}
 */
export async function startLocal({
  port = 0,
  host = "127.0.0.1",
  dataDir = LOCAL,
  reset = false,
  databaseUrl = process.env.DATABASE_URL,
  inMemory = false,
  signedUrls = "storage",
  jwtExpiry,
  resumableExpiryMs = 24 * 3600 * 1000,
  resumableDrainMs = 100,
  closingLimitMs = 5000,
} = {}) {
  setExperimental("storage", true);
  const closers = [await claim(dataDir)];
  const close = async () => {
    while (closers.length > 0) await closers.pop()();
  };
  const folder = (name) => path.join(dataDir, name);
  try {
    if (reset) await forget(dataDir, databaseUrl);
    const keys = await loadKeys(dataDir);
    const pglite = inMemory ? undefined : folder("pglite");
    const connection = await openDatabase({ databaseUrl, dataDir: pglite, closingLimitMs });
    closers.push(() => connection.close());

    const storage = { connection, keys, objects: new FileObjects(folder("objects")), locks: new KeyLocks() };
    const app = await createApp({ ...storage, spool: folder("spool"), signedUrls, jwtExpiry });
    const resumable = resumableUploads({
      ...storage,
      table: new StorageTable(connection),
      directory: folder("uploads"),
      expiryMs: resumableExpiryMs,
      drainMs: resumableDrainMs,
    });
    const fetch = (request) => quietly(() => app.fetch(request));
    const server = await serve({ fetch, resumable, host, port, closingLimitMs });
    closers.push(server.close);
    return { url: server.url, ...keys, connection, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function forget(dataDir, databaseUrl) {
  if (databaseUrl) throw new Error("--reset forgets PGlite's data only: drop the database of DATABASE_URL yourself");
  for (const name of ["keys.json", "pglite", "objects", "spool", "uploads"]) {
    await rm(path.join(dataDir, name), { recursive: true, force: true });
  }
}

async function createApp({ connection, keys, objects, locks, spool, signedUrls, jwtExpiry }) {
  const { api, auth, storage } = parseToml(await readFile(CONFIG, "utf8"));
  const app = new App({
    connection,
    api,
    auth: { ...auth, jwt_secret: keys.jwtSecret, jwt_expiry: jwtExpiry ?? auth.jwt_expiry },
    storage,
    studio: { enabled: false },
    options: {
      server: {
        apiKeys: { resolver: keyResolver(keys) },
        middlewares: [exactIntegers, storageContract({ connection, keys, locks, signedUrls, spool })],
      },
    },
  });
  app._storageAdapter = objects;
  return quietly(() => app.init());
}

/** On an older Node it starts, and answers uploads with a bare 500. */
function refuseOldNode() {
  if (Number.parseInt(process.versions.node, 10) >= 22) return;
  throw new Error(
    `Node ${process.versions.node} is too old: 22 or newer is needed. Where the set-up fetched one, it is .tools/bin/node`,
  );
}

async function main() {
  refuseOldNode();
  const { values } = parseArgs({
    options: { port: { type: "string", default: "54321" }, reset: { type: "boolean", default: false } },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`--port ${values.port} is not a port`);
  const local = await startLocal({ port, reset: values.reset });
  console.log(`Supabase (embedded) at ${local.url}
  anon key         ${local.anonKey}
  publishable key  ${local.publishableKey}
  service key      in ${path.relative(process.cwd(), path.join(LOCAL, "keys.json"))}`);
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => local.close().then(() => process.exit(0)));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(`supabase/local.mjs: ${error.message}`);
    process.exit(1);
  });
}
