// Who gets room for a body, and when: by a clock that goes when it is told to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { importModule, startClock } from "./modules.mjs";

const MIB = 1024 * 1024;

/** Room as uploads have it, and `enter`, which takes some for as long as its `leave` is not called. */
async function start(t, most = { slots: 16, bytes: 32 * MIB }, share = 1 / 4) {
  const { Room } = await importModule("slots.ts");
  const room = new Room(most, share);
  const clock = startClock(t);
  const entered = [];
  const enter = (name, { user = name, bytes = MIB, waitMs = 30_000, limitMs } = {}) => {
    const guest = { name, isInTheWay: undefined, leave: undefined, refused: undefined };
    const work = (isInTheWay) => {
      entered.push(name);
      guest.isInTheWay = isInTheWay;
      return new Promise((resolve) => {
        guest.leave = resolve;
      });
    };
    room.with(bytes, user, waitMs, work, limitMs).catch((problem) => {
      guest.refused = problem.code;
    });
    return guest;
  };
  return { clock, entered, enter };
}

test("who waits longest goes first", async (t) => {
  const { clock, entered, enter } = await start(t, { slots: 1, bytes: MIB }, 1);
  const names = Array.from({ length: 60 }, (_, index) => `user ${index}`);
  const guests = [];
  for (const name of names) {
    guests.push(enter(name, { waitMs: 600_000 }));
    await clock.advance(1);
  }
  for (const guest of guests) {
    guest.leave();
    await clock.advance(1_000);
  }
  assert.deepEqual(entered, names);
});

test("room that becomes free is used by all who fit into it, in a few milliseconds", async (t) => {
  const { clock, entered, enter } = await start(t);
  const first = Array.from({ length: 16 }, (_, index) => enter(`first ${index}`));
  await clock.settle();
  for (let index = 0; index < 40; index += 1) enter(`second ${index}`);
  await clock.advance(5_000);
  assert.equal(entered.length, 16);
  for (const guest of first) guest.leave();
  await clock.advance(200);
  assert.equal(entered.length, 32);
});

test("a large body is not passed by small ones for ever", async (t) => {
  const { clock, entered, enter } = await start(t);
  const first = Array.from({ length: 8 }, (_, index) => enter(`first ${index}`, { bytes: 4 * MIB }));
  await clock.settle();
  enter("large", { bytes: 25 * MIB });
  await clock.advance(100);
  for (let index = 0; index < 100; index += 1) enter(`small ${index}`);
  for (const guest of first.slice(0, 7)) {
    assert.ok(!entered.some((name) => name.startsWith("small")));
    guest.leave();
    await clock.advance(500);
  }
  assert.ok(entered.includes("large"));
  assert.ok(entered.includes("small 0"), "what is left is for those behind it");
});

test("one user has a quarter of slots and bytes at most, and keeps no other one waiting", async (t) => {
  for (const [bytes, allowed] of [
    [1, 4],
    [3 * MIB, 2],
    [25 * MIB, 1],
  ]) {
    const { clock, entered, enter } = await start(t);
    for (let index = 0; index < 16; index += 1) enter(`slow ${index}`, { user: "attacker", bytes });
    await clock.advance(5_000);
    assert.equal(entered.length, allowed);
    enter("other", { bytes: MIB });
    await clock.settle();
    assert.equal(entered.at(-1), "other", "at once, as without the sixteen");
  }
});

test("a body is in the way when others wait for its room, and not when they wait for their own share", async (t) => {
  const { clock, enter } = await start(t);
  const guest = enter("a", { bytes: 20 * MIB });
  await clock.settle();
  assert.equal(guest.isInTheWay(), false);
  for (let index = 0; index < 5; index += 1) enter(`b ${index}`, { user: "b" });
  await clock.advance(100);
  assert.equal(guest.isInTheWay(), false, "b waits for b");
  enter("c", { bytes: 20 * MIB });
  await clock.advance(100);
  assert.equal(guest.isInTheWay(), true);
});

test("requests that were killed while they waited, or while they had room, keep it for a time only", async (t) => {
  const { clock, entered, enter } = await start(t, { slots: 1, bytes: MIB }, 1);
  const first = enter("first");
  await clock.settle();
  for (let index = 0; index < 50; index += 1) enter(`killed ${index}`);
  await clock.settle();
  clock.kill();
  enter("alive", { waitMs: 300_000 });
  first.leave();
  await clock.advance(5_000);
  assert.deepEqual(entered, ["first", "alive"]);
  // "alive" is killed in its turn: nobody calls its leave().
  enter("last", { waitMs: 300_000 });
  await clock.advance(200_000);
  assert.deepEqual(entered, ["first", "alive", "last"]);
});

/** Counts what loops over lists, sets and maps look at, until `stop`. */
function countSteps(t) {
  const count = { steps: 0, stop() {} };
  const real = [Set, Map, Array].map(({ prototype }) => [prototype, prototype[Symbol.iterator]]);
  const { some } = Array.prototype;
  for (const [prototype, iterate] of real) {
    prototype[Symbol.iterator] = function* counted() {
      const iterator = iterate.call(this);
      for (let next = iterator.next(); !next.done; next = iterator.next()) {
        count.steps += 1;
        yield next.value;
      }
    };
  }
  Array.prototype.some = function counted(test) {
    return some.call(this, (item, ...rest) => {
      count.steps += 1;
      return test(item, ...rest);
    });
  };
  count.stop = () => {
    for (const [prototype, iterate] of real) prototype[Symbol.iterator] = iterate;
    Array.prototype.some = some;
  };
  t.after(count.stop);
  return count;
}

for (const [name, userOf] of [
  ["ten users", (index) => `user ${index % 10}`],
  ["one user", () => "user"],
  ["as many users", (index) => `user ${index}`],
]) {
  test(`a look costs no more the more of ${name} wait, nor does a body that ends`, async (t) => {
    const costs = [];
    for (const waiting of [200, 600]) {
      const { clock, entered, enter } = await start(t);
      const guests = Array.from({ length: 16 + waiting }, (_, index) => enter(index, { user: userOf(index) }));
      await clock.advance(1_000);
      const inside = entered.length;
      const count = countSteps(t);
      await clock.advance(2_000);
      for (const name of entered.slice(0, inside)) {
        guests[name].isInTheWay();
        guests[name].leave();
      }
      await clock.advance(1_000);
      count.stop();
      assert.equal(entered.length, 2 * inside, "as many come in as went");
      costs.push(count.steps / waiting);
    }
    t.diagnostic(`${costs.map((cost) => cost.toFixed(1)).join(", ")} steps for each who waits`);
    assert.ok(costs[1] <= 1.5 * costs[0], `${costs}`);
  });
}

test("who may take longer by the settings keeps its room for longer", async (t) => {
  const { clock, entered, enter } = await start(t, { slots: 1, bytes: MIB }, 1);
  const slow = enter("slow", { limitMs: 600_000 });
  enter("next", { waitMs: 900_000 });
  await clock.advance(610_000);
  assert.deepEqual(entered, ["slow"]);
  slow.leave();
  await clock.advance(1_000);
  assert.deepEqual(entered, ["slow", "next"]);
});

test("who waits in vain is told so", async (t) => {
  const { clock, enter } = await start(t, { slots: 1, bytes: MIB }, 1);
  enter("first");
  await clock.settle();
  const second = enter("second");
  await clock.advance(29_000);
  assert.equal(second.refused, undefined);
  await clock.advance(2_000);
  assert.equal(second.refused, "busy");
});
