import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { OutboxJob } from "imagen-cloud/outbox";
import type { ComponentType } from "preact";
import type { Advice } from "./advice";
import type { Drawing } from "./drawing";
import type { Link, Row } from "./gallery";
import type { History } from "./journal";
import type { Account } from "./session";
import type { Route } from "./transport";

/** What Chromium tells of a page that can be installed. */
export interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

/** An image file on the stage. */
export interface ChosenFile {
  file: File;
  /** Shows it, for as long as it is on the stage. */
  url: string;
}

/** What the file on the stage says of itself, as its fields have it. */
export interface FileFacts {
  /** The program that wrote it. */
  by: string | undefined;
  seed: string;
  /** The file has one that the column doesn't take. */
  isSeedTooLarge: boolean;
  steps: string;
  model: string;
  /** All that the program wrote. */
  raw: string | undefined;
  isRawKept: boolean;
  hasPlace: boolean;
  canLeavePlaceOut: boolean;
  isPlaceLeftOut: boolean;
}

/** One of several files that were chosen together. */
export interface BatchFile {
  /** Its image's id. */
  id: string;
  file: File;
  /** Shows it, for as long as it is in the list. */
  url: string;
  words: string;
  /** It says where it was taken, and can be encoded anew without. */
  hasPlace: boolean;
  /** `leaving`: it is not safe yet. `kept`: by the outbox, or by the Worker. */
  state: "chosen" | "leaving" | "kept" | "arrived";
  /** Why it could not be sent. */
  problem: string | undefined;
}

/** A picture that has come to its place, or is kept by the Worker until it can. */
export interface Arrival {
  prompt: string;
  storagePath: string;
  imageId: string;
  /** Shows it without the network, where this page still has it; the card's own. */
  local: string | undefined;
  /** Supabase didn't take it yet: the Worker keeps it until then. */
  isKept: boolean;
  /** How many have arrived that had waited, this one the last; 0 when it did not wait. */
  waited: number;
}

/** What the panel tells of the picture that was sent last. */
export type Delivered =
  | { kind: "nothing" }
  | { kind: "sending"; percent: number | undefined }
  | { kind: "failed"; advice: Advice }
  | { kind: "arrived"; arrival: Arrival };

/** What became of the picture that was sent last. */
export interface Sent {
  /** What was on the stage then: see `onStage`. */
  what: string;
  imageId: string;
  /** `leaving`: it is not safe yet. `kept`: by the outbox, or by the Worker. */
  state: "leaving" | "kept" | "arrived";
}

/** A picture in the outbox. */
export interface Item {
  job: OutboxJob;
  title: string;
  /** Bytes sent, once some have been. */
  sent: number | undefined;
  /** When the server was heard of last, or began to be waited for; in ms since 1970. */
  since: number;
  /** It did not go out at once, so that its arrival is news. */
  hasWaited: boolean;
  /** Shows it, once it has been read. */
  url: string | undefined;
  /** "Discard" was pressed once. */
  isAsked: boolean;
}

/** A picture in the gallery. */
export interface Tile {
  row: Row;
  link: Link;
}

export type GalleryStatus = "loading" | "empty" | "failed" | "offline" | "shown";

/** All that the page shows. Controls write it, views read it, and nothing is read back from what they drew. */
export const state = {
  isOnline: signal(navigator.onLine),
  /** The server has a newer version of this page. */
  isOutdated: signal(false),
  installOffer: signal<InstallPrompt | undefined>(undefined),
  /** What was told last to those who listen instead of look. */
  said: signal<readonly { id: number; message: string }[]>([]),
  account: signal<Account | undefined>(undefined),
  /** The picture that was deleted last, the one behind it, and why it could not be. */
  removed: signal<{ tile: Tile; next: string | undefined; problem: string } | undefined>(undefined),
  /** Somebody wants to sign out, and is asked about what would be lost. */
  isLeaving: signal(false),
  route: signal<Route>("direct"),
  /** "Break it", in a demo. */
  breakIt: { isOffered: signal(false), panel: signal<ComponentType | undefined>(undefined) },
  /** Says what is wrong with the project's set-up, once it was wanted; or could not be loaded. */
  doctor: { dialog: signal<ComponentType | undefined>(undefined), isMissing: signal(false) },
  welcome: {
    hasDemo: signal(false),
    isBusy: signal(false),
    message: signal(""),
    /** What failed may be the set-up's fault. */
    mayBeSetUp: signal(false),
  },
  stage: {
    prompt: signal(""),
    seed: signal(""),
    chosen: signal<ChosenFile | undefined>(undefined),
    facts: signal<FileFacts | undefined>(undefined),
    factsProblem: signal(""),
    /** Several files, in the place of one. */
    batch: signal<readonly BatchFile[]>([]),
    isBatchBusy: signal(false),
    /** Their places are left out, where they have one. */
    isPlaceLeftOut: signal(false),
    /** Why files were left out of it. */
    skipped: signal<readonly string[]>([]),
    drawing: signal<Drawing | undefined>(undefined),
    isDraggedOver: signal(false),
    promptProblem: signal(""),
    seedProblem: signal(""),
    fileProblem: signal(""),
  },
  delivery: {
    shown: signal<Delivered>({ kind: "nothing" }),
    /** A picture goes out at once, and the page waits for it. */
    isBusy: signal(false),
    last: signal<Sent | undefined>(undefined),
  },
  outbox: {
    isOpen: signal(false),
    isPaused: signal(false),
    items: signal<ReadonlyMap<string, Item>>(new Map()),
    problem: signal(""),
    /** Milliseconds since 1970; goes on while somebody counts the seconds. */
    now: signal(Date.now()),
  },
  /** What the requests for the pictures of the last hours came to, by their ids. */
  histories: signal<ReadonlyMap<string, History>>(new Map()),
  gallery: {
    status: signal<GalleryStatus>("shown"),
    tiles: signal<readonly Tile[]>([]),
    hasMore: signal(false),
    isReadingMore: signal(false),
    hint: signal(""),
    /** What failed may be the set-up's fault. */
    mayBeSetUp: signal(false),
  },
  details: {
    id: signal<string | undefined>(undefined),
    /** A picture that its address asked for, and the gallery does not show yet. */
    older: signal<Tile | undefined>(undefined),
    /** The address names a picture, and nobody could be asked for it yet. */
    isAwaited: signal(false),
    message: signal(""),
  },
};

/** The picture whose details are open. */
export const openTile: ReadonlySignal<Tile | undefined> = computed(() => {
  const { id, older } = state.details;
  const isOpen = ({ row }: Tile) => row.id === id.value;
  return state.gallery.tiles.value.find(isOpen) ?? [older.value].find((tile) => tile && isOpen(tile));
});

/** Whether words and a seed make the picture, and no file does. */
export const isDrawing: ReadonlySignal<boolean> = computed(
  () => !state.stage.chosen.value && state.stage.batch.value.length === 0,
);

/** Tells one picture on the stage from another: by its words, and its seed or its file. */
export const onStage: ReadonlySignal<string> = computed(() => {
  const { chosen, facts, prompt, seed } = state.stage;
  return JSON.stringify([prompt.value.trim(), chosen.value?.url ?? seed.value.trim(), facts.value]);
});

/** Where the very picture is that is on the stage, if it was sent last. */
export const sentFromStage: ReadonlySignal<Exclude<Sent["state"], "leaving"> | undefined> = computed(() => {
  const last = state.delivery.last.value;
  return last?.what === onStage.value && last.state !== "leaving" ? last.state : undefined;
});

/** The server has refused the picture on the stage, which lies in the outbox until somebody mends that. */
export const isRefused: ReadonlySignal<boolean> = computed(() => {
  const last = state.delivery.last.value;
  return last?.what === onStage.value && state.outbox.items.value.get(last.imageId)?.job.state === "failed";
});

/** How many pictures go on by themselves. */
export const underWay: ReadonlySignal<number> = computed(
  () => [...state.outbox.items.value.values()].filter(({ job }) => job.state !== "failed").length,
);

/** Changes a signal's map in a copy, so that its readers hear of it. */
export function edit<K, V>(map: Signal<ReadonlyMap<K, V>>, change: (copy: Map<K, V>) => void): void {
  const copy = new Map(map.value);
  change(copy);
  map.value = copy;
}
