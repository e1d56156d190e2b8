// A port for a program that can't be told to take any free one.
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Those below the ones that Linux gives to whoever asks for any, and to connections: until the program has it nobody takes it. */
const [FIRST, END] = [20_000, 32_768];

/** A port of 127.0.0.1 that nobody has just now. @returns {Promise<number>} */
export async function freePort() {
  for (;;) {
    const server = createServer().listen(randomInt(FIRST, END), "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (error) {
      if (error.code === "EADDRINUSE") continue;
      throw error;
    }
    const { port } = server.address();
    await new Promise((closed) => server.close(closed));
    return port;
  }
}
