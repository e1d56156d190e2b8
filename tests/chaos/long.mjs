// `make chaos`: what tests/chaos does in seconds, at length. Prints tables and ends with 1 when an image is missing, there
// twice or refused.
//
//   node tests/chaos/long.mjs [--syncs 500] [--seeds 10] [--removals 300] [--kills 40] [--images 100] [--bulk-kills 20] [--jobs 10000]
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FAULTS } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { runBadDays } from "./bad-days.mjs";
import { runKills, runOutbox } from "./outbox.mjs";
import { runRemovals, WAYS } from "./removals.mjs";
import { MODES, runSyncs } from "./syncs.mjs";

const RATE = 0.2;
const { values } = parseArgs({
  options: {
    syncs: { type: "string", default: "500" },
    seeds: { type: "string", default: "10" },
    removals: { type: "string", default: "300" },
    kills: { type: "string", default: "40" },
    images: { type: "string", default: "100" },
    "bulk-kills": { type: "string", default: "20" },
    jobs: { type: "string", default: "10000" },
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
async function runAllRemovals(way) {
  const supabase = await startEmbedded();
  try {
    const faults = await runRemovals(supabase, Number(values.removals), way);
    const broken = Object.values(faults).reduce((sum, times) => sum + times, 0);
    console.log(
      `${values.removals} images removed ${way}, at no time an object without its row; ${broken} requests broken`,
    );
    return true;
  } catch (error) {
    console.log(error.stack);
    return false;
  } finally {
    await supabase.close();
  }
}

/** The outbox in Chromium: half of all requests broken, and a browser that is killed again and again. */
async function runOutboxes() {
  const limitMs = 10 * 60_000;
  const supabase = await startEmbedded();
  const broken = (faults) => Object.values(faults).reduce((sum, times) => sum + times, 0);
  try {
    for (const seed of [1, 2]) {
      const images = Number(values.images);
      const { faults, requests } = await runOutbox({ supabase, seed, rate: 0.5, count: images, limitMs });
      console.log(
        `outbox, seed ${seed}: ${images} images arrived once; ${broken(faults)} of ${requests} requests broken`,
      );
      const { kills, ...killed } = await runKills({ supabase, seed, rate: RATE, kills: values.kills / 2, limitMs });
      console.log(
        `killed browser, seed ${seed}: ${killed.images} images arrived once, no job left; ` +
          `${kills} kills, ${broken(killed.faults)} requests broken`,
      );
    }
    // So many that their rows go in by fifty, whatever of a life's requests is its last.
    const many = { kills: Number(values["bulk-kills"]), atOnce: 500, span: 120 };
    const { kills, images, faults } = await runKills({ supabase, seed: 3, rate: RATE, limitMs, ...many });
    console.log(
      `killed browser, rows in bulk: ${images} images arrived once, ${kills} kills, ${broken(faults)} requests broken`,
    );
    const bad = await runBadDays({ supabase, count: Number(values.jobs), limitMs });
    console.log(
      `bad days: ${bad.images} images of ${values.jobs} arrived once, the others were removed; ${bad.requests} requests`,
    );
    return true;
  } catch (error) {
    console.log(error.stack);
    return false;
  } finally {
    await supabase.close();
  }
}

if (values.mode) {
  await runMode(values.mode);
} else {
  const outcomes = [await runAllSyncs()];
  for (const way of Object.keys(WAYS)) outcomes.push(await runAllRemovals(way));
  outcomes.push(await runOutboxes());
  if (outcomes.includes(false)) process.exitCode = 1;
}
