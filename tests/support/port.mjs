// A port for a program that can't be told to take any free one.
import { once } from "node:events";
import { createServer } from "node:net";

/** A port of 127.0.0.1 that nobody has just now. @returns {Promise<number>} */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}
