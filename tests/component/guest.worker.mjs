// The other side of guest.mjs in Node: the component itself, in a thread that it may block.
import { parentPort } from "node:worker_threads";
import { sinks } from "../../target/component/library/library.js";
import { poll } from "../../target/component/poll.mjs";

/** Its resources, by the numbers that the tests know them by. */
const held = new Map();
/** The methods whose result jco throws where it is an error. */
const PLAIN = ["drop", "finish", "start", "subscribe", "sync-many"];

parentPort.on("message", ({ id, on, method, args }) => {
  try {
    const value = on === undefined ? sinks.Sink[camel(method)](...args) : use(on, method, args);
    const given = kept(value, id);
    parentPort.postMessage({ id, value: PLAIN.includes(method) ? given : { tag: "ok", val: given } });
  } catch (thrown) {
    parentPort.postMessage(thrown?.payload ? { id, value: { tag: "err", val: thrown.payload } } : { id, thrown });
  }
});

const camel = (name) => name.replace(/-./g, ([, letter]) => letter.toUpperCase());

function use(on, method, args) {
  const resource = held.get(on);
  if (method === "drop") {
    held.delete(on);
    return resource[Symbol.dispose]();
  }
  if (method !== "subscribe") return resource[camel(method)](...args);
  const pollables = resource.subscribe();
  poll.poll(pollables);
  for (const pollable of pollables) pollable[Symbol.dispose]();
  return pollables.length;
}

function kept(value, id) {
  if (!(value instanceof sinks.Sink || value instanceof sinks.Sending)) return value;
  held.set(id, value);
  return { resource: id };
}
