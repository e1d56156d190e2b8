/**
 * A slow line: passes connections on to a server, with so many bytes a second towards it for all of them together.
 *
 *   const line = await startSlowLine({ target: supabase.url, bytesPerSecond: 2_000_000 });
 *   … requests to line.url …
 *   await line.close();
 *
 * Or one that waits for the test: `startSlowLine({ target })` lets as many bytes through as it was granted.
 *
 *   line.grant(1_000_000);   // so many more get through, and no connection breaks meanwhile
 *
 * Answers come back at full speed.
 */
import { connect, createServer } from "node:net";

/** Starts the line on a free port of 127.0.0.1. */
export async function startSlowLine({ target, bytesPerSecond }) {
  const isPaced = bytesPerSecond !== undefined;
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  let granted = isPaced ? Number.POSITIVE_INFINITY : 0;
  let more = Promise.withResolvers();
  let freeAt = 0;

  /** How long the line is still busy with what it has taken, in ms. */
  const take = (bytes) => {
    if (!isPaced) return 0;
    freeAt = Math.max(freeAt, performance.now()) + (bytes / bytesPerSecond) * 1000;
    return freeAt - performance.now();
  };

  const grant = (bytes) => {
    granted += bytes;
    more.resolve();
    more = Promise.withResolvers();
  };

  async function carry(from, to) {
    for await (const chunk of from) {
      while (granted < chunk.length) await more.promise;
      granted -= chunk.length;
      // A socket gives 64 KiB at a time: small steps at these speeds.
      await sleep(take(chunk.length));
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
    grant,
    async close() {
      grant(Number.POSITIVE_INFINITY);
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
