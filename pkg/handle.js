// What callers hold. Frameworks wrap it in a proxy or copy it (Vue, Valtio, MobX), so that `this` may be anything: every
// method knows its own target.
import { failed } from "./errors.js";

/** Under which a handle's proxy, too, gives the WebAssembly's own. */
const TARGET = Symbol("target");

/** A class of its own: MobX leaves what is no plain object as it is. */
export class Handle {
  /** @param {string[]} names of the methods @param {() => object} own whose they are */
  constructor(names, own) {
    for (const name of names) this[name] = async (...args) => own()[name](...args);
  }
}

/**
 * A sink or a relay that may be freed at any time, also twice. `entry` says whose it is: the two builds know nothing of each
 * other's.
 * @param {{ entry: import("./index.d.ts").Entry, kind: string, names: string[] }} what it is, and the names of its methods
 * @param {{ free: () => void }} target the WebAssembly's own
 */
export function freeable({ entry, kind, names }, target) {
  let alive = target;
  const own = () => {
    if (alive === undefined) throw failed("config", "invalid_config", `the ${kind} has been freed`);
    return alive;
  };
  const free = () => {
    alive?.free();
    alive = undefined;
  };
  return disposable(Object.assign(new Handle(names, own), { entry, free, [TARGET]: own }), "dispose", free);
}

/**
 * For `using`. Only where the host has the symbol: WebKitGTK lacks it, and there would be a method called "undefined".
 * @template T @param {T} handle @param {"dispose" | "asyncDispose"} kind @param {() => unknown} end
 */
export function disposable(handle, kind, end) {
  const symbol = Symbol[kind];
  return symbol === undefined ? handle : Object.assign(handle, { [symbol]: end });
}

/** The WebAssembly's own, of a sink or a relay that this copy of the package made. */
export const targetOf = (handle) => handle?.[TARGET]?.();
