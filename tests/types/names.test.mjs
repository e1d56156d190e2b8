// The names in the types, and in the tables of the documentation, are those that the code reads and gives.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import * as read from "../../src/api/read.js";

const source = (path) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");
const [types, reference, errorsPage, outboxPage, workerPage, problems, errors, jobs, readRs, ...loaders] =
  await Promise.all(
    [
      "pkg/index.d.ts",
      "docs/reference.md",
      "docs/errors.md",
      "docs/outbox.md",
      "www/worker/README.md",
      "www/worker/src/problem.ts",
      "src/error.rs",
      "src/outbox/job.rs",
      "src/api/read.rs",
      "pkg/api.js",
      "pkg/outbox.js",
      "pkg/store.js",
    ].map(source),
  );
const interfaces = readInterfaces(types);

/** An interface of the types, and what of the code and of docs/reference.md has to have the same names. */
const READERS = {
  SinkOptions: { js: read.options, rust: "options", section: "Options of a sink" },
  RelayOptions: { js: read.relayOptions, section: "Options of a relay" },
  SyncRequest: { js: read.syncRequest, rust: "request", section: "A request" },
  OutboxOptions: { js: read.outboxOptions, rust: "outbox_options", section: "Options of an outbox" },
  SyncOptions: { js: read.syncOptions, rust: "sync_options" },
  SyncManyOptions: { js: read.manyOptions, rust: "many_options" },
  SignOptions: { js: read.signOptions, rust: "sign_options" },
};

for (const [name, { js, rust, section }] of Object.entries(READERS)) {
  test(`${name} has the names that are read`, () => {
    const names = sorted(interfaces[name]);
    assert.deepEqual(sorted(namesReadBy(js)), names, "src/api/read.js");
    // Two are pkg/outbox.js's; a call's progress is read by one function for all calls.
    const elsewhere = name === "OutboxOptions" ? loaders[1].match(/(?:automatic|serviceWorker)(?= *[,}=])/g) : [];
    const read = new Set([...(rust ? namesInRust(rust) : []), ...elsewhere]);
    if (name === "SignOptions") read.delete("onProgress");
    // A relay's are read by the function that reads a sink's.
    if (rust) assert.deepEqual(sorted(read), names, "src/api/read.rs");
    if (section) assert.deepEqual(sorted(namesInTable(reference, section)), names, "docs/reference.md");
  });
}

test("docs/reference.md lists the options of all calls", () => {
  const all = [...interfaces.SyncManyOptions, ...interfaces.SignOptions];
  assert.deepEqual(sorted(namesInTable(reference, "Options of a call")), sorted(new Set(all)));
});

test("the error codes and stages are those of the code, and docs/errors.md explains each", () => {
  const made = loaders
    .flatMap((text) => [...text.matchAll(/\bfailed\(\s*"[a-z]+",\s*"([a-z_]+)"/g)])
    .map(([, code]) => code);
  const codes = new Set([...literals(errors, "Code"), ...made]);
  assert.deepEqual(sorted(unionOf("ErrorCode")), sorted(codes));
  assert.deepEqual(sorted(namesInTable(errorsPage, "Codes")), sorted(codes));
  assert.deepEqual(sorted(unionOf("Stage")), sorted(literals(errors, "Stage")));
});

test("a job's states are those of the code", () => {
  const [, states] = types.match(/interface OutboxJob \{.*?readonly state: ([^;]+);/s);
  assert.deepEqual(sorted(states.match(/[\w-]+/g)), sorted(literals(jobs, "State")));
});

test("the reasons to stop a drain are explained in docs/outbox.md", () => {
  const [, reasons] = types.match(/^ {2}stopped\?: ([^;]+);/m);
  const [, table] = outboxPage.match(/^\| `stopped` \|(.*?)\n\n/ms);
  assert.deepEqual(sorted(reasons.match(/\w+/g)), sorted([...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name)));
});

test("the states of a job are explained in docs/outbox.md", () => {
  const [, table] = outboxPage.match(/^\| state of a job \|(.*?)\n\n/ms);
  const told = [...literals(jobs, "State"), "done"];
  assert.deepEqual(sorted([...table.matchAll(/^\| `([\w-]+)`/gm)].map(([, name]) => name)), sorted(told));
});

test("the Worker's page has its problems as callers are told of them", () => {
  const given = problems.matchAll(/^ {2}(\w+): \[(\d+), "[^"]*", "([^"]*)"\]/gm);
  const rows = [...given].map(([, code, status, detail]) => `| \`${code}\` | ${status} | ${detail} |`);
  assert.ok(rows.length > 20, `${rows.length} problems`);
  const [, table] = workerPage.match(/^\| `code` \| status \|.*?\n.*?\n(.*?)\n\n/ms);
  assert.deepEqual(table.split("\n"), rows);
});

test("every exported function is in the table of docs/reference.md", () => {
  const functions = [...types.matchAll(/^export (?:function|class) (\w+)/gm)].map(([, name]) => name);
  const members = ["Sink", "Relay", "Outbox"].flatMap((name) => interfaces[name]);
  const [, table] = reference.match(/^## Functions\n(.*?)^## /ms);
  const missing = [...functions, ...members].filter(
    (name) => !new RegExp(`[\`.]${name}\\b|, \`${name}\\b`).test(table),
  );
  assert.deepEqual(missing, []);
});

test("every exported name and every member of one has a comment", () => {
  // A parameter ends with a comma.
  const declares = /^export (?!\{)|^ {2}(?!private )(readonly )?\w+[?(:].*[^,]$|^ {2}\| "/;
  const all = types.split("\n");
  const bare = all.filter((line, index) => declares.test(line) && !all[index - 1].endsWith("*/"));
  assert.deepEqual(bare, []);
});

const sorted = (names) => [...new Set(names)].sort();

/** The members of every interface, inherited ones too. */
function readInterfaces(text) {
  const found = {};
  for (const [, name, parent, body] of text.matchAll(/^export interface (\w+)(?: extends (\w+))? \{\n(.*?)^\}/gms)) {
    const own = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[?(:]/gm)].map(([, member]) => member);
    found[name] = [...(found[parent] ?? []), ...own];
  }
  return found;
}

function unionOf(name) {
  const [, body] = types.match(new RegExp(`^export type ${name} =(.*?);$`, "ms"));
  return [...body.replaceAll(/\/\*\*.*?\*\//gs, "").matchAll(/"([a-z_]+)"/g)].map(([, literal]) => literal);
}

/** What a reader of read.js asks an object for. */
function namesReadBy(reader) {
  const asked = new Set();
  const get = (target, name) => {
    asked.add(name);
    return target[name];
  };
  // Enough for a request to pass: a reader stops at the first fault.
  reader(new Proxy({ seed: 1, prompt: "p", backend: "b", accessToken: () => "" }, { get, ownKeys: () => [] }));
  return asked;
}

/** The fields that a function of read.rs takes over. */
function namesInRust(name) {
  const body = (start) => readRs.slice(readRs.search(start)).split(/^ {0,4}\}$/m)[0];
  const own = body(new RegExp(`fn ${name}[(<]`));
  const all = own.includes("CallOptions::new") ? own + body(/fn new\(fields: Fields\)/) : own;
  return [...all.matchAll(/"(\w+)"/g)].map(([, field]) => field);
}

/** The names in the first column of a section's table. */
function namesInTable(text, section) {
  const [, body] = text.match(new RegExp(`^## ${section}\n(.*?)(?=^## |(?![^]))`, "ms"));
  const rows = body.match(/^\| `.*$/gm);
  return rows.flatMap((row) => row.split(" | ")[0].match(/\w+/g));
}

/** The texts that the variants of an enum become. */
function literals(text, name) {
  const [, body] = text.match(new RegExp(`^impl ${name} \\{\n(.*?)^\\}`, "ms"));
  const match = body.slice(body.indexOf("fn as_str"));
  return [...match.slice(0, match.indexOf("\n    }\n")).matchAll(/Self::\w+ => "([a-z_-]+)"/g)].map(
    ([, literal]) => literal,
  );
}
