// A proxy in front of any project, hosted or not: it loses what it is told to lose, and can bend what goes through.
import { createServer } from "node:http";
import { forward } from "../support/forward.mjs";

/**
 * @param {string} target the project's URL
 * @param {{ request?: (request: { method: string, target: string, headers: object, body: Buffer }) => void,
 *   answer?: (answer: { status: number, headers: object, body: Buffer }, request: object) => void }} [bend] changes what
 *   passes, in place
 */
export async function startProxy(target, bend = {}) {
  const faults = [];
  let isOffline = false;
  const { host, pathname } = new URL(target);
  const base = pathname.replace(/\/$/, "");

  async function handle(incoming, outgoing) {
    outgoing.on("error", () => {});
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    if (isOffline) return outgoing.destroy();
    const headers = { ...incoming.headers, host };
    const request = { method: incoming.method, target: `${base}${incoming.url}`, headers, body: Buffer.concat(chunks) };
    const fault = faults.find(
      (one) => one.left > 0 && one.method === request.method && request.target.includes(one.path),
    );
    if (fault) fault.left -= 1;
    bend.request?.(request);
    // A body that ends in its midst, then the connection.
    const cut = fault?.how === "cut" ? async () => {} : undefined;
    const answer = await forward(target, request, request.body, { cut }).catch(() => undefined);
    if (!answer || fault) return outgoing.destroy();
    bend.answer?.(answer, request);
    const { "content-length": _, ...kept } = answer.headers;
    outgoing.writeHead(answer.status, kept).end(request.method === "HEAD" ? undefined : answer.body);
  }

  const server = createServer((incoming, outgoing) => handle(incoming, outgoing).catch(() => outgoing.destroy()));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** The next request of that kind is cut in its midst, or done and its answer lost. */
    lose: (method, path, how = "answer") => faults.push({ method, path, how, left: 1 }),
    /** Whether all that was to be lost was. */
    lostAll: () => faults.every(({ left }) => left === 0),
    offline(is) {
      isOffline = is;
      if (is) server.closeAllConnections();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
