// Chromium for a test: one to share, or one with a real profile folder that can be killed and comes back.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { until } from "./until.mjs";

const run = promisify(execFile);

const executablePath = process.env.CHROME ?? "/usr/bin/chromium";
const ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];

/** A browser whose contexts share nothing. */
export function startBrowser() {
  return chromium.launch({ executablePath, args: ARGS });
}

/** A new, empty profile folder. */
export async function createProfile() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "imagen-profile-"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true, maxRetries: 10 }) };
}

/**
 * A browser process on a profile folder.
 * @param {string} folder
 * @returns {Promise<{ context: import("playwright-core").BrowserContext, kill: () => Promise<void>,
 *   log: () => string }>} `kill` ends the browser and all its processes at once, without a word: SIGKILL to the whole
 *   group; `log` is what the browser said to its standard error
 */
export async function startOnProfile(folder) {
  const child = spawn(
    "sh",
    [
      "-c",
      UNTIL_STDIN_ENDS,
      "sh",
      executablePath,
      ...ARGS,
      "--headless=new",
      "--enable-logging=stderr",
      "--no-first-run",
      "--no-default-browser-check",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--password-store=basic",
      "--use-mock-keychain",
      "--remote-debugging-port=0",
      `--user-data-dir=${folder}`,
      "about:blank",
    ],
    { detached: true, stdio: ["pipe", "ignore", "pipe"] },
  );
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
    await ended;
    await until(() => isGone(child.pid), "the end of the killed browser");
  };
  try {
    const browser = await chromium.connectOverCDP(await debuggerOf(child, log));
    return { context: browser.contexts()[0], kill, log };
  } catch (error) {
    await kill();
    throw error;
  }
}

// Ends the whole group with the test that started it, however that ends: a killed process closes its pipes.
const UNTIL_STDIN_ENDS = `
exec 3<&0
{ "$@" </dev/null 3<&-; kill -KILL 0; } &
read -r _ <&3
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

/** The address of its debugger, which Chromium says as soon as it listens. */
function debuggerOf(child, log) {
  return new Promise((resolve, reject) => {
    child.stderr.on("data", () => {
      const [, url] = /DevTools listening on (ws:\S+)/.exec(log()) ?? [];
      if (url) resolve(url);
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`Chromium ended with ${code ?? signal}:\n${log()}`)));
  });
}
