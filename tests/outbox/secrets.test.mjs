// Nothing that an outbox keeps or tells holds a key, a token or a signed URL.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld, range } from "../support/outbox.mjs";

const world = outboxWorld();
/** The token of a signed URL. */
const SIGNED = "eyJhbGciOiJIUzI1NiJ9.eyJ1cmwiOiJ4LnBuZyIsImV4cCI6MX0.c2lnbmVk";

test("neither the database nor changes nor errors hold a key, a token or a signed URL", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { sink: { maxRetries: 0 } });
  const secrets = {
    "the key": world.supabase.publishableKey,
    "the access token": user.accessToken,
    "the token's signature": user.accessToken.split(".")[2],
    "the refresh token": user.refreshToken,
    "the service key": world.supabase.serviceKey,
    "a signed URL": SIGNED,
  };
  const seen = [];
  const look = async (error) => {
    // What a change tells of a request has its seed, a bigint.
    const text = (told) => JSON.stringify(told, (_, value) => (typeof value === "bigint" ? `${value}` : value));
    seen.push(await tab.dump(), text(await tab.changes()), text(await tab.list()));
    if (error) seen.push(JSON.stringify(error));
  };
  const failing = (call) => call.then(() => assert.fail("it was expected to fail"), look);

  await tab.enqueueAll(range(5));
  await look();
  // Servers that answer with what they were sent.
  const leak = `apikey ${world.supabase.publishableKey}, authorization: Bearer ${user.accessToken}`;
  for (const [number, status] of [400, 403, 500].entries()) {
    const body = { message: leak, error: leak, signedURL: `/object/sign/x.png?token=${SIGNED}` };
    world.recorder.answer({ method: "PUT", image: `${user.id}/2026-05-11/lighthouse-${number}.png`, status, body });
  }
  world.recorder.answer({
    method: "POST",
    image: "lighthouse-3.png",
    status: 400,
    body: { code: "22000", message: leak },
  });
  await tab.drain();
  await look();
  await tab.signIn(`${user.accessToken.slice(0, -10)}AAAAAAAAAA`);
  await tab.drain();
  await look();
  await tab.signOut();
  await tab.drain();
  await look();
  await failing(tab.enqueue(0, { imageId: "00000000-0000-4000-8000-000000000000" }));
  await failing(tab.enqueue(1, { imageId: "no UUID" }));
  await failing(tab.retry("00000000-0000-4000-8000-000000000000"));

  const text = seen.join("\n");
  assert.ok(text.includes("lighthouse-4"), "the search looks at something");
  for (const [what, secret] of Object.entries(secrets)) {
    const at = text.indexOf(secret);
    assert.equal(at, -1, `${what} is kept or told: ${text.slice(Math.max(0, at - 200), at + 80)}`);
  }
});
