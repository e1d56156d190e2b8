// What the page says a picture went through, by what the package told of its requests.
import assert from "node:assert/strict";
import { test } from "node:test";
import { taleOf } from "../../www/app/src/tries.ts";

const BEGUN = 1_000_000;

/** A history of a picture, each note a second after the one before it. */
function history(notes, wasOnline = true) {
  const whole = notes.map((note, i) => {
    const endedAt = BEGUN + (i + 1) * 1000;
    return { route: "direct", isOnline: true, times: 1, begunAt: endedAt - 100, endedAt, ...note };
  });
  return { id: "an-id", owner: "an-owner", begunAt: BEGUN, wasOnline, notes: whole };
}

const put = (note) => ({ stage: "upload", method: "PUT", ...note });
const post = (note) => ({ stage: "insert", method: "POST", ...note });
const look = { stage: "insert", method: "GET", status: 200 };

test("what goes well at once is said to have arrived at the first try", () => {
  const { tries, summary, lines } = taleOf(history([put({ status: 200 }), post({ status: 201 })]));
  assert.deepEqual([tries, summary], [1, "Arrived once, at the first try"]);
  assert.deepEqual(lines, ["Upload, first try: done", "Row, first try: done"]);
});

test("an answer is said to be lost where its row is found afterwards, and only there", () => {
  const lost = taleOf(history([put({ status: 200 }), post({ code: "network" }), post({ status: 201 }), look]));
  assert.deepEqual(lost.lines, [
    "Upload, first try: done",
    "Row, first try: the answer was lost",
    "Row, second try: the row was there already",
  ]);
  assert.equal(lost.summary, "Arrived once, after 2 tries and 4 s");
  const unknown = taleOf(
    history([put({ code: "network" }), put({ status: 200 }), post({ code: "network" }), post({ status: 201 })]),
  );
  assert.deepEqual(unknown.lines, [
    "Upload, first try: no answer came",
    "Upload, second try: done",
    "Row, first try: no answer came",
    "Row, second try: done",
  ]);
});

test("a row that is refused because it is there counts as no failure", () => {
  const { tries, lines } = taleOf(history([put({ status: 200 }), post({ status: 409 }), look]));
  assert.equal(tries, 1);
  assert.equal(lines.at(-1), "Row, first try: the row was there already");
});

test("time without a connection is told by the browser's word, or by requests that nobody answered", () => {
  const late = { begunAt: BEGUN + 12_000, endedAt: BEGUN + 12_300 };
  const waited = taleOf(history([put({ status: 200, ...late }), post({ status: 201, ...late })], false));
  assert.equal(waited.summary, "Arrived once, after 12 s offline");
  const soon = taleOf(history([put({ status: 200, begunAt: BEGUN + 5 }), post({ status: 201 })], false));
  assert.equal(soon.summary, "Arrived once, after 1 s offline");
  const cut = put({ code: "network", times: 2, begunAt: BEGUN, endedAt: BEGUN + 5000 });
  const tried = taleOf(history([cut, put({ status: 200, ...late }), post({ status: 201, ...late })]));
  assert.equal(tried.summary, "Arrived once, after 3 tries and 12 s offline");
  assert.deepEqual(tried.lines, [
    "Upload, first to second try: no answer came",
    "Upload, third try: done",
    "Row, first try: done",
  ]);
});

test("the Worker's word is told, and pieces are not taken for tries", () => {
  const worker = (note) => ({ route: "worker", stage: "upload", method: "POST", ...note });
  const { tries, lines } = taleOf(history([worker({ status: 503 }), worker({ status: 202 }), worker({ status: 201 })]));
  assert.equal(tries, 2);
  assert.deepEqual(lines, [
    "To the Worker, first try: the server was down (503)",
    "The Worker has it, Supabase not yet",
    "To the Worker, second try: done",
  ]);
  const piece = { stage: "upload", method: "PATCH" };
  const pieces = [piece, { ...piece, code: "aborted" }, { ...piece, code: "timeout" }, piece].map((one) => ({
    ...(one.code ? {} : { status: 204 }),
    ...one,
  }));
  assert.deepEqual(taleOf(history([...pieces, post({ status: 201 })])).lines, [
    "Upload, first try: no answer in time",
    "Upload, second try: done",
    "Row, first try: done",
  ]);
});
