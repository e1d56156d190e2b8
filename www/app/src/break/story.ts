import { state } from "../state";
import { taleOf } from "../tries";
import { type Run, TEN, type Told } from "./run";

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

/** Where it is, by outbox and database; what it went through, by what the package told of its requests. */
export function storyOf({ ids }: Run, number: number, { score }: Told): Story {
  const id = ids[number - 1] ?? "";
  const job = state.outbox.items.value.get(id)?.job.state;
  const tile = state.gallery.tiles.value.find(({ row }) => row.id === id);
  const history = state.histories.value.get(id);
  const tale = history && taleOf(history);
  const hasArrived = score?.library.ids.includes(id) === true;
  const at = stopOf({ isKnown: id !== "", hasArrived, hasLink: tile?.link.url !== undefined, job });
  return {
    title: TEN[number - 1] ?? "",
    at,
    viaWorker: history?.notes.some(({ route }) => route === "worker") ?? state.route.value === "worker",
    hasArrived,
    summary: hasArrived ? (tale?.summary ?? "Arrived once") : summaryOf(at, (tale?.tries ?? 1) - 1),
    log: tale?.lines ?? [],
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

function summaryOf(at: Stop, broken: number): string {
  if (at === "Device") return "Being drawn";
  if (at === "Worker") return "Safe with the Worker, which goes on by itself";
  if (broken === 0) return "Safe in the outbox";
  return `Safe in the outbox, ${broken === 1 ? "one try was" : `${broken} tries were`} broken`;
}
