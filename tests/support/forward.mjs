// What the proxies here have in common: a request goes on to a server, and its answer comes back whole.
import { request as overHttp } from "node:http";
import { request as overHttps } from "node:https";

/** Belong to one connection, not to the message. */
const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "te", "trailer"];

/**
 * Sends a request on and collects the answer; rejects when there is none.
 * @param {string} target Of the server.
 * @param {{ method: string, target: string, headers: import("node:http").IncomingHttpHeaders }} request
 * @param {Buffer} body
 * @param {{ more?: Record<string, string>, cut?: () => Promise<void> }} [settings] `more` headers; `cut` breaks the
 *   request off in the middle of its body, when it has resolved
 * @returns {Promise<{ status: number, headers: object, body: Buffer }>}
 */
export function forward(target, { method, target: path, headers }, body, { more, cut } = {}) {
  return new Promise((resolve, reject) => {
    const send = new URL(target).protocol === "https:" ? overHttps : overHttp;
    const upstream = send(new URL(path, target), {
      method,
      agent: false,
      headers: { ...endToEnd(headers), "content-length": body.length, ...more },
    });
    upstream.on("error", reject);
    upstream.on("response", async (response) => {
      try {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({ status: response.statusCode, headers: endToEnd(response.headers), body: Buffer.concat(chunks) });
      } catch (error) {
        reject(error);
      }
    });
    if (cut) {
      upstream.flushHeaders();
      upstream.write(body.subarray(0, body.length >> 1), () => cut().finally(() => upstream.destroy()));
      upstream.on("close", () => reject(new Error("broken off")));
    } else {
      upstream.end(body);
    }
  });
}

function endToEnd(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}
