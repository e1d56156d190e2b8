// Chromium for a test: one to share, or one with a real profile folder that can be killed and comes back.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { until } from "./until.mjs";
import { waitFor } from "./waiting.mjs";

const run = promisify(execFile);

const executablePath = process.env.CHROME ?? "/usr/bin/chromium";
const ARGS = [
  "--no-sandbox",
  "--disable-dev-shm-usage",
  "--disable-gpu",
  "--headless=new",
  "--enable-logging=stderr",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
  "--disable-breakpad",
  "--disable-component-update",
  "--disable-sync",
  "--force-color-profile=srgb",
  "--hide-scrollbars",
  "--password-store=basic",
  "--use-mock-keychain",
];

/** A browser whose contexts share nothing; its profile is gone when it is closed. */
export async function startBrowser() {
  const profile = await createProfile();
  const { browser, kill } = await startOnProfile(profile.folder);
  const close = () => kill().then(profile.remove);
  return Object.assign(browser, { close });
}

/** A new, empty profile folder. */
export async function createProfile() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "imagen-profile-"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true, maxRetries: 10 }) };
}

/**
 * A browser process on a profile folder.
 * @param {string} folder
 * @returns {Promise<{ browser: import("playwright-core").Browser, context: import("playwright-core").BrowserContext,
 *   kill: () => Promise<void>, log: () => string }>} `kill` ends the browser and all its processes at once, without a
 *   word: SIGKILL to the whole group; `log` is what the browser said to its standard error
 */
export async function startOnProfile(folder) {
  const args = [...ARGS, "--remote-debugging-pipe", `--user-data-dir=${folder}`, "about:blank"];
  const child = spawn("sh", ["-c", UNTIL_STDIN_ENDS, "sh", executablePath, ...args], {
    detached: true,
    stdio: ["pipe", "ignore", "pipe", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  const log = () => said;
  const kill = async () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // it is gone already
    }
    await waitFor("the killed browser's process to exit", ended);
    await until(() => isGone(child.pid), "the end of the killed browser");
  };
  try {
    const browser = await waitFor("Chromium to start", chromium.connectOverCDP(overPipes(child)));
    return { browser, context: browser.contexts()[0], kill, log };
  } catch (cause) {
    await kill();
    throw new Error(`Chromium does not start: ${said}`, { cause });
  }
}

const QUICKER = { "Network.enable": { maxPostDataSize: 1 }, "Page.captureScreenshot": { optimizeForSpeed: true } };

/**
 * The DevTools protocol on Chromium's file descriptors 3 and 4, each message ended by a NUL. Chromium is kept from telling
 * the body of every request that a page makes: images as text took more time than everything that the tests are about. And it
 * is kept from packing screenshots as tightly as it can.
 */
function overPipes({ stdio: [, , , to, from] }) {
  const transport = {
    send(message) {
      const params = { ...message.params, ...QUICKER[message.method] };
      to.write(`${JSON.stringify({ ...message, params })}\0`);
    },
    close: () => to.end(),
  };
  /** The beginning of a message. */
  let rest = [];
  from.on("data", (bytes) => {
    let start = 0;
    for (let end = bytes.indexOf(0); end !== -1; end = bytes.indexOf(0, start)) {
      const message = JSON.parse(Buffer.concat([...rest, bytes.subarray(start, end)]).toString());
      rest = [];
      start = end + 1;
      setImmediate(() => transport.onmessage?.(message));
    }
    rest.push(bytes.subarray(start));
  });
  from.on("close", () => transport.onclose?.());
  for (const pipe of [to, from]) pipe.on("error", () => {});
  return transport;
}

// Ends the whole group with the test that started it, however that ends: a killed process closes its pipes.
const UNTIL_STDIN_ENDS = `
exec 5<&0
{ "$@" </dev/null 5<&-; kill -KILL 0; } &
exec 3<&- 4>&-
read -r _ <&5
kill -KILL 0`;

/**
 * Whether no process of a group is left that could hold a file of the profile. A killed process is still there for a
 * moment, and a zombie (Z) with threads (l) too.
 */
async function isGone(group) {
  const { stdout } = await run("ps", ["-A", "-o", "pgid=,stat="]);
  const left = stdout.split("\n").map((line) => line.trim().split(/\s+/));
  return !left.some(([pgid, stat]) => Number(pgid) === group && (!stat.startsWith("Z") || stat.includes("l")));
}
