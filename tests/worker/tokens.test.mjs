// A token is verified once and remembered: it lets nobody in for longer than it would if it were verified each time.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { exportJWK, generateKeyPair } from "jose";
import { importModule } from "./modules.mjs";
import { mint } from "./support.mjs";

const SECRET = "a-secret-of-the-test-that-is-long-enough-for-it";
const USER = "00000000-0000-4000-8000-00000000000a";
const MINUTE_MS = 60_000;
/** Of each test its own, so that none knows what another one's has said. */
let projects = 0;
let authenticate;
let SeenTokens;
before(async () => {
  ({ authenticate } = await importModule("auth.ts"));
  ({ SeenTokens } = await importModule("seen-tokens.ts"));
});

/** Settings, a clock of the test's own and a count of the signatures that are looked at. */
function project(t, settings = {}) {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  const verify = t.mock.method(crypto.subtle, "verify");
  const supabaseUrl = `https://project-${++projects}.example`;
  const issuer = `${supabaseUrl}/auth/v1`;
  const known = { supabaseUrl, issuers: [issuer], allowAnonymousUsers: false, jwksCooldownMs: 0, ...settings };
  const enter = (token, more = {}, staging = undefined) =>
    authenticate(`Bearer ${token}`, { ...known, ...more }, staging);
  return { issuer, enter, looked: () => verify.mock.callCount() };
}

/** An issuer that publishes `keys`. */
async function issuerOf(t) {
  const pair = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: "one", alg: "ES256", use: "sig" };
  const keys = [jwk];
  const trouble = { meet: undefined };
  const fetch = t.mock.method(globalThis, "fetch", async () => (await trouble.meet?.()) ?? Response.json({ keys }));
  const sign = (iss) => mint(pair.privateKey, { alg: "ES256", kid: "one", sub: USER, iss, exp: inSeconds(3_600) });
  return { keys, sign, trouble, fetched: () => fetch.mock.callCount() };
}

const inSeconds = (seconds) => Math.floor(Date.now() / 1_000) + seconds;
const refused = (entering, code = "unauthorized") => assert.rejects(entering, (error) => error.code === code);

test("a_token_that_comes_again_is_not_verified_again_until_it_ends", async (t) => {
  const { enter, looked } = project(t, { jwtSecret: SECRET });
  const token = await mint(SECRET, { sub: USER, exp: inSeconds(60) });
  for (let again = 0; again < 3; again += 1) assert.deepEqual(await enter(token), { id: USER });
  assert.equal(looked(), 1);
  t.mock.timers.tick(MINUTE_MS);
  assert.deepEqual(await enter(token), { id: USER }, "a clock may be some seconds wrong");
  assert.equal(looked(), 2);
  t.mock.timers.tick(MINUTE_MS);
  await refused(enter(token));
});

test("a_token_that_differs_by_a_letter_is_another_one", async (t) => {
  const { enter } = project(t, { jwtSecret: SECRET });
  const token = await mint(SECRET, { sub: USER });
  await enter(token);
  const [head, claims, signature] = token.split(".");
  const other = await mint(`${SECRET}!`, { sub: USER });
  for (const forged of [
    `${head}.${claims}.${other.split(".")[2]}`,
    `${head}.${claims}.`,
    `${head}.${claims}.${signature}A`,
    `${head}.${claims}`,
    other,
  ]) {
    await refused(enter(forged));
    await refused(enter(forged));
  }
});

test("what_the_settings_say_of_a_users_token_counts_for_one_that_was_seen_too", async (t) => {
  const { enter, issuer, looked } = project(t, { jwtSecret: SECRET, allowAnonymousUsers: true });
  const token = await mint(SECRET, { sub: USER, iss: issuer, is_anonymous: true });
  await enter(token);
  await refused(enter(token, { allowAnonymousUsers: false }), "forbidden");
  await refused(enter(token, { issuers: ["https://elsewhere.example/auth/v1"] }));
  await refused(enter(token, { jwtSecret: `${SECRET}!` }));
  assert.equal(looked(), 2, "by another secret it is another project's");
  assert.deepEqual(await enter(token), { id: USER });
});

test("a_key_that_its_issuer_takes_back_ends_its_tokens_when_the_keys_are_asked_for_anew", async (t) => {
  const { enter, issuer, looked } = project(t);
  const { keys, sign, fetched } = await issuerOf(t);
  const token = await sign(issuer);
  for (let again = 0; again < 3; again += 1) await enter(token);
  assert.deepEqual([looked(), fetched()], [1, 1]);
  keys.pop();
  t.mock.timers.tick(9 * MINUTE_MS);
  await enter(token);
  assert.deepEqual([looked(), fetched()], [1, 1]);
  t.mock.timers.tick(MINUTE_MS);
  await refused(enter(token));
});

test("who_asks_for_an_unknown_key_ends_the_tokens_of_one_that_is_gone", async (t) => {
  const { enter, issuer } = project(t);
  const { keys, sign } = await issuerOf(t);
  const token = await sign(issuer);
  await enter(token);
  keys.pop();
  const { privateKey } = await generateKeyPair("ES256");
  await refused(enter(await mint(privateKey, { alg: "ES256", kid: "nobody", sub: USER, iss: issuer })));
  await refused(enter(token));
});

test("while_the_issuer_gives_no_keys_those_that_are_known_let_their_users_in_for_a_day", async (t) => {
  const { enter, issuer } = project(t);
  const { sign, trouble, fetched } = await issuerOf(t);
  const enterAnew = async () => enter(await sign(issuer));
  await enterAnew();
  trouble.meet = () => new Response("down", { status: 503 });
  for (const minutes of [10, 1, 60, 23 * 60 - 72]) {
    t.mock.timers.tick(minutes * MINUTE_MS);
    const before = fetched();
    for (let again = 0; again < 5; again += 1) assert.deepEqual(await enterAnew(), { id: USER });
    assert.equal(fetched() - before, 1, "it is asked now and then");
  }
  const { privateKey } = await generateKeyPair("ES256");
  const unknown = await mint(privateKey, { alg: "ES256", kid: "nobody", sub: USER, iss: issuer });
  await refused(enter(unknown), "unavailable");
  t.mock.timers.tick(61 * MINUTE_MS);
  await refused(enterAnew(), "unavailable");
  trouble.meet = undefined;
  t.mock.timers.tick(MINUTE_MS);
  assert.deepEqual(await enterAnew(), { id: USER });
});

test("keys_that_were_kept_for_whoever_starts_without_any_are_good_for_a_day_as_others_are", async (t) => {
  for (const [hours, isGood] of [
    [23, true],
    [25, false],
  ]) {
    const { enter, issuer } = project(t);
    const { keys, sign, trouble } = await issuerOf(t);
    trouble.meet = () => new Response("down", { status: 503 });
    const url = `${issuer}/.well-known/jwks.json`;
    const kept = { jwks: JSON.stringify({ keys }), keptAt: Date.now() - hours * 60 * MINUTE_MS };
    const staging = { recallKeys: async (of) => (of === url ? kept : undefined) };
    const token = await sign(issuer);
    await refused(enter(token, {}, { recallKeys: async () => Promise.reject(new Error("down, too")) }), "unavailable");
    if (isGood) assert.deepEqual(await enter(token, {}, staging), { id: USER });
    else await refused(enter(token, {}, staging), "unavailable");
    t.mock.timers.tick(120 * MINUTE_MS);
    await refused(enter(await sign(issuer), {}, staging), "unavailable");
    t.mock.reset();
  }
});

test("nobody_but_who_asks_waits_for_an_issuer_that_does_not_answer_where_keys_are_known", async (t) => {
  const { enter, issuer } = project(t);
  const { sign, trouble, fetched } = await issuerOf(t);
  await enter(await sign(issuer));
  t.mock.timers.tick(10 * MINUTE_MS);
  let giveUp;
  trouble.meet = () =>
    new Promise((_, reject) => {
      giveUp = () => reject(new DOMException("no answer", "TimeoutError"));
    });
  const tokens = await Promise.all([1, 2, 3].map(() => sign(issuer)));
  const asking = enter(tokens[0]);
  while (giveUp === undefined) await new Promise(setImmediate);
  for (const token of tokens.slice(1)) assert.deepEqual(await enter(token), { id: USER });
  giveUp();
  assert.deepEqual(await asking, { id: USER });
  assert.equal(fetched(), 2);
});

test("no_more_than_five_hundred_tokens_are_remembered_and_no_long_one", () => {
  const seen = new SeenTokens();
  const claims = { sub: USER, exp: inSeconds(60) };
  for (let count = 0; count <= 500; count += 1) seen.keep(`token ${count}`, claims);
  assert.equal(seen.find("token 0"), undefined);
  for (const token of ["token 1", "token 500"]) assert.equal(seen.find(token).sub, USER);
  const long = "x".repeat(4 * 1024 + 1);
  assert.equal(seen.keep(long, claims), claims);
  assert.equal(seen.find(long), undefined);
});
