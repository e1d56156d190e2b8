// The other side of guest.mjs: the component itself, in a thread that it may block.
import { parentPort } from "node:worker_threads";
import { sinks } from "../../target/component/library/library.js";

/** Its resources, by the numbers that the tests know them by. */
const held = new Map();

parentPort.on("message", ({ id, on, method, args }) => {
  try {
    const value = on === undefined ? sinks.Sink[method](...args) : use(on, method, args);
    parentPort.postMessage({ id, value: given(value, id) });
  } catch (thrown) {
    parentPort.postMessage(thrown?.payload ? { id, error: thrown.payload } : { id, thrown });
  }
});

function use(on, method, args) {
  const resource = held.get(on);
  if (method === "drop") {
    held.delete(on);
    return resource[Symbol.dispose]();
  }
  const value = resource[method](...args);
  if (method !== "subscribe") return value;
  // Each is a host's own: they are looked at here, and let go.
  return value.map((pollable) => {
    const isReady = pollable.ready();
    pollable[Symbol.dispose]();
    return isReady;
  });
}

function given(value, id) {
  if (!(value instanceof sinks.Sink || value instanceof sinks.Sending)) return value;
  held.set(id, value);
  return { resource: id };
}
