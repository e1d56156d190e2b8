// Gives every test and hook a time limit that names it, also where its author forgot: node:test has none for hooks, and
// one that hangs would hang the run for good.
import { createRequire, syncBuiltinESMExports } from "node:module";
import { waitFor } from "./waiting.mjs";

const LIMITS_MS = { test: 4 * 60_000, hook: 2 * 60_000, ...JSON.parse(process.env.TEST_LIMITS_MS ?? "{}") };
const HOOKS = ["before", "after", "beforeEach", "afterEach"];

/**
 * From now on all of node:test's functions know the limits, for whoever imports them later: called before anybody has.
 * @param {() => string} whose names the file that registers tests and hooks just now
 * @param {{ test: number, hook: number }} [limits] in ms; a test or a hook that has a timeout of its own keeps it
 */
export function limitEverything(whose, limits = LIMITS_MS) {
  const runner = createRequire(import.meta.url)("node:test");
  for (const name of HOOKS) {
    const register = runner[name];
    runner[name] = (hook, options) =>
      register(limited(hook, `the ${name} hook of ${whose()}`, options?.timeout ?? limits.hook), options);
  }
  for (const name of ["test", "it"]) {
    const register = runner[name];
    const registerLimited = (...args) => {
      const own = args.find((arg) => arg?.timeout !== undefined)?.timeout;
      return register(...args.map((arg) => (typeof arg === "function" ? limitedTest(arg, limits, own) : arg)));
    };
    runner[name] = Object.assign(registerLimited, register);
  }
  syncBuiltinESMExports();
}

function limitedTest(body, limits, own = limits.test) {
  return (t) => {
    const what = `the test "${t.name}"`;
    const { after } = t;
    t.after = (hook, options) => after.call(t, limited(hook, `what ${what} leaves to be done`, limits.hook), options);
    return limited(body, what, own)(t);
  };
}

function limited(run, what, limitMs) {
  return async (...args) => waitFor(what, run(...args), limitMs);
}
