import { effect, signal } from "@preact/signals";
import type { Outbox, SyncRequest } from "imagen-cloud/outbox";
import { toRequest } from "../control/delivery";
import type { OutboxList } from "../control/outbox";
import { factsOf } from "../drawing";
import type { Painter } from "../painter";
import type { Picture } from "../picture";
import type { Session } from "../session";
import { state } from "../state";

/** What the panel needs of the page. */
export interface Tools {
  session: Session;
  painter: Painter;
  list: OutboxList;
  outbox: () => Promise<Outbox> | undefined;
}

export type Fault = "offline" | "lose" | "down" | "slow";
export type Way = "library" | "plain";

/** What was counted on the way, and what database and bucket hold. */
export interface Score {
  requests: number;
  broken: number;
  objects: number;
  rows: number;
  /** Different ones among the rows. */
  pictures: number;
  doubles: number;
  leftBehind: number;
  ids: string[];
}

export interface Told {
  faults: Record<Fault, boolean>;
  score?: Record<Way, Score>;
}

/** Ten pictures, each known by `<name>-<number>` in its words and its path. */
export interface Run {
  owner: string;
  name: string;
  startedAt: number;
  ids: string[];
  /** How many the plain way was asked to send. */
  plain: number;
}

export const TEN = [
  "snow over a fjord",
  "pine forest at dawn",
  "desert sunset",
  "moon on a lake",
  "a lighthouse at dusk",
  "aurora over the hills",
  "cherry blossoms by the bay",
  "a volcano in autumn",
  "rain on the dunes",
  "a quiet harbour",
];

const KEY = "imagen-cloud-break";
/** How often the scoreboard is read while something is on its way, in ms. */
const LOOK_MS = 1000;

export const run = signal<Run | undefined>(undefined);
export const told = signal<Told | undefined>(undefined);
export const isSending = signal(false);
export const isPlainSending = signal(false);
export const problem = signal("");

let tools: Tools;
let looking: Promise<void> | undefined;
let isStale = false;
/** How often something was changed there. */
let changes = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Goes on where this user's run was before a reload. */
export function open(given: Tools): void {
  tools = given;
  run.value = kept();
  effect(() => {
    // Read after each change in the outbox.
    state.outbox.items.value;
    if (state.account.value) look();
  });
}

/** What the proxy and the database say now. */
export function look(): Promise<void> {
  // What changes while it is asked may be missing in the answer.
  isStale = true;
  looking ??= lookUntilFresh().finally(() => {
    looking = undefined;
  });
  return looking;
}

async function lookUntilFresh(): Promise<void> {
  while (isStale) {
    isStale = false;
    await ask("GET");
  }
}

/** The switch shows what was asked for at once, and what holds if the demo's server is away. */
export async function set(fault: Fault, isOn: boolean): Promise<void> {
  const before = told.value;
  if (before) told.value = { ...before, faults: { ...before.faults, [fault]: isOn } };
  const isHeard = await ask("PUT", { [fault]: isOn });
  if (!isHeard) told.value = before;
}

/** Draws ten pictures and puts each into the outbox at once. */
export async function sendTen(): Promise<void> {
  const owner = state.account.value?.id;
  const outbox = tools.outbox();
  if (isSending.value || owner === undefined || !outbox) return;
  isSending.value = true;
  problem.value = "";
  try {
    const name = nameOf();
    keep({ owner, name, startedAt: Date.now(), ids: [], plain: 0 });
    await ask("PUT", { begin: true });
    for (let number = 1; number <= TEN.length; number++) {
      const request = await draw(name, number);
      const id = request.imageId ?? "";
      tools.list.expect(id);
      await (await outbox).enqueue(request);
      tools.list.watch(id);
      const now = run.value;
      if (now) keep({ ...now, ids: [...now.ids, id] });
    }
  } catch (error) {
    problem.value = (error as Error).message;
  } finally {
    isSending.value = false;
  }
}

/** The same ten by a plain upload and insert, one after the other. */
export async function sendPlainTen(): Promise<void> {
  const now = run.value;
  if (isPlainSending.value || !now) return;
  isPlainSending.value = true;
  watch();
  try {
    const { openPlain, sendAndTryOnce } = await import("./plain");
    const supabase = openPlain(tools.session);
    for (let number = 1; number <= TEN.length; number++) {
      const request = await draw(now.name, number);
      keep({ ...(run.value ?? now), plain: number });
      await sendAndTryOnce(supabase, {
        blob: request.image as Blob,
        folder: `${now.owner}/plain/${now.name}-${number}`,
        row: { owner_user_id: now.owner, prompt: request.prompt, backend: "canvas" },
      });
      await look();
    }
  } finally {
    await look();
    isPlainSending.value = false;
  }
}

/** Looks again and again while something may still change. */
function watch(): void {
  timer ??= setInterval(async () => {
    await look();
    if (isSending.value || isPlainSending.value || state.outbox.items.value.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }, LOOK_MS);
}

async function draw(name: string, number: number): Promise<SyncRequest> {
  const brief = { prompt: TEN[number - 1] ?? "", seed: BigInt(number) };
  const { drawing, blob } = await tools.painter.png(brief);
  if (!blob) throw new Error("This browser could not make a PNG.");
  const picture: Picture = { ...brief, ...factsOf(drawing), backend: "canvas", blob };
  return toRequest({ ...picture, prompt: `${brief.prompt}, ${name}-${number}` });
}

/** Whether the server answered; what it told is kept unless something was changed since it was asked. */
async function ask(method: "GET" | "PUT", body?: object): Promise<boolean> {
  if (method === "PUT") changes += 1;
  const asOf = changes;
  let isHeard = false;
  try {
    const answer = await fetch(`/faults?run=${run.value?.name ?? ""}`, {
      method,
      headers: { authorization: `Bearer ${await tools.session.accessToken()}` },
      ...(body && { body: JSON.stringify(body) }),
    });
    isHeard = answer.ok;
    if (isHeard) {
      const answered: Told = await answer.json();
      if (asOf === changes) told.value = answered;
    }
  } catch {
    // The demo's own server is away: what was told stays.
  }
  if (state.outbox.items.value.size > 0) watch();
  return isHeard;
}

/** Short, and of letters that no path or seed is taken for. */
function nameOf(): string {
  const letters = "bcdfghjkmnpqrstvwxz";
  return [...crypto.getRandomValues(new Uint8Array(4))].map((byte) => letters[byte % letters.length]).join("");
}

function kept(): Run | undefined {
  try {
    const found: Run | null = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    return found?.owner === state.account.value?.id ? (found ?? undefined) : undefined;
  } catch {
    return undefined;
  }
}

function keep(next: Run): void {
  run.value = next;
  try {
    sessionStorage.setItem(KEY, JSON.stringify(next));
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
