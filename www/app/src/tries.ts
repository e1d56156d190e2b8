import type { History, Note } from "./journal";

/** What a picture went through, in plain words. */
export interface Tale {
  /** How often it was tried, the last time included. */
  tries: number;
  /** "Arrived once, after 3 tries and 12 s offline". */
  summary: string;
  /** "Row, second try: the row was there already". */
  lines: string[];
}

export function taleOf(history: History): Tale {
  const failed = history.notes.filter(isFailed).reduce((sum, { times }) => sum + times, 0);
  const tries = failed + 1;
  return { tries, summary: summaryOf(history, tries), lines: linesOf(history.notes) };
}

function summaryOf(history: History, tries: number): string {
  const offline = offlineMs(history);
  const all = (history.notes.at(-1)?.endedAt ?? history.begunAt) - history.begunAt;
  if (tries === 1 && offline === 0) return "Arrived once, at the first try";
  if (tries === 1) return `Arrived once, after ${duration(offline)} offline`;
  return `Arrived once, after ${tries} tries and ${offline > 0 ? `${duration(offline)} offline` : duration(all)}`;
}

export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/** How long nothing could be reached: as the browser said, or from the first of several requests that nobody answered. */
function offlineMs({ begunAt, wasOnline, notes }: History): number {
  let since = wasOnline ? undefined : begunAt;
  let sum = 0;
  for (const { code, isOnline, times, begunAt: began } of notes) {
    if (code === "network" && (!isOnline || times > 1)) since ??= began;
    else if (code === undefined && since !== undefined) {
      sum += Math.max(0, began - since);
      since = undefined;
    }
  }
  return sum;
}

/** Stopped by a pause or a page that was closed: nobody was to blame. */
const isStopped = ({ code }: Note) => code === "aborted";
/** A row that is there already is refused so, and looked for then. */
const isDuplicate = ({ stage, status }: Note) => stage === "insert" && status === 409;
const isFailed = (note: Note) =>
  !isStopped(note) && (note.code !== undefined || ((note.status ?? 0) >= 400 && !isDuplicate(note)));

/** Failures, and how each part of the way ended: what went well before that was a part of it, or a look. */
function linesOf(notes: readonly Note[]): string[] {
  const counted = new Map<string, number>();
  return notes.flatMap((note, i) => {
    if (isStopped(note)) return [];
    if (note.status === 202) return ["The Worker has it, Supabase not yet"];
    const part = partOf(note);
    const before = counted.get(part) ?? 0;
    if (isFailed(note)) {
      counted.set(part, before + note.times);
      return [`${part}, ${triesOf(before + 1, before + note.times)}: ${failureOf(note, notes.slice(i + 1))}`];
    }
    if (notes.slice(i + 1).some((later) => partOf(later) === part)) return [];
    return [`${part}, ${triesOf(before + 1)}: ${isLook(note) ? "the row was there already" : "done"}`];
  });
}

function partOf({ stage, route }: Note): string {
  if (stage === "insert") return "Row";
  return route === "worker" ? "To the Worker" : "Upload";
}

const isLook = ({ stage, method }: Note) => stage === "insert" && method === "GET";

function failureOf(note: Note, later: readonly Note[]): string {
  const { code, status, isOnline } = note;
  if (code === "network" && !isOnline) return "no connection";
  if (code === "network") return wasDone(note, later) ? "the answer was lost" : "no answer came";
  if (code !== undefined) return code === "timeout" ? "no answer in time" : "no answer";
  if (status === 429) return "the server had too much to do";
  return status !== undefined && status >= 500 ? `the server was down (${status})` : `refused (${status})`;
}

/** A row that is found afterwards, though no other try brought it, was written by this one. */
function wasDone(note: Note, later: readonly Note[]): boolean {
  const rows = later.filter(({ stage }) => stage === "insert");
  const last = rows.at(-1);
  const isOnlyOne = rows.every((one) => one.code !== "network");
  return note.stage === "insert" && note.method === "POST" && note.times === 1 && isOnlyOne && !!last && isLook(last);
}

const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];
const ordinal = (number: number) => ORDINALS[number - 1] ?? `${number}th`;

function triesOf(from: number, to = from): string {
  return from === to ? `${ordinal(from)} try` : `${ordinal(from)} to ${ordinal(to)} try`;
}
