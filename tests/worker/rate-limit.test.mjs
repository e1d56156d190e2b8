import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fields, startBench } from "./support.mjs";

const LIMIT = 5;

let bench;
before(async () => {
  bench = await startBench({}, { rateLimit: { limit: LIMIT, period: 60 } });
});
after(() => bench?.close());

test("a user over the limit is told to wait and writes nothing, and nobody else is kept waiting", async () => {
  const [eager, other] = [await bench.supabase.createUser(), await bench.supabase.createUser()];
  const post = (seed) => bench.post(eager.accessToken, { request: fields({ seed }) });
  // The platform counts in minutes of the clock: one of them may end in between.
  const answers = [];
  for (let seed = 0; seed < 3 * LIMIT; seed++) answers.push(await post(seed));
  const refused = answers.filter(({ status }) => status !== 201);
  assert.ok(refused.length >= LIMIT && refused.length <= 2 * LIMIT, `${refused.length} were refused`);
  for (const answer of refused) {
    assert.equal(answer.status, 429);
    assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
    assert.equal((await answer.json()).code, "rate_limited");
  }
  const { rows } = JSON.parse(await bench.snapshot());
  assert.equal(rows.length, answers.length - refused.length);
  assert.equal((await bench.post(other.accessToken)).status, 201);
});

test("requests without a valid token are not counted as anyone's", async () => {
  const user = await bench.supabase.createUser();
  for (let i = 0; i < 2 * LIMIT; i++) assert.equal((await bench.post(`${user.accessToken}x`)).status, 401);
  assert.equal((await bench.post(user.accessToken)).status, 201);
});
