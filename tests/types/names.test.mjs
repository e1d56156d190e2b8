// The names in the types, and in the tables of the documentation, are those that the code reads and gives.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { NAMES as CHECKS } from "../../pkg/doctor/report.js";
import { COLUMNS } from "../../pkg/wasm/columns.js";
import { environments } from "../packaging/environments.mjs";
import { examples } from "../packaging/examples.mjs";

const source = (path) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");
const [
  index,
  outboxTypes,
  reference,
  errorsPage,
  outboxPage,
  workerPage,
  problems,
  errors,
  jobs,
  config,
  row,
  readMain,
  ...loaders
] = await Promise.all(
  [
    "pkg/index.d.ts",
    "pkg/outbox.d.ts",
    "docs/reference.md",
    "docs/errors.md",
    "docs/outbox.md",
    "www/worker/README.md",
    "www/worker/src/problem.ts",
    "src/error.rs",
    "src/outbox/job.rs",
    "src/config.rs",
    "src/image/row.rs",
    "src/api/read.rs",
    "pkg/api.js",
    "pkg/outbox.js",
    "pkg/store.js",
  ].map(source),
);
const readRs = `${readMain}\n${await source("src/api/read/gallery.rs")}`;
/** Of both entries. */
const types = `${index}\n${outboxTypes}`;
const interfaces = readInterfaces(types);

/** What stays JavaScript's of an object that is read into a struct. */
const handlesOf = (struct) => quoted(readRs.match(new RegExp(`Taken::new::<${struct}>\\(.*?&\\[(.*?)\\]`, "s"))[1]);
const [, callHandles] = readRs.match(/let handles = \[(.*?)\]/);
const callOptions = [...fieldsOf(readRs, "CallOptions"), ...quoted(callHandles)];
/** The options of a call that a function of read.rs takes. */
const optionsOf = (reader) => {
  const [, without] = readRs.match(new RegExp(`fn ${reader}\\(.*?CallOptions::read\\(given, &\\[(.*?)\\]`, "s"));
  return callOptions.filter((name) => !quoted(without).includes(name));
};
const options = [...fieldsOf(config, "Options"), ...handlesOf("Options")];
const [, notOfRelays] = config.match(/const NOT_OF_A_RELAY: .*? = \[(.*?)\]/s);

/** An interface of the types, what the code reads, and the section of docs/reference.md. All have the same names. */
const READERS = {
  SinkOptions: { read: options, section: "Options of a sink" },
  RelayOptions: { read: options.filter((name) => !quoted(notOfRelays).includes(name)), section: "Options of a relay" },
  SyncRequest: { read: [...fieldsOf(row, "ImageMeta"), ...handlesOf("ImageMeta")], section: "A request" },
  OutboxOptions: {
    read: [...fieldsOf(readRs, "OutboxOptions"), ...handlesOf("OutboxOptions")],
    section: "Options of an outbox",
  },
  SyncOptions: { read: optionsOf("sync_options") },
  SyncManyOptions: { read: optionsOf("many_options") },
  SignOptions: { read: optionsOf("sign_options") },
  ListOptions: {
    read: listOptions(),
    section: "Options of a list",
  },
  RemoveOptions: { read: optionsOf("remove_options") },
};

for (const [name, { read, section }] of Object.entries(READERS)) {
  test(`${name} has the names that are read`, () => {
    const names = sorted(interfaces[name]);
    assert.deepEqual(sorted(read), names, "src/");
    if (section) assert.deepEqual(sorted(namesInTable(reference, section)), names, "docs/reference.md");
  });
}

test("a_column_is_a_field_of_a_request_and_stands_in_a_migration", async () => {
  const folder = "supabase/migrations/";
  const files = await readdir(new URL(`../../${folder}`, import.meta.url));
  const migrations = (await Promise.all(files.map((file) => source(folder + file)))).join("\n");
  const columns = fieldsOf(row, "Row");
  const made = ["id", "owner_user_id", "prompt_hash", "storage_path"];
  assert.ok(columns.length > 10, `${columns}`);
  for (const column of columns) {
    assert.match(migrations, new RegExp(`\\b${column}\\b +\\w`), "supabase/migrations");
    if (!made.includes(column))
      assert.ok(interfaces.SyncRequest.includes(camelCase(column)), `${column} in index.d.ts`);
  }
  assert.deepEqual(sorted(COLUMNS), sorted([...columns, "created_at"]), "COLUMNS");
});

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

/** Fields of a job that no page sees: the server's names of uploads, and what only a drain needs. */
const NOT_TOLD = [
  "earlierPaths",
  "height",
  "isSuspect",
  "ticketUploadId",
  "turnedAway",
  "uploadId",
  "uploaded",
  "uploadedAt",
  "waitSetAt",
  "width",
];

test("a_page_sees_of_a_job_what_the_types_name_and_no_other_field_that_it_keeps", async () => {
  const outbox = await source("pkg/outbox.js");
  const told = quoted(outbox.match(/const TOLD = \[(.*?)\]/s)[1]);
  const kept = fieldsOf(jobs, "Job");
  assert.deepEqual(sorted(kept.filter((name) => !interfaces.OutboxJob.includes(name))), NOT_TOLD, "src/outbox/job.rs");
  for (const name of told) assert.ok(kept.includes(name), `TOLD: ${name}`);
  // Beside those: what is taken from within, and what not every job has.
  const [, made] = outbox.match(/^ {4}return \{\n {6}\.\.\.pick\(TOLD, job\),\n(.*?)^ {4}\};/ms);
  const others = [...made.matchAll(/^ {6}(?:\.\.\.\(.*? && \{ )?(\w+):/gm)].map(([, name]) => name);
  assert.deepEqual(sorted([...told, ...others]), sorted(interfaces.OutboxJob), "pkg/outbox.js");
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

test("every hook, what it gives and its states are in the table of docs/reference.md", async () => {
  const hooks = await source("pkg/react/index.d.ts");
  const [, table] = reference.match(/^## Hooks\n(.*?)^## /ms);
  const gives = { useOutbox: "UsedOutbox", useSync: "UsedSync", useImages: "UsedImages" };
  const exported = [...hooks.matchAll(/^export function (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(sorted(exported), sorted(Object.keys(gives)));
  for (const [hook, given] of Object.entries(gives)) {
    const row = table.split("\n").find((line) => line.startsWith(`| \`${hook}(`));
    const [, body] = hooks.match(new RegExp(`^export interface ${given} \\{\\n(.*?)^\\}`, "ms"));
    const [, states] = body.match(/readonly state: ([^;]+);/);
    const names = [...readInterfaces(hooks)[given], ...states.match(/"[\w-]+"/g)];
    assert.deepEqual(
      names.filter((name) => !row.includes(`\`${name}`)),
      [],
      hook,
    );
  }
});

test("docs/doctor.md says of every check what is right", async () => {
  const told = namesInTable((await source("docs/doctor.md")).replaceAll("-", "_"), "What it looks at");
  assert.deepEqual(sorted(told), sorted(CHECKS.map((name) => name.replaceAll("-", "_"))));
});

test("the pages of the doctor, of metadata and of testing name what those take and give", async () => {
  const page = (name) => source(`docs/${name}.md`);
  const [testing, metadata] = await Promise.all(
    ["testing", "metadata"].map(async (name) => readInterfaces(await source(`pkg/${name}/index.d.ts`))),
  );
  const names = (text) =>
    new Set([...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => code.match(/[\w-]+/g) ?? []));
  for (const [name, wanted] of [
    ["doctor", interfaces.ProjectOptions],
    ["metadata", metadata.ImageMetadata],
    ["testing", Object.values(testing).flat()],
    ["testing", literalsOf(await source("pkg/testing/index.d.ts"), "FakeRequestKind")],
  ]) {
    const told = names(await page(name));
    assert.ok(wanted.length > 7, name);
    assert.deepEqual(
      wanted.filter((member) => !told.has(member)),
      [],
      name,
    );
  }
});

test("docs/hosts.md has every host and every example that make package-test tries", async () => {
  const [, section] = (await source("docs/hosts.md")).split("\n## What is tried\n");
  const rows = section.match(/^\| (?!host|example|---).*$/gm).map((row) => row.split("|").map((cell) => cell.trim()));
  const nameOf = (cell) => cell.replace(/^\[(.*)\]\(.*\)$/, "$1");
  const told = rows.flatMap(([, name, , other]) => (other ? [nameOf(name), `outbox: ${name}`] : [nameOf(name)]));
  assert.deepEqual(sorted(told), sorted([...Object.keys(environments), ...Object.keys(examples)]));
  assert.ok(
    rows.every(([, , time]) => /^\d+\.\d s$/.test(time)),
    "a time for each",
  );
});

test("every exported name and every member of one has a comment", () => {
  // A parameter ends with a comma.
  const declares = /^export (?![{*])|^ {2}(?!private )(readonly )?\w+[?(:].*[^,]$|^ {2}\| "/;
  const all = types.split("\n");
  const bare = all.filter((line, index) => declares.test(line) && !all[index - 1].endsWith("*/"));
  assert.deepEqual(bare, []);
});

/** What a list reads: its own names, some of every call's, and what stays JavaScript's. */
function listOptions() {
  const [, handles, without] = readRs.match(/names_of::<CallOptions>\(\), &\[(.*?)\].*?let without = \[(.*?)\]/s);
  const ofCalls = fieldsOf(readRs, "CallOptions").filter((name) => !quoted(without).includes(name));
  return [...fieldsOf(readRs, "ListOptions"), ...ofCalls, ...quoted(handles)];
}

const sorted = (names) => [...new Set(names)].sort();

/** The members of every interface, inherited ones too. */
function readInterfaces(text) {
  const found = {};
  for (const [, name, parent, body] of text.matchAll(
    /^export interface (\w+)(?:<[^{]*>)?(?: extends (\w+))? \{\n(.*?)^\}/gms,
  )) {
    const own = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[?(:<]/gm)].map(([, member]) => member);
    found[name] = [...(found[name] ?? []), ...(found[parent] ?? []), ...own]; // an entry adds to another's
  }
  return found;
}

function unionOf(name) {
  const [, body] = types.match(new RegExp(`^export type ${name} =(.*?);$`, "ms"));
  return [...body.replaceAll(/\/\*\*.*?\*\//gs, "").matchAll(/"([a-z_]+)"/g)].map(([, literal]) => literal);
}

/** The texts of a union that stands in one line. */
function literalsOf(text, name) {
  return text.match(new RegExp(`^export type ${name} = (.*);$`, "m"))[1].match(/[\w-]+/g);
}

function camelCase(name) {
  return name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

function quoted(text) {
  return [...text.matchAll(/"(\w+)"/g)].map(([, name]) => name);
}

/** A struct's or an enum's attributes, its members with theirs, and how serde writes their names. */
function described(text, kind, name) {
  const [, attributes, body] = text.match(
    new RegExp(`((?:^#\\[[^\n]*\n)*)^(?:pub(?:\\([a-z]+\\))? )?${kind} ${name}\\b[^\n]*\\{\n(.*?)^\\}`, "ms"),
  );
  return { style: attributes.match(/rename_all = "([\w-]+)"/)?.[1], body: body.replaceAll(/^ *\/\/.*\n/gm, "") };
}

/** The names of a struct's fields as serde reads or writes them. */
function fieldsOf(text, name) {
  const { style, body } = described(text, "struct", name);
  const fields = body.matchAll(/((?:^ {4}#\[.*?\]\n)*)^ {4}(?:pub(?:\([a-z]+\))? )?(\w+): /gms);
  return [...fields]
    .filter(([, attributes]) => !/serde\(skip\)/.test(attributes))
    .map(([, attributes, field]) => {
      const renamed = attributes.match(/\brename = "(\w+)"/)?.[1];
      return renamed ?? (style === "camelCase" ? camelCase(field) : field);
    });
}

/** The names in the first column of a section's table. */
function namesInTable(text, section) {
  const [, body] = text.match(new RegExp(`^## ${section}\n(.*?)(?=^## |(?![^]))`, "ms"));
  const rows = body.match(/^\| `.*$/gm);
  return rows.flatMap((row) => row.split(" | ")[0].match(/\w+/g));
}

/** The texts that the variants of an enum become. */
function literals(text, name) {
  const { style, body } = described(text, "enum", name);
  const joint = { lowercase: "", snake_case: "_", "kebab-case": "-" }[style];
  const words = (variant) => variant.match(/[A-Z][a-z]*/g).map((word) => word.toLowerCase());
  return [...body.matchAll(/^ {4}(\w+),/gm)].map(([, variant]) => words(variant).join(joint));
}
