// Many requests at once: an isolate has 128 MB for all of them.
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import { inspect } from "./inspector.mjs";
import { fields, headOf, pngOf, startBench } from "./support.mjs";

const MB = 1_000_000;
const IMAGE = pngOf(MB);
const BODY_TIMEOUT_MS = 10_000;

let bench;
let user;
let other;
before(async () => {
  const bindings = { BODY_TIMEOUT_MS: String(BODY_TIMEOUT_MS), BODY_WAIT_MS: "180000" };
  bench = await startBench(bindings, { inspect: true });
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
});
after(() => bench?.close());

/** The pieces of a request's body; all requests share the image's. */
function pieces(seed) {
  const head = [
    "--x",
    'Content-Disposition: form-data; name="request"',
    "",
    JSON.stringify(fields({ slug: "load", seed })),
    "--x",
    'Content-Disposition: form-data; name="image"; filename="a.png"',
    "",
    "",
  ];
  return [Buffer.from(head.join("\r\n")), IMAGE, Buffer.from("\r\n--x--\r\n")];
}

function post(seed, { accessToken } = user) {
  const body = pieces(seed);
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${accessToken}`,
      "content-type": "multipart/form-data; boundary=x",
      "content-length": body.reduce((sum, { length }) => sum + length, 0),
    };
    const sent = httpRequest(`${bench.url}/api/sync`, { method: "POST", headers, agent: false }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode));
    });
    sent.on("error", reject);
    for (const piece of body) sent.write(piece);
    sent.end();
  });
}

/** Once what was begun before is being read, as far as there is room: a request that is made later is read later. */
const areRead = async (seed) => assert.equal(await post(seed, other), 201);

/** Begins a request, sends a half of it, and leaves it at that. */
function stall(seed, { accessToken } = user) {
  const [head, image] = pieces(seed);
  const { hostname, port } = new URL(bench.url);
  const lines = [
    "POST /api/sync HTTP/1.1",
    `Host: ${hostname}`,
    `Authorization: Bearer ${accessToken}`,
    "Content-Type: multipart/form-data; boundary=x",
    `Content-Length: ${2 * MB}`,
    "",
    "",
  ];
  const socket = connect(Number(port), hostname);
  socket.write(lines.join("\r\n"));
  socket.write(head);
  socket.write(image.subarray(0, MB / 2));
  const answered = new Promise((resolve) => {
    socket.once("data", (data) => resolve(Number(String(data).split(" ")[1])));
    socket.once("error", () => resolve(undefined));
  });
  return { socket, answered };
}

test("200 requests at once of 1 MB are all answered, and live memory stays under 64 MB", async (t) => {
  assert.equal(await post(-1), 201);
  const isolate = await inspect(await bench.worker.inspector());
  const looks = [];
  let atOnce = 0;
  let uploading = 0;
  let uploads = 0;
  const second = Promise.withResolvers();
  bench.front.before = async ({ method, path }, response) => {
    if (method !== "PUT" || !path.includes("/object/")) return;
    uploading += 1;
    uploads += 1;
    atOnce = Math.max(atOnce, uploading);
    response.once("close", () => {
      uploading -= 1;
    });
    // At every tenth, but the last ones: an isolate that has nothing to do any more tells nothing.
    if (uploads % 10 === 0 && uploads <= 150) looks.push(isolate.liveBytes());
    // The first one waits for another beside it.
    if (uploads > 1) second.resolve();
    await second.promise;
  };
  try {
    const started = performance.now();
    const statuses = await Promise.all(Array.from({ length: 200 }, (_, seed) => post(seed)));
    const seconds = (performance.now() - started) / 1000;
    const samples = await Promise.all(looks);
    assert.deepEqual(
      Object.entries(Object.groupBy(statuses, String)).map(([status, { length }]) => [status, length]),
      [["201", 200]],
    );
    const live = Math.max(...samples.map(({ heap, buffers }) => heap + buffers));
    const most = `${(live / MB).toFixed(1)} MB lived at most in ${samples.length} samples`;
    t.diagnostic(`${seconds.toFixed(1)} s, ${most}, ${atOnce} uploads at once`);
    assert.equal(samples.length, 15);
    assert.ok(live < 64 * 1024 * 1024, `${live} bytes lived`);
    assert.ok(atOnce <= 16, `${atOnce} uploads at once`);
  } finally {
    bench.front.before = undefined;
    isolate.close();
  }
});

test("JSON that comes slowly holds no more memory than its room", async () => {
  const bytes = 256 * 1024;
  const { hostname, port } = new URL(bench.url);
  const users = await Promise.all(Array.from({ length: 5 }, () => bench.supabase.createUser()));
  const sockets = Array.from({ length: 150 }, (_, index) => {
    const socket = connect(Number(port), hostname).on("error", () => {});
    const lines = [
      "POST /api/tickets HTTP/1.1",
      `Authorization: Bearer ${users[index % 5].accessToken}`,
      "Content-Type: application/json",
      `Content-Length: ${bytes}`,
    ];
    socket.write(`${headOf(lines)}{`);
    return socket;
  });
  const isolate = await inspect(await bench.worker.inspector());
  try {
    // Later than the others: they are being read, or wait.
    await areRead(5_000);
    const busy = post(5_001, other);
    const { buffers } = await isolate.liveBytes();
    assert.equal(await busy, 201);
    // Its room is 8 MiB, and an upload has two of its own.
    assert.ok(buffers < 16 * 1024 * 1024, `${buffers} bytes of buffers`);
  } finally {
    isolate.close();
    for (const socket of sockets) socket.destroy();
  }
});

test("requests that break off in the middle keep nobody waiting", async () => {
  const stalled = Array.from({ length: 40 }, (_, seed) => stall(1_000 + seed));
  await areRead(1_100);
  for (const { socket } of stalled) socket.destroy();
  const statuses = await Promise.all(Array.from({ length: 20 }, (_, seed) => post(2_000 + seed)));
  assert.deepEqual(new Set(statuses), new Set([201]));
});

test("requests that come to a standstill are told so in time, and others are let in", async () => {
  // Four of each of four users: they have all the room there is.
  const senders = [user, ...(await Promise.all(Array.from({ length: 3 }, () => bench.supabase.createUser())))];
  const stalled = Array.from({ length: 16 }, (_, seed) => stall(3_000 + seed, senders[seed % 4]));
  // One of them has its own share taken, the other one all of it.
  const waiting = [post(4_000), post(3_100, other)];
  assert.deepEqual(new Set(await Promise.all(stalled.map(({ answered }) => answered))), new Set([408]));
  assert.deepEqual(await Promise.all(waiting), [201, 201]);
  for (const { socket } of stalled) socket.destroy();
  await until(async () => (await post(4_001)) === 201);
});
