// Bodies that come slowly, or that nobody wants: with the settings that a Worker is deployed with.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { startWorker } from "../../www/local/worker.mjs";
import { until } from "../support/until.mjs";
import { exchange, fields, file, headOf, PNG, pngOf, startBench } from "./support.mjs";

const MIB = 1024 * 1024;

let bench;
let victim;
before(async () => {
  bench = await startBench({
    ALLOWED_ORIGINS: "https://app.example",
    SYNC_BACKOFF_MS: "5",
    RETRY_DELAY_SECONDS: "1",
  });
  victim = await bench.supabase.createUser();
});
after(() => bench?.close());

const formOf = ({ accessToken }, length) => [
  "POST /api/sync HTTP/1.1",
  `Authorization: Bearer ${accessToken}`,
  "Content-Type: multipart/form-data; boundary=x",
  `Content-Length: ${length}`,
];

/** Sends the head of a request, and then a byte now and then, 40 at most; `answered` resolves to the problem's status and code. */
function trickle(lines) {
  const { hostname, port } = new URL(bench.url);
  const socket = connect(Number(port), hostname);
  const line = { isAnswered: false, close: () => socket.destroy() };
  let sent = 0;
  const more = setInterval(() => (sent++ < 40 ? socket.write("x") : socket.destroy()), 500);
  let text = "";
  line.answered = new Promise((resolve) => {
    const answer = () => {
      clearInterval(more);
      line.isAnswered = text !== "";
      resolve([Number(text.split(" ")[1]), /"code":"(\w+)"/.exec(text)?.[1]]);
    };
    socket.on("data", (data) => {
      text += data;
      if (text.includes('"code"')) answer();
    });
    socket.on("error", () => {});
    socket.on("close", answer);
  });
  socket.write(headOf(lines));
  return line;
}

const upload = (user) => bench.post(user.accessToken, { request: fields({ slug: randomUUID() }), image: file(PNG) });

/** Once as many requests are being read: workerd reads a body before a request that is made later. */
const areRead = () => upload(victim);

test("two slow bodies that fill all room lose it to who waits, and are told so", async () => {
  const attackers = [await bench.supabase.createUser(), await bench.supabase.createUser()];
  const lines = [trickle(formOf(attackers[0], 25 * MIB)), trickle(formOf(attackers[1], 7 * MIB))];
  try {
    // Once the two have all room, one of these has to wait for it. None is refused.
    await until(async () => {
      const { status } = await upload(victim);
      assert.equal(status, 201);
      return lines.some(({ isAnswered }) => isAnswered);
    }, "one of the two to lose its room");
    assert.deepEqual(await Promise.race(lines.map(({ answered }) => answered)), [408, "too_slow"]);
  } finally {
    for (const line of lines) line.close();
  }
});

test("sixteen slow senders of one user keep no other user waiting", async () => {
  const attacker = await bench.supabase.createUser();
  const lines = Array.from({ length: 16 }, () => trickle(formOf(attacker, MIB)));
  try {
    await areRead();
    for (let count = 0; count < 5; count += 1) {
      const { status } = await upload(victim);
      assert.equal(status, 201);
    }
  } finally {
    for (const line of lines) line.close();
  }
});

test("what the queue brings does not wait for slow senders", async () => {
  const imageId = randomUUID();
  const staged = await bench.worker.staged();
  const form = new FormData();
  form.append("request", JSON.stringify(fields({ slug: randomUUID(), imageId })));
  form.append("image", file(pngOf(MIB)));
  const packed = new Response(form);
  await staged.put(`staged/${imageId}`, await packed.arrayBuffer(), {
    httpMetadata: { contentType: packed.headers.get("content-type") },
    customMetadata: { owner: victim.id, storagePath: "" },
  });
  const attackers = await Promise.all(Array.from({ length: 4 }, () => bench.supabase.createUser()));
  // Nobody waits for their room, so they keep it.
  const lines = attackers.map((attacker, index) => trickle(formOf(attacker, (index === 0 ? 7.5 : 8) * MIB)));
  try {
    // That fits in beside the four, and what is staged would not.
    await areRead();
    await (await bench.worker.deliveries()).send({ imageId });
    await until(async () => (await staged.head(`staged/${imageId}`)) === null, "the image to be delivered");
    assert.deepEqual(
      lines.map(({ isAnswered }) => isAnswered),
      [false, false, false, false],
    );
  } finally {
    for (const line of lines) line.close();
  }
});

/** Requests that are refused before their body is looked at. */
const refusals = {
  "a foreign origin": [403, ["POST /api/sync HTTP/1.1", "Origin: https://evil.example"]],
  "an unknown path": [404, ["POST /api/nothing HTTP/1.1"]],
  "another method": [405, ["POST /api/health HTTP/1.1"]],
  "no token": [401, ["POST /api/sync HTTP/1.1"]],
  "another type": [
    415,
    () => ["POST /api/sync HTTP/1.1", `Authorization: Bearer ${victim.accessToken}`, "Content-Type: text/plain"],
  ],
  "a ticket that is none": [
    403,
    () => ["POST /api/tickets/none/commit HTTP/1.1", `Authorization: Bearer ${victim.accessToken}`],
  ],
  "too long a JSON": [
    413,
    () => [
      "POST /api/tickets HTTP/1.1",
      `Authorization: Bearer ${victim.accessToken}`,
      "Content-Type: application/json",
    ],
  ],
};
for (const [name, [status, make]] of Object.entries(refusals)) {
  const lines = () => (typeof make === "function" ? make() : make);

  test(`who is refused for ${name} is told so, on a line that stays open`, async () => {
    const size = 700_000;
    assert.deepEqual(await exchange(bench.url, [...lines(), `Content-Length: ${size}`], "x".repeat(size)), [
      status,
      200,
    ]);
  });
}

test("who is refused holds no line by sending slowly", async () => {
  const all = Object.entries(refusals).map(([name, [status, make]]) => {
    const lines = typeof make === "function" ? make() : make;
    return { name, status, line: trickle([...lines, "Content-Length: 900000"]) };
  });
  for (const { name, status, line } of all) assert.equal((await line.answered)[0], status, name);
});

test("eight refused bodies are taken at once, and a further one is answered right away", async () => {
  const refused = () => trickle([...refusals["no token"][1], "Content-Length: 900000"]);
  await until(async () => {
    const lines = Array.from({ length: 8 }, refused);
    const further = refused();
    await further.answered;
    const held = lines.filter(({ isAnswered }) => !isAnswered);
    await Promise.all(lines.map(({ answered }) => answered));
    return held.length > 0;
  }, "a further one to be answered before the first eight");
});

test("a chunk of each byte is read as if it had come in larger pieces, whether it is kept or not", async () => {
  const worker = await startWorker({
    bindings: {},
    log() {},
    source: `
      import { discardBody, readBody } from "../body";
      let reads = 0;
      for (const name of ["read", "readAtLeast"]) {
        const real = ReadableStreamBYOBReader.prototype[name];
        ReadableStreamBYOBReader.prototype[name] = function (...given) {
          reads += 1;
          return real.apply(this, given);
        };
      }
      export default {
        async fetch(request) {
          reads = 0;
          const isKept = request.url.endsWith("/kept");
          const body = isKept ? await readBody(request, { bytes: 1e6, ms: 60_000 }) : await discardBody(request);
          return Response.json({ reads, bytes: body?.length });
        },
      };`,
  });
  try {
    const bytes = Buffer.alloc(20_000, "x");
    for (const path of ["/kept", "/discarded"]) {
      const told = await inChunks(`${worker.url}${path}`, bytes, 1);
      assert.equal(told.bytes, path === "/kept" ? bytes.length : undefined);
      assert.ok(told.reads > 0 && told.reads <= bytes.length / 4_096 + 3, `${told.reads} reads`);
    }
  } finally {
    await worker.close();
  }
});

/** Posts it in chunks of so many bytes, all of which have come when the first one is read. Resolves to the JSON of the answer. */
function inChunks(url, bytes, size) {
  const { hostname, port, pathname } = new URL(url);
  const chunks = [];
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size);
    chunks.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  const head = headOf([`POST ${pathname} HTTP/1.1`, "Connection: close", "Transfer-Encoding: chunked"]);
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(Number(port), hostname);
    socket.write(Buffer.concat([Buffer.from(head), ...chunks, Buffer.from("0\r\n\r\n")]));
    socket.setEncoding("utf8");
    socket.on("data", (data) => {
      text += data;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1))));
  });
}
