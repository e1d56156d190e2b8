/**
 * A fresh embedded Supabase for a test: its own keys, database and objects, on a free port. All of a process live in one
 * thread beside the tests: node:test follows every promise of its own thread, which costs a server a fifth of its speed.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { MessageChannel, Worker } from "node:worker_threads";
import postgres from "postgres";
import { waitFor } from "./waiting.mjs";

// A sign-up hashes its password in JavaScript, a third of a second each; no test is about how hard that is to undo.
process.env.LITE_AUTH_BCRYPT_COST ??= "4";

/**
 * Starts a backend that shares nothing with any other.
 * @param {Parameters<typeof import("../../supabase/local.mjs").startLocal>[0]} [options] PGlite in memory, unless
 *   databaseUrl or IMAGEN_TEST_DATABASE_URL names a PostgreSQL: then a new database there, dropped at the end
 * @returns {Promise<Omit<Awaited<ReturnType<typeof import("../../supabase/local.mjs").startLocal>>, "connection"> & {
 *   createUser: (email?: string) => Promise<{ id: string, email: string, password: string,
 *     accessToken: string, refreshToken: string }>,
 *   resumableBytes: (target: string) => Promise<number>,
 *   sql: (text: string, parameters?: unknown[]) => Promise<Record<string, unknown>[]>,
 *   script: (text: string) => Promise<void>,
 * }>} `resumableBytes` are those that are kept of the
 *   upload at that address; `sql` asks the database itself, past every policy; `script` runs one or many statements there
 */
export async function startEmbedded({ databaseUrl = process.env.IMAGEN_TEST_DATABASE_URL, ...options } = {}) {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), "imagen-embedded-"));
  const database = databaseUrl ? await createDatabase(databaseUrl) : undefined;
  const clean = async () => {
    await database?.drop();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const local = await ask("start", { dataDir, inMemory: true, databaseUrl: database?.url ?? "", ...options });
    return {
      ...local,
      createUser: (email) => createUser(local, email),
      resumableBytes: (target) => sizeOf(path.join(dataDir, "uploads", versionOf(target))),
      sql: (text, parameters = []) => ask("sql", local.url, text, parameters),
      script: (text) => ask("script", local.url, text),
      close: () => ask("close", local.url).finally(clean),
    };
  } catch (error) {
    await clean();
    throw error;
  }
}

/**
 * A new database in a PostgreSQL server.
 * @param {string} serverUrl of its superuser
 * @returns {Promise<{ url: string, drop: () => Promise<void> }>}
 */
export async function createDatabase(serverUrl) {
  const name = `imagen_${randomUUID().replaceAll("-", "")}`;
  const server = postgres(serverUrl, { max: 1, onnotice: () => {} });
  await server.unsafe(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const drop = async () => {
    await waitFor(`the database ${name} to be dropped`, server.unsafe(`drop database ${name} with (force)`));
    await server.end({ timeout: 5 });
  };
  return { url: url.href, drop };
}

/** The last part of an upload's address is base64url of `tenant/bucket/key/version`. */
function versionOf(target) {
  return Buffer.from(path.posix.basename(target), "base64url").toString().split("/").at(-1);
}

async function sizeOf(file) {
  return (await stat(file).catch(() => undefined))?.size ?? 0;
}

async function createUser({ url, publishableKey }, email = `${randomUUID()}@example.com`) {
  const password = randomUUID();
  const response = await fetch(`${url}/auth/v1/signup`, {
    method: "POST",
    headers: { apikey: publishableKey, "content-type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
  const session = await response.json();
  if (!response.ok) throw new Error(`sign-up of ${email} answered ${response.status}: ${JSON.stringify(session)}`);
  return {
    id: session.user.id,
    email,
    password,
    accessToken: session.access_token,
    refreshToken: session.refresh_token,
  };
}

let thread;

/** Has the thread do something; see embedded.worker.mjs. */
async function ask(method, ...args) {
  if (!thread) {
    thread = new Worker(new URL("./embedded.worker.mjs", import.meta.url), { execArgv: [] });
    thread.unref();
  }
  const { port1, port2 } = new MessageChannel();
  thread.postMessage({ port: port2, method, args }, [port2]);
  const what = `the embedded Supabase's ${method} ${String(method === "start" ? "" : (args[1] ?? "")).slice(0, 100)}`;
  const [{ value, error, properties }] = await waitFor(what.trimEnd(), once(port1, "message"));
  if (error) throw Object.assign(error, properties);
  return value;
}
