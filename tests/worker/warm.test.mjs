import assert from "node:assert/strict";
import { test } from "node:test";
import { startWorker } from "../../www/local/worker.mjs";
import { until } from "../support/until.mjs";
import { startFront } from "./support.mjs";

test("what first requests call runs to its end while the isolate starts", async () => {
  const worker = await startWorker({
    bindings: {},
    log() {},
    source: `
      import { warmUp } from "../warm";
      let ended = "it is still waiting for something";
      warmUp().then((all) => {
        ended = all.map(({ status, reason }) => reason?.message ?? status);
      });
      export default { fetch: () => Response.json(ended) };`,
  });
  try {
    const ended = await (await fetch(worker.url)).json();
    assert.deepEqual(ended, ["fulfilled", "fulfilled", "fulfilled"]);
  } finally {
    await worker.close();
  }
});

test("the start asks Supabase for nothing and logs nothing", async () => {
  const front = await startFront("http://127.0.0.1:1");
  const lines = [];
  const bindings = { SUPABASE_URL: front.url, SUPABASE_SERVICE_KEY: "key", SUPABASE_JWT_SECRET: "secret" };
  const worker = await startWorker({ bindings, log: (line) => lines.push(JSON.parse(line)) });
  try {
    const answer = await fetch(`${worker.url}/api/signed-url?path=a`);
    assert.equal(answer.status, 401);
    assert.deepEqual(front.requests, []);
    await until(() => lines.length > 0, "the request's line");
    assert.deepEqual(
      lines.map(({ requestId }) => requestId),
      [answer.headers.get("x-request-id")],
    );
  } finally {
    await worker.close();
    await front.close();
  }
});
