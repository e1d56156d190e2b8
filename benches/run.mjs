// Measures sizes, speeds and memory beside what people use today: `node benches/run.mjs [PART...]`.
// Prints one table; a run of all parts also writes it to benches/RESULTS.md. What is over its limit is said, and is
// no failure: this measures, tests judge.
import { writeFile } from "node:fs/promises";
import * as app from "./app.mjs";
import * as calls from "./calls.mjs";
import * as cold from "./cold.mjs";
import * as component from "./component.mjs";
import * as features from "./features.mjs";
import { machine, versions } from "./host.mjs";
import * as links from "./links.mjs";
import * as many from "./many.mjs";
import * as memory from "./memory.mjs";
import * as outbox from "./outbox.mjs";
import * as size from "./size.mjs";
import { table } from "./support.mjs";
import * as thousands from "./thousands.mjs";
import * as tus from "./tus.mjs";
import * as worker from "./worker.mjs";

/** A part has `title`, `notes` (how it measures, one text a line) and `run()`, which resolves to its figures. */
const parts = { size, features, calls, links, many, thousands, tus, cold, worker, memory, outbox, component, app };

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length) {
  console.error(`bench: no part ${unknown.join(", ")}; there are: ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}

const ranOn = machine();
const groups = [];
for (const [name, part] of Object.entries(parts)) {
  if (chosen.length && !chosen.includes(name)) continue;
  console.error(`bench: ${name}`);
  try {
    groups.push({ title: part.title, figures: await part.run(), notes: part.notes });
  } catch (error) {
    console.error(`bench: ${name} failed:`, error); // what the other parts measured is still worth seeing
    process.exitCode = 1;
  }
}

const over = groups.flatMap(({ title, figures }) =>
  figures.filter(({ verdict }) => verdict === "OVER").map((line) => `${title}: ${line.what}`),
);
const report = `# What \`make bench\` measured

${new Date().toISOString().slice(0, 10)}. ${await versions()}.
${ranOn}.

Repeat it with \`make bench\`, or \`node benches/run.mjs ${Object.keys(parts).join(" ")}\` for some of its parts (which leaves
this file alone). All contenders of a figure ran in turn in the same run. A range is from the 5th to the 95th percentile,
of fewer than 20 samples from the smallest to the largest. A ratio is taken within each round; a limit beside a ratio is
for their median.

${table(groups)}

${over.length ? `Over the limit: ${over.join("; ")}.` : "Nothing is over its limit."}

${groups.flatMap(({ title, notes }) => [`**${title}**`, ...notes.map((note) => `- ${note}`), ""]).join("\n")}`;

console.log(report);
if (groups.length === Object.keys(parts).length) await writeFile(new URL("RESULTS.md", import.meta.url), report);
