import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exportJWK, exportSPKI, generateKeyPair } from "jose";
import { fields, mint, startBench } from "./support.mjs";

let bench;
let user;
let first;
before(async () => {
  bench = await startBench({ SUPABASE_JWT_SECRET: undefined, JWKS_COOLDOWN_MS: "0" });
  user = await bench.supabase.createUser();
  first = await makeKey("first");
  bench.front.jwks.keys = [first.jwk];
});
after(() => bench?.close());

async function makeKey(kid, alg = "ES256") {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } };
}

function tokenOf({ privateKey, kid, alg }, changes = {}) {
  return mint(privateKey, { alg, kid, sub: user.id, iss: `${bench.front.url}/auth/v1`, ...changes });
}

const asked = () => bench.front.requests.filter(({ path }) => path.endsWith("/jwks.json")).length;
const postWith = async (token) => (await bench.post(token, { request: fields({ seed: 1 }) })).status;

test("a token signed by a key of the issuer lets its user in, and the keys are fetched once", async () => {
  const before = asked();
  for (let i = 0; i < 3; i++) assert.equal(await postWith(await tokenOf(first)), 201);
  assert.equal(asked() - before, 1);
});

test("a key that is new since then is looked for once more", async () => {
  await postWith(await tokenOf(first));
  const second = await makeKey("second");
  const token = await tokenOf(second);
  assert.equal(await postWith(token), 401, "not published yet");
  bench.front.jwks.keys = [first.jwk, second.jwk];
  assert.equal(await postWith(token), 201);
  bench.front.jwks.keys = [first.jwk];
});

test("RS256 is accepted too", async () => {
  const key = await makeKey("rsa", "RS256");
  bench.front.jwks.keys = [first.jwk, key.jwk];
  assert.equal(await postWith(await tokenOf(key)), 201);
  bench.front.jwks.keys = [first.jwk];
});

const stranger = await makeKey("first");
const refusals = {
  "another's key under a known id": () => tokenOf(stranger),
  "an unknown key id": () => tokenOf({ ...stranger, kid: "nobody" }),
  "an expired token": () => tokenOf(first, { exp: 1 }),
  "another issuer": () => tokenOf(first, { iss: "https://evil.example/auth/v1" }),
  "the wrong audience": () => tokenOf(first, { aud: "other" }),
  "HS256 with the project's secret": () => mint(bench.supabase.jwtSecret, { sub: user.id }),
  "HS256 with the public key for a secret": async () =>
    mint(await exportSPKI(first.publicKey), { kid: "first", sub: user.id }),
  "a user's own token of the HS256 days": () => user.accessToken,
};
for (const [name, make] of Object.entries(refusals)) {
  test(`${name} is refused and nothing written`, async () => {
    const token = await make();
    const stored = await bench.snapshot();
    assert.equal(await postWith(token), 401);
    assert.equal(await bench.snapshot(), stored);
  });
}

test("forty unknown key ids at once make one fetch, and a user among them is let in", async () => {
  const cold = await startBench({ SUPABASE_JWT_SECRET: undefined });
  try {
    cold.front.jwks.keys = [first.jwk];
    const { id } = await cold.supabase.createUser();
    const iss = `${cold.front.url}/auth/v1`;
    const tokens = await Promise.all(
      Array.from({ length: 40 }, (_, i) => tokenOf({ ...stranger, kid: `unknown-${i}` }, { iss })),
    );
    const victim = tokenOf(first, { sub: id, iss }).then((token) => cold.post(token));
    const answers = tokens.map(async (token) => (await cold.post(token)).status);
    assert.equal((await victim).status, 201);
    assert.deepEqual(new Set(await Promise.all(answers)), new Set([401]));
    assert.equal(cold.front.requests.filter(({ path }) => path.endsWith("/jwks.json")).length, 1);
  } finally {
    await cold.close();
  }
});

test("while keys can't be fetched, an unknown one is the service's trouble, and who has a known one gets in", async () => {
  assert.equal(await postWith(await tokenOf(first)), 201);
  const path = "/api/signed-url?path=not/yours.png";
  const ask = async (token) => (await bench.call(path, { headers: { authorization: `Bearer ${token}` } })).status;
  bench.front.down = true;
  try {
    const unknown = await tokenOf({ ...stranger, kid: "not seen yet" });
    const known = await tokenOf(first);
    const before = asked();
    const statuses = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(i % 2 === 0 ? unknown : known)));
    assert.deepEqual(
      statuses,
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 503 : 403)),
    );
    assert.ok(asked() > before);
  } finally {
    bench.front.down = false;
  }
});

test("keys that can't be fetched are the service's trouble, not the token's", async () => {
  const cold = await startBench({ SUPABASE_JWT_SECRET: undefined });
  try {
    cold.front.down = true;
    const answer = await cold.post(await tokenOf(first));
    assert.equal(answer.status, 503);
    assert.equal((await answer.json()).code, "unavailable");
  } finally {
    await cold.close();
  }
});

test("a Worker that starts while Supabase is down stages images by the keys that the trigger has kept", async () => {
  const bindings = { SUPABASE_JWT_SECRET: undefined, JWKS_COOLDOWN_MS: "0", SYNC_BACKOFF_MS: "5" };
  const cold = await startBench({ ...bindings, RETRY_DELAY_SECONDS: "600" });
  try {
    cold.front.jwks.keys = [first.jwk];
    const { id } = await cold.supabase.createUser();
    const iss = `${cold.front.url}/auth/v1`;
    await cold.worker.runCron();
    cold.front.down = true;
    const post = async (key) => (await cold.post(await tokenOf(key, { sub: id, iss }))).status;
    assert.equal(await post(first), 202);
    assert.equal(await post(stranger), 401);
    assert.equal(await post({ ...stranger, kid: "nobody" }), 503);
  } finally {
    await cold.close();
  }
});

test("a trigger keeps nothing that is no set of keys, and says so", async () => {
  const { jwks } = bench.front;
  bench.front.jwks = { message: "We are back soon" };
  try {
    await bench.worker.runCron();
  } finally {
    bench.front.jwks = jwks;
  }
  await bench.allLogged();
  assert.ok(bench.logs.some((line) => line.includes('"keys_not_kept"')));
  assert.equal(await (await bench.worker.staged()).head("keys"), null);
});
