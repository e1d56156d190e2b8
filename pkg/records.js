// What is done within one transaction to the outbox's records: the jobs, their images, the totals of all jobs, and the notes of jobs
// that are gone.

/**
 * A job as it is stored: what the store itself looks at, and the job's JSON text. One that waits says until when, since when
 * if it was told to, and whether a gateway turned it away; `due` is that time with its place, for the index.
 * Its path is a list where it holds several, or none.
 * @typedef {{ seq?: number, id: string, storagePath: string | string[], size: number, text: string, revision?: number,
 *   notBefore?: number, waitSetAt?: number, suspect?: 1, due?: [number, number] }} JobRecord
 */
/** How many jobs there are, their bytes, how many wait, and the last place. */
/** @typedef {{ count: number, bytes: number, waiting: number, last: number }} Totals */

/** The setting with what is kept of all jobs together, so that nobody has to look at them all. */
export const TOTALS = "totals";
/** @type {Totals} */
export const NONE = { count: 0, bytes: 0, waiting: 0, last: 0 };
/** The settings that say when a job was removed whose copy may still be there, or come: another tab may write it that late. */
const noteOf = (id) => ["forgotten", id];
/** All of them. Not at once: it is asked for where there may be no IndexedDB. */
export const notesRange = () => IDBKeyRange.bound(["forgotten"], ["forgotten", []]);
/** So many records are read at once where all are looked at. */
export const PAGE = 100;

/** A record's job; nothing where it is damaged. @param {JobRecord} record */
export function jobOf(record) {
  const job = parse(record.text);
  return agrees(job, record) ? job : undefined;
}

/** A job's text as an object; nothing of one that is damaged. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a job's text is about the job whose record holds it, and what it has as JSON is that. */
function agrees(job, record) {
  if (typeof job?.id !== "string" || job.id !== record.id) return false;
  if (job.size !== record.size || job.storagePath !== pathOf(record)) return false;
  const { sidecar = "{}", columns = "{}", costUsdEstimate = "0" } = job.request ?? {};
  const areObjects = [sidecar, columns].every((text) => typeof parse(text) === "object");
  return areObjects && typeof parse(costUsdEstimate) === "number";
}

/** Where a record's job goes, which is the first of its paths; an empty text where that is not known. @param {JobRecord} record */
export function pathOf(record) {
  return [record.storagePath].flat()[0] ?? "";
}

/** The places of the jobs that have one of a record's paths. */
export async function holdersOf(transaction, record) {
  const index = transaction.objectStore("jobs").index("storagePath");
  const holders = await Promise.all([record.storagePath].flat().map((path) => index.getAllKeys(path)));
  return holders.flat();
}

/** The records of these jobs; nothing of those that are gone. */
export function found(transaction, ids) {
  const index = transaction.objectStore("jobs").index("id");
  return Promise.all(ids.map((id) => index.get(id)));
}

/** @returns {Promise<Totals>} */
export async function totalsOf(transaction) {
  const totals = await transaction.objectStore("settings").get(TOTALS);
  const names = ["count", "bytes", "waiting", "last"];
  return names.every((name) => Number.isFinite(totals?.[name])) ? totals : recounted(transaction);
}

export function setTotals(transaction, totals) {
  // What a damaged record had said of itself does not outlive the last job.
  const { count, last } = totals;
  const known = count > 0 ? totals : { ...NONE, last };
  return transaction.objectStore("settings").put(known, TOTALS);
}

/** The totals by looking at every job: for a database that is new here, or that somebody else wrote into. */
export async function recounted(transaction) {
  const totals = { ...NONE };
  for await (const page of pagesOf(transaction.objectStore("jobs"))) {
    for (const record of page) count(totals, record, 1);
    totals.last = page.at(-1).seq;
  }
  return totals;
}

/** All records, by pages: a cursor would take a question to another process for each. */
export async function* pagesOf(jobs) {
  let page = await jobs.getAll(undefined, PAGE);
  while (page.length > 0) {
    yield page;
    page = await jobs.getAll(IDBKeyRange.lowerBound(page.at(-1).seq, true), PAGE);
  }
}

/** Counts a job, or one that is gone by -1. */
function count(totals, { size, due }, by) {
  totals.count += by;
  totals.bytes += Number.isFinite(size) ? by * size : 0;
  totals.waiting += due ? by : 0;
}

/** A record in its place, with what the index of those that wait needs. */
export function placed(record, seq) {
  const { notBefore } = record;
  return { ...record, seq, ...(Number.isFinite(notBefore) && { due: [notBefore, seq] }) };
}

/** Writes what has become of a job whose record is known. */
export function rewrite(transaction, totals, known, record) {
  const next = placed({ ...record, revision: (known.revision ?? 0) + 1 }, known.seq);
  count(totals, known, -1);
  count(totals, next, 1);
  return transaction.objectStore("jobs").put(next);
}

/** Notes that these jobs are gone, where their copies may not be. @param {string[]} ids */
export function note(transaction, ids) {
  return ids.map((id) => transaction.objectStore("settings").put(Date.now(), noteOf(id)));
}

/** Adds a job in the next place, which it gives. */
export async function put(transaction, totals, record, image) {
  const seq = totals.last + 1;
  const next = placed(record, seq);
  count(totals, next, 1);
  await last(transaction, [
    transaction.objectStore("jobs").add(next),
    transaction.objectStore("images").put(image, record.id),
    transaction.objectStore("settings").delete(noteOf(record.id)),
    setTotals(transaction, { ...totals, last: seq }),
  ]);
  return seq;
}

/** Ends a transaction with what `work` would write and note in it, and with the totals where it gives some. */
export async function ended(transaction, work) {
  const { notes, writes, totals, result } = await work(transaction, await totalsOf(transaction));
  const all = [...writes, ...note(transaction, notes)];
  await last(transaction, totals ? [...all, setTotals(transaction, totals)] : all);
  return result;
}

/** Waits for a transaction's last requests. It commits with them: by itself it would do so when they are answered. */
export async function last(transaction, requests) {
  transaction.commit();
  await Promise.all(requests);
}

/** Removes jobs and images, whose records are known as far as there are any. */
export function remove(transaction, totals, ids, known) {
  const images = ids.map((id) => transaction.objectStore("images").delete(id));
  const jobs = known.filter(Boolean).map((record) => {
    count(totals, record, -1);
    return transaction.objectStore("jobs").delete(record.seq);
  });
  return [...images, ...jobs];
}

/** Counts anew what a database holds that has lost a part. */
export async function recount(transaction) {
  const known = await transaction.objectStore("settings").get(TOTALS);
  const totals = await recounted(transaction);
  await last(transaction, [setTotals(transaction, { ...totals, last: Math.max(totals.last, known?.last || 0) })]);
}
