// What people give as a project's URL, key and token that is none: the sink and the doctor say so, with what to give in its place,
// and quote no secret.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { checkProject, createSink, createSinkFromEnv } from "imagen-cloud";
import { aRequest, rejection, scripted, sinkFor } from "./helpers.mjs";

const NAME = "abcdefghijklmnopqrst";
const URL_OF_IT = `https://${NAME}.supabase.co`;
const KEY = "sb_publishable_abc";
const { urls, keys } = JSON.parse(await readFile(new URL("./mistaken.json", import.meta.url), "utf8"));

const asksNobody = () => assert.fail("something was asked");

/** What the doctor says of it, under the check's name. */
async function findingOf(name, url, apiKey) {
  const { checks } = await checkProject({ url, apiKey, fetch: asksNobody });
  const { state, message, remedy } = checks.find((check) => check.name === name);
  assert.equal(state, "wrong");
  return `${message}. ${remedy}`;
}

/** What all that take a project say of it. */
async function told(field, name, url, apiKey) {
  const env = { SUPABASE_URL: url, SUPABASE_SERVICE_KEY: apiKey };
  const refusals = [() => createSink({ url, apiKey, fetch: asksNobody }), () => createSinkFromEnv(env)];
  const messages = refusals.map(async (run) => (await rejection(run, { code: "invalid_config", field })).message);
  return Promise.all([...messages, findingOf(name, url, apiKey)]);
}

for (const { given, says, name = false, hidden } of urls) {
  test(`${JSON.stringify(given)} is no project's URL`, async () => {
    for (const message of await told("url", "address", given, KEY)) {
      assert.ok(message.includes(says), message);
      assert.match(message, /It is https:\/\/.*\(dashboard, Settings, Data API\)/);
      assert.equal(message.includes(NAME), name, message);
      assert.ok(hidden === undefined || !message.includes(hidden), message);
    }
  });
}

for (const { given, says } of keys) {
  test(`${JSON.stringify(given)} is no project's key`, async () => {
    for (const message of await told("apiKey", "key-kind", URL_OF_IT, given)) {
      assert.ok(message.includes(says), message);
      assert.doesNotMatch(message, /hunter2|012345/);
    }
  });
}

test("a token that is the text of no value is none", async (t) => {
  const server = await scripted(t);
  for (const token of ["undefined", "null", "Bearer undefined"]) {
    const sink = await sinkFor(t, server, { accessToken: () => token });
    await rejection(() => sink.sync(aRequest(), { deadlineMs: 60_000 }), { code: "token_unavailable" });
  }
  assert.equal(server.requests.length, 0);
});
