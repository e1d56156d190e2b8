/**
 * The component in Node, as jco translates it. It blocks while a call runs, so it has a thread of its own.
 *
 *   const guest = startGuest();
 *   const sink = await guest.connect({ url, apiKey, … });
 *   await sink.sync(request);            // rejects with the error of the WIT, as a plain object in `cause`
 *   const sending = await sink.start(request);
 *   await sending.finish();              // undefined until it is over
 *   await guest.close();
 */
import { Worker } from "node:worker_threads";
import { named } from "../support/waiting.mjs";

/** A call that ended with an error of the component's. */
export class Failed extends Error {
  constructor(error) {
    super(error.message);
    Object.assign(this, error);
  }
}

export function startGuest() {
  const worker = new Worker(new URL("./guest.worker.mjs", import.meta.url));
  const waiting = new Map();
  let calls = 0;
  worker.on("message", ({ id, value, error, thrown }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Failed(error));
    else if (thrown) reject(thrown);
    else resolve(value);
  });
  worker.on("error", (error) => {
    for (const { reject } of waiting.values()) reject(error);
  });

  const ask = (on, method, ...args) => {
    calls += 1;
    const id = calls;
    worker.postMessage({ id, on, method, args });
    return named(`the component's ${method}`, new Promise((resolve, reject) => waiting.set(id, { resolve, reject })));
  };
  const sending = ({ resource }) => ({
    /** Whether each of what it waits for is ready. */
    subscribe: () => ask(resource, "subscribe"),
    finish: () => ask(resource, "finish").then((outcome) => outcome && outcomeOf(outcome)),
    drop: () => ask(resource, "drop"),
  });
  return {
    async connect(options) {
      const { resource } = await ask(undefined, "connect", options);
      return {
        setAccessToken: (token) => ask(resource, "setAccessToken", token),
        sync: (request, options = {}) => ask(resource, "sync", request, options),
        syncMany: async (requests, options = {}) => (await ask(resource, "syncMany", requests, options)).map(outcomeOf),
        start: async (request, options = {}) => sending(await ask(resource, "start", request, options)),
        signedUrl: (path, options = {}) => ask(resource, "signedUrl", path, options),
        signedUrls: (paths, options = {}) => ask(resource, "signedUrls", paths, options),
        remove: (image, options = {}) => ask(resource, "remove", image, options),
        drop: () => ask(resource, "drop"),
      };
    },
    close: () => worker.terminate(),
  };
}

/** A result of the WIT inside of a value. */
const outcomeOf = ({ tag, val }) => (tag === "ok" ? { value: val } : { error: new Failed(val) });
