// The thread that embedded Supabases live in: what embedded.mjs asks for, done by name, answered on the asker's own port.
import { parentPort } from "node:worker_threads";
import { runScript } from "../../supabase/database.mjs";
import { startLocal } from "../../supabase/local.mjs";

const running = new Map();

const methods = {
  async start(options) {
    const { connection, close, ...local } = await startLocal(options);
    running.set(local.url, { connection, close });
    return local;
  },
  async sql(url, text, parameters) {
    const { driver } = running.get(url).connection;
    const rows = driver.exec ? (await driver.query(text, parameters)).rows : await driver.unsafe(text, parameters);
    return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])));
  },
  script: (url, text) => runScript(running.get(url).connection, text),
  async close(url) {
    const { close } = running.get(url);
    running.delete(url);
    await close();
  },
};

/** Digits that a number would lose have no copy: they go as text. */
const plain = (value) => (JSON.isRawJSON(value) ? value.rawJSON : value);

parentPort.on("message", async ({ port, method, args }) => {
  try {
    port.postMessage({ value: await methods[method](...args) });
  } catch (error) {
    // A copy of an error is without its own properties, as PostgreSQL's code.
    port.postMessage({ error, properties: { ...error } });
  }
  port.close();
});
