// `make chaos`: what tests/chaos does in seconds, at length. Prints tables and ends with 1 when an image is missing, there
// twice or refused.
//
//   node tests/chaos/long.mjs [--parts syncs,removals,outbox,kills,days] [--syncs 500] [--seeds 10] [--removals 300] [--images 100]
//     [--bulk 200] [--kills 40] [--bulk-kills 20] [--jobs 10000]
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FAULTS } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { runBadDays } from "./bad-days.mjs";
import { runKills, runOutbox } from "./outbox.mjs";
import { runRemovals, WAYS } from "./removals.mjs";
import { MODES, runSyncs } from "./syncs.mjs";
import { runCleared, runFullDisk, runMigration } from "./thousands.mjs";

const RATE = 0.2;
/** How long an outbox may take until it is empty. */
const LIMIT_MS = 20 * 60_000;
const { values } = parseArgs({
  options: {
    syncs: { type: "string", default: "500" },
    seeds: { type: "string", default: "10" },
    removals: { type: "string", default: "300" },
    kills: { type: "string", default: "40" },
    images: { type: "string", default: "100" },
    bulk: { type: "string", default: "200" },
    "bulk-kills": { type: "string", default: "20" },
    jobs: { type: "string", default: "10000" },
    parts: { type: "string", default: "syncs,removals,outbox,kills,days" },
    mode: { type: "string" },
  },
});
const count = Number(values.syncs);
const seeds = Number(values.seeds);

// Drawn blackouts would follow each other without a pause at this speed: these come at fixed points, and last three times
// the first wait, as three seconds would with the default options. Resumable uploads have no part in this.
const chaos = {
  faults: FAULTS.filter((fault) => !["blackout", "cut-midway"].includes(fault)),
  blackouts: [0.5, 1.5].map((part) => ({ afterRequests: Math.round(count * part), ms: 300 })),
};

/** All seeds of one mode, in this process, each result sent to the parent. */
async function runMode(mode) {
  const supabase = await startEmbedded();
  try {
    for (let seed = 1; seed <= seeds; seed += 1) {
      process.send({
        mode,
        seed,
        ...(await runSyncs({ supabase, mode, seed, count, rate: RATE, firstWaitMs: 100, chaos })),
      });
    }
  } finally {
    await supabase.close();
  }
}

/** Each mode in a process of its own, with an own Supabase: they are busy all the time. */
async function runAllSyncs() {
  console.log(`${count} syncs a line, ${RATE * 100} % of all requests broken, 8 retries\n`);
  console.log(
    row({ seed: "seed", mode: "mode", acknowledged: "acknowledged", faults: "faults", problems: "problems" }),
  );
  const results = [];
  const children = Object.keys(MODES).map(
    (mode) =>
      new Promise((resolve) => {
        const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), "--mode", mode]);
        child.on("message", (result) => {
          results.push(result);
          printResult(result);
        });
        child.on("exit", resolve);
      }),
  );
  await Promise.all(children);
  return printTotal(results);
}

function printResult({ mode, seed, acknowledged, refused, faults, report, seconds }) {
  const broken = Object.values(faults).reduce((sum, times) => sum + times, 0);
  console.log(row({ seed, mode, acknowledged, faults: broken, problems: report.problems.length, seconds }));
  for (const problem of [...refused, ...report.problems]) console.log(`      ${problem}`);
}

/** Whether all is well: every line is there, everything acknowledged, nothing amiss. */
function printTotal(results) {
  const faults = {};
  for (const result of results) {
    for (const [kind, times] of Object.entries(result.faults)) faults[kind] = (faults[kind] ?? 0) + times;
  }
  const total = (of) => results.reduce((sum, result) => sum + of(result), 0);
  const wanted = seeds * Object.keys(MODES).length * count;
  console.log(
    `\nfaults: ${Object.entries(faults)
      .map((entry) => entry.join(" "))
      .sort()
      .join(", ")}`,
  );
  console.log(
    `${total(({ acknowledged }) => acknowledged)} of ${wanted} acknowledged, ` +
      `${total(({ report }) => report.duplicateRows.length)} duplicate rows, ` +
      `${total(({ report }) => report.missingObjects.length + report.missingRows.length)} missing, ` +
      `${total(({ report }) => report.orphans.length)} orphans, ` +
      `${total(({ report }) => report.unacknowledgedRows.length)} rows without acknowledgement`,
  );
  const there = total(({ report }) => Math.min(report.rows, report.objects));
  return there === wanted && total(({ acknowledged, report }) => acknowledged - report.problems.length) === wanted;
}

function row({ seed, mode, acknowledged, faults, problems, seconds }) {
  const time = seconds === undefined ? "seconds" : seconds.toFixed(1);
  const cells = [String(seed).padStart(4), mode.padEnd(14), String(acknowledged).padStart(12)];
  return [...cells, String(faults).padStart(6), String(problems).padStart(8), time.padStart(7)].join("  ");
}

/** Whether nothing is left of what was removed, and all of what was not. */
async function runAllRemovals() {
  const outcomes = [];
  for (const way of Object.keys(WAYS)) {
    const isDone = await withSupabase(async (supabase) => {
      const faults = await runRemovals(supabase, Number(values.removals), way);
      console.log(
        `${values.removals} images removed ${way}, at no time an object without its row; ${brokenOf({ faults })}`,
      );
    });
    outcomes.push(isDone);
  }
  return !outcomes.includes(false);
}

/** The outbox in Chromium: a part of all requests broken, rows one by one and in bulk. */
async function runOutboxes() {
  return withSupabase(async (supabase) => {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const bulk = await runOutbox({ supabase, seed, rate: RATE, count: Number(values.bulk), limitMs: LIMIT_MS });
      console.log(
        `outbox, seed ${seed}: ${values.bulk} images, 0 lost, 0 twice, 0 orphans; ${brokenOf(bulk)}, rows in bulk`,
      );
    }
    for (const seed of [1, 2]) {
      const few = await runOutbox({ supabase, seed, rate: 0.5, count: Number(values.images), limitMs: LIMIT_MS });
      console.log(`outbox, seed ${seed}: ${values.images} images, 0 lost, 0 twice, 0 orphans; ${brokenOf(few)}`);
    }
  });
}

/** The outbox in a browser that is killed again and again. */
async function runAllKills() {
  return withSupabase(async (supabase) => {
    const run = async (what, plan) => {
      const killed = await runKills({ supabase, rate: RATE, limitMs: LIMIT_MS, ...plan });
      const { kills, images } = killed;
      console.log(
        `killed browser, ${what}: ${images} images, 0 lost, 0 twice, 0 orphans; ${kills} kills, ${brokenOf(killed)}`,
      );
    };
    for (const seed of [1, 2]) await run(`seed ${seed}`, { seed, kills: values.kills / 2 });
    // So many that their rows go in by fifty, whatever of a life's requests is its last.
    await run("rows in bulk", { seed: 3, kills: Number(values["bulk-kills"]), atOnce: 500, span: 120 });
  });
}

/** An outbox of thousands on its bad days. */
async function runThousands() {
  const count = Number(values.jobs);
  return withSupabase(async (supabase) => {
    const plan = { supabase, count, limitMs: LIMIT_MS };
    const bad = await runBadDays(plan);
    console.log(
      `bad days: ${bad.images} images of ${count} arrived once, the others were removed; ${bad.requests} requests`,
    );
    const full = await runFullDisk(plan);
    console.log(`a full disk: ${full.images} images arrived once; ${full.refused} were refused, and did not`);
    const old = await runMigration(plan);
    console.log(`a database of 0.1.0: ${old.images} images arrived once; opened in ${Math.round(old.openedMs)} ms`);
    const cleared = await runCleared(plan);
    console.log(
      `cleared while it drained: ${cleared.images} images of ${count} arrived once, ${cleared.left} objects without a row`,
    );
  });
}

function brokenOf({ faults, requests }) {
  const broken = Object.values(faults).reduce((sum, times) => sum + times, 0);
  return `${broken}${requests === undefined ? "" : ` of ${requests}`} requests broken`;
}

/** Whether what is tried with a Supabase of its own comes to its end. */
async function withSupabase(work) {
  const supabase = await startEmbedded();
  try {
    await work(supabase);
    return true;
  } catch (error) {
    console.log(error.stack);
    return false;
  } finally {
    await supabase.close();
  }
}

const PARTS = {
  syncs: runAllSyncs,
  removals: runAllRemovals,
  outbox: runOutboxes,
  kills: runAllKills,
  days: runThousands,
};
if (values.mode) {
  await runMode(values.mode);
} else {
  for (const part of values.parts.split(",")) {
    if (!(await PARTS[part]())) process.exitCode = 1;
  }
}
