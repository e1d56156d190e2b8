import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exchange, fields, startBench } from "./support.mjs";

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

test("who is told to wait is told so while still sending, on a line that stays open", async () => {
  const { accessToken } = await bench.supabase.createUser();
  const size = 700_000;
  const lines = ["POST /api/sync HTTP/1.1", `Authorization: Bearer ${accessToken}`, "Content-Type: text/plain"];
  const send = () => exchange(bench.url, [...lines, `Content-Length: ${size}`], "x".repeat(size));
  const answers = [];
  // More than twice as many as are allowed: one minute of the platform's clock may end in between.
  for (let count = 0; count <= 2 * LIMIT; count++) answers.push(await send());
  assert.ok(
    answers.every(([status, next]) => [415, 429].includes(status) && next === 200),
    JSON.stringify(answers),
  );
  assert.ok(answers.some(([status]) => status === 429));
});

test("a counter that fails stops nobody", async () => {
  const USER_LIMIT = `import { WorkerEntrypoint } from "cloudflare:workers";
    export default class extends WorkerEntrypoint {
      limit() { throw new Error("the counter is down"); }
    }`;
  const uncounted = await startBench({}, { doubles: { USER_LIMIT } });
  try {
    const { accessToken } = await uncounted.supabase.createUser();
    assert.equal((await uncounted.post(accessToken)).status, 201);
  } finally {
    await uncounted.close();
  }
});
