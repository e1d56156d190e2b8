// What the vectors of seed.json ask of whatever plays them: the package, and the component. What is sent, what comes back and
// what an error says has to be the seed's, except where a difference is wanted: a vector that needs one names its number below.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { parseExact } from "./exact-json.mjs";

/** Recorded from the Go package that this library descends from. */
export const vectors = parseExact(await readFile(new URL("seed.json", import.meta.url), "utf8"));

/** The wanted differences, numbered as in the design: what the seed does not do, and what is compared instead. */
export const WANTED = {
  1: "the row carries an id: compared without it; the id is a UUID, and one and the same over all attempts",
  2: "a signed URL of every form becomes absolute and encoded: compared as the seed's wherever the seed's works",
  3: "transient answers are tried again, when signing too: the same request is expected maxRetries + 1 times",
  4: "paths that leave the bucket are refused: no vector has one",
  5: "type and size come from the image's bytes: the vectors' image is of no known kind, so nothing changes",
  6: "an AbortSignal stops everything: no vector has one",
  7: "what Storage is certain to refuse is refused before anything is sent: nothing is expected on the wire",
  words: "a JSON parser has its own words: compared before and after them",
};

/** Vector → the numbers of its differences, beside 1, which every vector with a row has. */
export const DIFFERENCES = {
  "slug with percent": [7],
  "sign, a 500 is not tried again by the seed": [3],
  "sign, no JSON": [3, "words"],
  "insert answers no JSON": ["words"],
};

/** 18 bytes, as in the vectors, of no known image format. */
export const IMAGE = new TextEncoder().encode("eighteen-byte-body");
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * Plays a vector and compares.
 * @param {object} vector
 * @param {Awaited<ReturnType<typeof import("../support/scripted.mjs").startScripted>>} server
 * @param {(vector: object) => Promise<{ value?: any, error?: any }>} run as its user would
 */
export async function play(vector, server, run) {
  const differs = (number) => DIFFERENCES[vector.name]?.includes(number) ?? false;
  server.play(vector.replies);
  server.requests.length = 0;
  const outcome = await run(vector);

  if (differs(7)) {
    assert.deepEqual(server.requests, []);
    assert.deepEqual([outcome.error?.code, outcome.error?.field], ["invalid_request", "slug"]);
    return;
  }
  compareWire(server.requests, expectedWire(vector, differs(3)));
  compareOutcome(outcome, vector, differs("words"), server.url);
}

/** Difference 3: where the seed gives up at once, the last request is sent again until the retries are used up. */
function expectedWire({ wire, maxRetries }, isTriedAgain) {
  if (!isTriedAgain) return wire;
  return [...wire.slice(0, -1), ...Array(maxRetries + 1).fill(wire.at(-1))];
}

function compareWire(requests, wire) {
  assert.deepEqual(
    requests.map(({ method, target }) => `${method} ${target}`),
    wire.map(({ method, target }) => `${method} ${target}`),
  );
  const ids = new Set();
  for (const [index, expected] of wire.entries()) {
    const { headers, body, target } = requests[index];
    const sent = Object.fromEntries(Object.keys(expected.headers).map((name) => [name, headers[name]]));
    assert.deepEqual(sent, expected.headers);
    if (typeof expected.body === "number") {
      assert.equal(body.length, expected.body);
      assert.deepEqual(body, Buffer.from(IMAGE));
      continue;
    }
    const json = parseExact(body.toString());
    if (target.startsWith("/rest/")) {
      assert.match(json.id, UUID, "difference 1");
      ids.add(json.id);
      delete json.id;
    }
    assert.deepEqual(json, expected.body);
  }
  assert.ok(ids.size <= 1, "difference 1: every attempt carries the same id");
}

function compareOutcome({ value, error }, vector, hasOwnWords, url) {
  if (vector.ok) {
    assert.equal(error, undefined);
    if (vector.op === "sync") {
      assert.deepEqual({ ...value }, { storagePath: vector.resultPath, imageId: vector.imageId });
    } else {
      assert.equal(value, vector.result.replace("$URL", url));
    }
    return;
  }
  assert.ok(error, `must fail with: ${vector.error}`);
  compareText(error.message, vector.error, hasOwnWords);
  if (vector.resultPath !== undefined) assert.equal(error.storagePath, vector.resultPath);
}

function compareText(text, expected, hasOwnWords) {
  if (!hasOwnWords) {
    assert.equal(text, expected);
    return;
  }
  const [, start, end] = expected.match(/^(.*parse \w+ response: ).*( \(body: .*\))$/s);
  assert.ok(text.startsWith(start), `${text} starts with ${start}`);
  assert.ok(text.endsWith(end), `${text} ends with ${end}`);
  assert.ok(text.length > start.length + end.length, `${text} says what is wrong`);
}
