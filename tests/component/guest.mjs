/**
 * The component, in a thread or a process of its own, since it blocks while a call runs.
 *
 *   const guest = startGuest();                   // in Node, as jco translates it; startInWasmtime
 *   const sink = await guest.connect({ url, apiKey, … });
 *   await sink.sync(request);                     // rejects with what the WIT's error holds
 *   const sending = await sink.start(request);
 *   await sending.subscribe();                    // how many things it waits for
 *   await sending.finish();                       // undefined until it is over
 *   await guest.close();
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { named } from "../support/waiting.mjs";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

/** A call that ended with an error of the component's. */
class Failed extends Error {
  constructor(error) {
    super(error.message);
    Object.assign(this, error);
  }
}

export function startGuest() {
  const worker = new Worker(new URL("./guest.worker.mjs", import.meta.url));
  const { answer, fail, guest } = guestBy((question) => worker.postMessage(question));
  worker.on("message", answer);
  worker.on("error", fail);
  return { ...guest, close: () => worker.terminate() };
}

/** @param {string} python a program, and `packages` where its wasmtime lies */
export function startInWasmtime(python, packages) {
  const args = [here("guest.py"), "library", here("../../target/component/library.wasm")];
  const child = spawn(python, args, {
    env: { ...process.env, PYTHONPATH: packages },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const { answer, fail, guest } = guestBy((question) => child.stdin.write(`${JSON.stringify(question, asJson)}\n`));
  createInterface(child.stdout).on("line", (line) => answer(fromJson(JSON.parse(line))));
  const ended = once(child, "exit").then(() => fail(new Error("the process with wasmtime has ended")));
  return {
    ...guest,
    close() {
      child.stdin.end();
      return ended;
    },
  };
}

/** As guest.py reads it. */
function asJson(_, value) {
  if (typeof value === "bigint" || Number.isNaN(value)) return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}

/** What is none is null in Python. */
function fromJson(value) {
  if (value === null) return undefined;
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(fromJson);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fromJson(member)]));
}

/** A guest that is asked by `send`, and how its answers come in. */
function guestBy(send) {
  const waiting = new Map();
  let calls = 0;
  const ask = (kind, on, method, ...args) => {
    calls += 1;
    const id = calls;
    const answered = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
    send({ id, kind, on, method, args });
    return named(`the component's ${method}`, answered);
  };
  const askForResult = async (...question) => {
    const { value, error } = outcomeOf(await ask(...question));
    if (error) throw error;
    return value;
  };

  const sending = ({ resource }) => ({
    subscribe: () => ask("sending", resource, "subscribe"),
    finish: async () => {
      const outcome = await ask("sending", resource, "finish");
      return outcome && outcomeOf(outcome);
    },
    drop: () => ask("sending", resource, "drop"),
  });
  const sink = ({ resource }) => {
    const result = (method, ...args) => askForResult("sink", resource, method, ...args);
    const plain = (method, ...args) => ask("sink", resource, method, ...args);
    return {
      setAccessToken: (token) => result("set-access-token", token),
      sync: (request, options = {}) => result("sync", request, options),
      syncMany: async (requests, options = {}) => (await plain("sync-many", requests, options)).map(outcomeOf),
      start: async (request, options = {}) => sending(await plain("start", request, options)),
      signedUrl: (path, options) => result("signed-url", path, { thumbnail: false, ...options }),
      signedUrls: (paths, options) => result("signed-urls", paths, { thumbnail: false, ...options }),
      list: (options) => result("list", { columns: [], thumbnail: false, ...options }),
      remove: (image, options = {}) => result("remove", image, options),
      drop: () => plain("drop"),
    };
  };
  return {
    guest: { connect: async (options) => sink(await askForResult("static", undefined, "connect", options)) },
    answer({ id, value, thrown }) {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (thrown) reject(typeof thrown === "string" ? new Error(thrown) : thrown);
      else resolve(value);
    },
    fail(error) {
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    },
  };
}

const outcomeOf = ({ tag, val }) => (tag === "ok" ? { value: val } : { error: new Failed(val) });
