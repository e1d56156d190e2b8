/**
 * A slow line: passes connections on to a server, with so many bytes a second towards it for all of them together.
 *
 *   const line = await startSlowLine({ target: supabase.url, bytesPerSecond: 2_000_000 });
 *   … requests to line.url …
 *   line.stall(true);   // from now on nothing gets through, and no connection breaks
 *   await line.close();
 *
 * Answers come back at full speed.
 */
import { connect, createServer } from "node:net";

const TICK_MS = 20;

/** Starts the line on a free port of 127.0.0.1. */
export async function startSlowLine({ target, bytesPerSecond }) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  let isStalled = false;
  let freeAt = 0;
  let passed = 0;

  /** How long the line is still busy with what it has taken, in ms. */
  const take = (bytes) => {
    passed += bytes;
    freeAt = Math.max(freeAt, performance.now()) + (bytes / bytesPerSecond) * 1000;
    return freeAt - performance.now();
  };

  async function carry(from, to) {
    for await (const chunk of from) {
      // A socket gives 64 KiB at a time: small steps at these speeds.
      await sleep(take(chunk.length));
      while (isStalled) await sleep(TICK_MS);
      if (to.destroyed) return;
      to.write(chunk);
    }
    to.end();
  }

  const server = createServer({ highWaterMark: 16 * 1024 }, (client) => {
    const upstream = connect(Number(port), hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    carry(client, upstream).catch(() => upstream.destroy());
    upstream.pipe(client);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Bytes that have gone to the server. */
    passed: () => passed,
    stall(is) {
      isStalled = is;
    },
    async close() {
      isStalled = false;
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
