// The outboxes of two users never mix, whoever is signed in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld, range } from "../support/outbox.mjs";

const world = outboxWorld();
const sentBy = (user) => world.recorder.requests.filter(({ image }) => image?.startsWith(user.id));

test("two users' outboxes in one browser hold and send their own images only", async (t) => {
  const [ann, ben] = [await world.user(), await world.user()];
  const tab = await world.tab(t, ann);
  await tab.openAs("ben", ben);
  const anns = await tab.enqueueAll([1, 2]);
  const bens = [await tab.run("enqueue", "ben", 3, {})];
  assert.deepEqual(
    (await tab.list()).map(({ id }) => id),
    anns.map(({ imageId }) => imageId),
  );
  assert.deepEqual(await tab.run("call", "ben", "drain"), { done: 1, failed: 0, waiting: 0 });
  await world.arrived(ben, [3], bens);
  assert.equal((await tab.list()).length, 2);
  const told = (await tab.changes()).filter(({ outbox }) => outbox === "ben").map(({ id }) => id);
  assert.deepEqual(new Set(told), new Set([bens[0].imageId]), "one's listener is not told of the other's images");
  await tab.drain();
  await world.arrived(ann, [1, 2], anns);
});

test("another user's token leaves the jobs alone, their owner's delivers them", async (t) => {
  const [ann, ben] = [await world.user(), await world.user()];
  const tab = await world.tab(t, ann);
  const results = await tab.enqueueAll(range(3));
  const before = await tab.list();
  await tab.signIn(ben.accessToken);
  assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 3, stopped: "wrong_user" });
  const after = await tab.list();
  assert.deepEqual(
    after.map(({ id, state, attempts, notBefore }) => ({ id, state, attempts, notBefore })),
    before.map(({ id }) => ({ id, state: "queued", attempts: 0, notBefore: 0 })),
  );
  assert.deepEqual(sentBy(ann), [], "nothing is sent with another user's token");

  await tab.signIn(ann.accessToken);
  assert.deepEqual(await tab.drain(), { done: 3, failed: 0, waiting: 0 });
  await world.arrived(ann, range(3), results);
  await world.arrived(ben, []);
});

for (const [what, answer] of Object.entries({
  "that throws": () => {
    throw new Error("nobody is signed in");
  },
  "that rejects": () => Promise.reject(new Error("nobody is signed in")),
  "that gives nothing": () => undefined,
})) {
  test(`an accessToken ${what} at a drain stops it and keeps the jobs`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user, { open: false });
    // The function goes into the page as text.
    await tab.page.addScriptTag({ content: `window.badToken = ${answer}` });
    await tab.open();
    const results = await tab.enqueueAll(range(2));
    await tab.run("signInWith", "mine", "badToken");
    assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 2, stopped: "token_unavailable" });
    const states = (await tab.list()).map(({ state, attempts, notBefore }) => [state, attempts, notBefore]);
    assert.deepEqual(states, [
      ["queued", 0, 0],
      ["queued", 0, 0],
    ]);
    assert.deepEqual(sentBy(user), []);
    await tab.signIn(user.accessToken);
    assert.equal((await tab.drain()).done, 2);
    await world.arrived(user, range(2), results);
  });
}

test("a token that the server refuses stops the drain and keeps the jobs", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const results = await tab.enqueueAll(range(2));
  // A well-formed token of the right user, with a signature that is no longer right.
  await tab.signIn(`${user.accessToken.slice(0, -10)}AAAAAAAAAA`);
  assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 2, stopped: "unauthorized" });
  assert.deepEqual(
    (await tab.list()).map(({ state }) => state),
    ["queued", "queued"],
  );
  await tab.signIn(user.accessToken);
  assert.equal((await tab.drain()).done, 2);
  await world.arrived(user, range(2), results);
});
