// The browser's storage is cleared while images are on their way, by their user or by the browser: what is gone is told of.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld, pathOf } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();

/** As its user does in the browser's settings. */
async function clear(tab) {
  const session = await tab.page.context().newCDPSession(tab.page);
  const { origin } = new URL(world.site.url);
  await session.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb,cache_storage" });
}

const statesOf = async (tab, { imageId }) => {
  const changes = await tab.changes();
  return changes.filter(({ id, state }) => id === imageId && state !== "progress").map(({ state }) => state);
};

for (const [when, method, told] of [
  ["uploaded", "PUT", ["queued", "uploading", "discarded"]],
  ["inserted", "POST", ["queued", "uploading", "uploaded", "done"]],
]) {
  test(`every tab is told what becomes of an image whose storage is cleared while it is ${when}`, async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const tabs = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
    const result = await tabs[0].enqueue(1);
    const hold = world.recorder.hold({ method, image: pathOf(user, 1), at: "answer" });
    const drained = tabs[0].drain();
    await hold.reached;
    await clear(tabs[1]);
    hold.release();
    assert.equal((await drained).waiting, 0);
    for (const tab of tabs) {
      await until(async () => (await statesOf(tab, result)).at(-1) === told.at(-1), "the last word of it");
      assert.deepEqual(await statesOf(tab, result), told);
    }
  });
}

test("an image that is enqueued anew after its storage was cleared, while its first job is sent, is told to be gone by nobody", async (t) => {
  const imageId = "5f0c2b9e-2222-4333-8444-555566667788";
  const user = await world.user();
  const context = await world.context(t);
  const tabs = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
  const other = await tabs[0].enqueue(1);
  await tabs[0].enqueue(2, { imageId });
  const holds = [1, 2].map((number) =>
    world.recorder.hold({ method: "PUT", image: pathOf(user, number), at: "answer" }),
  );
  const drained = tabs[0].drain();
  await Promise.all(holds.map(({ reached }) => reached));
  await clear(tabs[1]);
  const result = await tabs[1].enqueue(2, { imageId, prompt: "another" });
  for (const hold of holds) hold.release();
  assert.equal((await drained).waiting, 0);
  for (const tab of tabs) {
    await until(async () => (await statesOf(tab, result)).includes("done"), "its arrival");
    const again = ["uploading", "uploaded", "done"];
    assert.deepEqual(await statesOf(tab, result), ["queued", "uploading", "queued", ...again]);
    await until(async () => (await statesOf(tab, other)).includes("discarded"), "the end of the other one");
  }
  const rows = await world.supabase.sql("select prompt from imagen.images where owner_user_id = $1", [user.id]);
  assert.deepEqual(rows, [{ prompt: "another" }]);
});
