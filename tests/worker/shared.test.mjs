// An answer that many want and one asks for: by a clock that goes when it is told to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { importModule, startClock } from "./modules.mjs";

const GOOD_MS = 3_000;

/** `want` asks for the answer as a request does; `answer` is how long one takes to come, and what it is. */
async function start(t) {
  const { nothingYet, share } = await importModule("shared.ts");
  const clock = startClock(t);
  const shared = nothingYet();
  const state = { asked: 0, answer: async () => true };
  const ask = () => {
    state.asked += 1;
    return state.answer();
  };
  const isGood = ({ cameAt }) => Date.now() - cameAt < GOOD_MS;
  const want = () =>
    share(shared, isGood, ask).then(
      (value) => value,
      (error) => error.message,
    );
  return { clock, state, want };
}

test("an answer that takes longer than it is good is taken by all who waited for it", async (t) => {
  const { clock, state, want } = await start(t);
  state.answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 4_900));
    return false;
  };
  const answers = Promise.all(Array.from({ length: 100 }, want));
  await clock.advance(5_000);
  assert.deepEqual(new Set(await answers), new Set([false]));
  assert.equal(state.asked, 1);
});

test("a failure is told to all who waited and to who comes within a second, and then it is asked again", async (t) => {
  const { clock, state, want } = await start(t);
  state.answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    throw new Error("down");
  };
  const first = Promise.all(Array.from({ length: 40 }, want));
  await clock.advance(200);
  const told = await first;
  assert.deepEqual([told[0], new Set(told.slice(1)).size, state.asked], ["down", 1, 1]);
  await clock.advance(800);
  assert.notEqual(await want(), true);
  assert.equal(state.asked, 1);
  await clock.advance(200);
  state.answer = async () => true;
  assert.equal(await want(), true);
  assert.equal(state.asked, 2);
});

test("who asks and is killed keeps the others waiting for six seconds only", async (t) => {
  const { clock, state, want } = await start(t);
  state.answer = () => new Promise(() => {});
  want();
  await clock.settle();
  state.answer = async () => true;
  const waiting = want();
  await clock.advance(6_100);
  assert.equal(await waiting, true);
});
