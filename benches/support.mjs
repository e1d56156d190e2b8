// Samples, statistics and the table. Runs in Node and in a page alike.

/**
 * Times every contender in turn, round after round, so that whatever slows the machine for a while slows all alike.
 * Returns the ms per call of each round by contender: the n-th samples of all of them belong together.
 */
export async function interleave(contenders, { warmUp, rounds, batch }) {
  const names = Object.keys(contenders);
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -warmUp; round < rounds; round++) {
    // In another order each time: one contender's garbage is collected in the next one's time.
    for (const name of shuffled(names)) {
      const call = contenders[name];
      const start = performance.now();
      for (let i = 0; i < batch; i++) await call();
      const ms = (performance.now() - start) / batch;
      if (round >= 0) samples[name].push(ms);
    }
  }
  return samples;
}

export function shuffled(list) {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

/** `most` rounds, or so many of them as begin in time; `least`, however slow the machine is. */
export function* roundsOf({ least, most, seconds }) {
  const end = performance.now() + seconds * 1_000;
  for (let round = 0; round < most && (round < least || performance.now() < end); round++) yield round;
}

/** The samples of several runs as one. */
export function pooled(runs) {
  const all = {};
  for (const run of runs) {
    for (const [name, samples] of Object.entries(run)) all[name] = [...(all[name] ?? []), ...samples];
  }
  return all;
}

/** `ours / theirs`, pair by pair. */
export const ratios = (ours, theirs) => ours.map((sample, index) => sample / theirs[index]);

export const median = (samples) => quantile(samples, 0.5);

/** Smallest and largest; of 20 samples or more the 5th and the 95th percentile. */
export function range(samples) {
  const cut = samples.length < 20 ? 0 : 0.05;
  return [quantile(samples, cut), quantile(samples, 1 - cut)];
}

function quantile(samples, share) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below + (above - below) * (at - Math.floor(at));
}

/** How each unit is written: from bytes, ms, counts and plain ratios. */
const units = {
  kB: (bytes) => `${(bytes / 1e3).toFixed(1)} kB`,
  MB: (bytes) => `${(bytes / 1e6).toFixed(1)} MB`,
  MiB: (bytes) => `${(bytes / 2 ** 20).toFixed(2)} MiB`,
  ms: (ms) => `${ms.toFixed(2)} ms`,
  requests: (count) => `${count} requests`,
  "×": (ratio) => `${ratio.toFixed(3)} ×`,
};

/**
 * One line of the table. `samples` are in bytes or ms; `beside` compares with a peer's samples of the same rounds;
 * `limit` is what the median (or, with `beside`, the median of the ratios) must not exceed. With `isSpeed` the ratios are
 * how many times faster than the peer, and the limit is what their median must reach.
 */
export function figure({ what, unit, samples, beside, isSpeed = false, limit }) {
  const compared = beside && (isSpeed ? ratios(beside.samples, samples) : ratios(samples, beside.samples));
  const judged = median(compared ?? samples);
  const spread = (values, of) => (values.length > 1 ? range(values).map(units[of]).join(" – ") : "");
  return {
    what,
    median: units[unit](median(samples)),
    range: spread(samples, unit),
    beside: compared ? `${units["×"](median(compared))} ${isSpeed ? "as fast as " : ""}${beside.name}` : "",
    spread: compared ? spread(compared, "×") : "",
    limit: limit === undefined ? "" : `${isSpeed ? "≥" : "≤"} ${compared ? units["×"](limit) : units[unit](limit)}`,
    verdict: limit === undefined ? "" : (isSpeed ? judged >= limit : judged <= limit) ? "ok" : "OVER",
  };
}

const columns = {
  what: "figure",
  median: "median",
  range: "range",
  beside: "median of ratios",
  spread: "range of ratios",
  limit: "limit",
  verdict: "",
};

/** Markdown that can be read as it is. `groups` are `{ title, figures }`. */
export function table(groups) {
  const head = Object.values(columns);
  const body = groups.flatMap(({ title, figures }) => [
    [`**${title}**`, ...head.slice(1).map(() => "")],
    ...figures.map((line) => Object.keys(columns).map((column) => line[column])),
  ]);
  const widths = head.map((_, column) => Math.max(3, ...[head, ...body].map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
