import { state } from "../state";
import { type Run, type Seen, TEN, type Told } from "./run";

export const STOPS = ["Device", "Outbox", "Worker", "Storage", "Row", "Link"] as const;
export type Stop = (typeof STOPS)[number];

/** How a picture fares, in plain words. */
export interface Story {
  title: string;
  /** The last stop that it has reached for sure. */
  at: Stop;
  viaWorker: boolean;
  hasArrived: boolean;
  summary: string;
  log: string[];
}

export function storyOf({ name, ids, startedAt }: Run, number: number, { log, score }: Told): Story {
  const id = ids[number - 1];
  const item = id === undefined ? undefined : state.outbox.items.value.get(id);
  const isOurs = new RegExp(`\\b${name}-${number}-`);
  const seen = log.filter(({ way, image = "" }) => way === "library" && (image === id || isOurs.test(image)));
  const hasArrived = id !== undefined && score?.library.ids.includes(id) === true;
  const tile = state.gallery.tiles.value.find(({ row }) => row.id === id);
  const viaWorker = state.route.value === "worker" || seen.some(({ kind }) => kind === "sync");
  const at = stopOf({
    isKnown: id !== undefined,
    hasArrived,
    hasLink: tile?.link.url !== undefined,
    job: item?.job.state,
  });
  const seconds = Math.round(((seen.at(-1)?.at ?? startedAt) - startedAt) / 1000);
  return {
    title: TEN[number - 1] ?? "",
    at,
    viaWorker,
    hasArrived,
    summary: summaryOf(at, seen, seconds),
    log: seen.map(wordsOf),
  };
}

interface Known {
  isKnown: boolean;
  hasArrived: boolean;
  hasLink: boolean;
  job: string | undefined;
}

function stopOf({ isKnown, hasArrived, hasLink, job }: Known): Stop {
  if (hasArrived) return hasLink ? "Link" : "Row";
  if (job === "handed-over") return "Worker";
  if (job === "uploaded") return "Storage";
  return isKnown ? "Outbox" : "Device";
}

function summaryOf(at: Stop, seen: Seen[], seconds: number): string {
  if (at === "Device") return "Being drawn";
  if (at === "Worker") return "Safe with the Worker, which goes on by itself";
  if (at === "Outbox" || at === "Storage") {
    const broken = seen.filter(({ fault }) => fault !== undefined && fault !== "slow").length;
    return broken === 0 ? "Safe in the outbox" : `Safe in the outbox, ${broken} tries were broken`;
  }
  const tries = Math.max(
    1,
    ...["upload", "insert", "sync"].map((kind) => seen.filter((one) => one.kind === kind).length),
  );
  return tries === 1 ? "Arrived once, at the first try" : `Arrived once, after ${tries} tries and ${seconds} s`;
}

const NAMES = { upload: "Upload", insert: "Row", sync: "To the Worker" };
const FAULTS = {
  offline: "no connection",
  down: "the server was down",
  lost: "done, but the answer was lost",
  refused: "the server refused it once",
};

function wordsOf(one: Seen, index: number, all: Seen[]): string {
  const tries = all.slice(0, index + 1).filter(({ kind }) => kind === one.kind).length;
  return `${NAMES[one.kind]}, ${ordinal(tries)} try: ${outcomeOf(one)}`;
}

function outcomeOf({ kind, fault, status = 0 }: Seen): string {
  if (fault !== undefined && fault !== "slow") return FAULTS[fault];
  const late = fault === "slow" ? ", late" : "";
  // What Storage and PostgREST say of what is there.
  if (status === 409 || (kind === "upload" && status === 400)) return `it was there already${late}`;
  if (status === 202) return `taken, Supabase has it later${late}`;
  return status >= 200 && status < 300 ? `done${late}` : `answered ${status || "nothing"}${late}`;
}

function ordinal(number: number): string {
  return ["first", "second", "third"][number - 1] ?? `${number}th`;
}
