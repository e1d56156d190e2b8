// lite prints every statement that the database refuses, with its parameters: people's prompts, and noise
// where a refusal is an answer like any other. What it says while it answers a request, or warns of at its
// start, is dropped.

import { AsyncLocalStorage } from "node:async_hooks";

const answering = new AsyncLocalStorage();
let installed = false;

/**
 * Runs a task without what it prints as errors and warnings.
 * @template T
 * @param {() => T} task
 * @returns {T}
 */
export function quietly(task) {
  if (!installed) install();
  return answering.run(true, task);
}

function install() {
  installed = true;
  for (const level of ["error", "warn"]) {
    const print = console[level];
    console[level] = (...parts) => {
      if (answering.getStore() !== true) print.apply(console, parts);
    };
  }
}
