// WebKitGTK, Safari's engine, as it is installed: its own MiniBrowser, driven by WebKitWebDriver. (Playwright and Puppeteer
// drive only builds of their own.) What a context stores lasts as long as its session, so reloads and several tabs can be
// tested, and a killed browser can't.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Builder, By, Capabilities } from "selenium-webdriver";
import { freePort } from "./port.mjs";
import { until } from "./until.mjs";

const driverPath = process.env.WEBKIT_DRIVER ?? "/usr/bin/WebKitWebDriver";
const browserPath =
  process.env.WEBKIT ??
  `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/webkit2gtk-4.1/MiniBrowser`;

/** How long a program has to start. */
const PATIENCE_MS = 60_000;

/** A browser whose contexts share nothing, with as much of Playwright's manners as `openTab` and the journey ask for. */
export async function startWebkit() {
  const screen = await startScreen();
  const contexts = new Set();
  return {
    async newContext() {
      const context = await newContext(screen.display);
      contexts.add(context);
      return context;
    },
    async close() {
      await Promise.all([...contexts].map((context) => context.close()));
      await screen.close();
    },
  };
}

/** A screen that nobody sees. */
async function startScreen() {
  const args = ["-displayfd", "3", "-screen", "0", "1280x900x24", "-nolisten", "tcp"];
  const { end, child } = start("Xvfb", args, {}, ["ignore", "ignore", "ignore", "pipe"]);
  const [number] = await once(createInterface(child.stdio[3]), "line");
  return { display: `:${number}`, close: end };
}

/** A session: a browser process with storage of its own, and a driver that has no other session. */
async function newContext(display) {
  const port = await freePort();
  // As root the engine's sandbox does not start.
  const env = { DISPLAY: display, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1", NO_AT_BRIDGE: "1" };
  const { end } = start(driverPath, [`--port=${port}`], env, "ignore");
  const server = `http://127.0.0.1:${port}`;
  try {
    const isUp = () =>
      fetch(`${server}/status`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(isUp, "WebKit's driver", PATIENCE_MS);
    const driver = await new Builder().usingServer(server).withCapabilities(capabilities()).build();
    const turns = inTurn();
    const [first] = await driver.getAllWindowHandles();
    return {
      // The first tab stays as it is: with the last one the session would end, and all that is stored.
      async newPage() {
        const handle = await turns(async () => {
          await driver.switchTo().window(first);
          await driver.switchTo().newWindow("tab");
          return driver.getWindowHandle();
        });
        return pageOf(driver, turns, handle);
      },
      async close() {
        await turns(() => driver.quit()).catch(() => {});
        await end();
      },
    };
  } catch (cause) {
    await end();
    throw new Error("WebKit does not start", { cause });
  }
}

function capabilities() {
  return new Capabilities({
    browserName: "MiniBrowser",
    "webkitgtk:browserOptions": { binary: browserPath, args: ["--automation"] },
  });
}

/** One tab. The driver has one current tab: every command says first which one it means, and no two commands mix. */
function pageOf(driver, turns, handle) {
  const inTab = (command) =>
    turns(async () => {
      await driver.switchTo().window(handle);
      return command();
    });
  const page = {
    goto: (url) => inTab(() => driver.get(url)),
    reload: () => inTab(() => driver.navigate().refresh()),
    close: () => inTab(() => driver.close()),
    screenshot: async ({ path } = {}) => {
      const png = Buffer.from(await inTab(() => driver.takeScreenshot()), "base64");
      if (path) await writeFile(path, png);
      return png;
    },
    setViewport: ({ width, height }) => inTab(() => driver.manage().window().setRect({ width, height })),
    /** Runs a function in the page, with one argument that JSON can hold. Other tabs' commands run meanwhile. */
    async evaluate(run, argument) {
      const key = await inTab(() => driver.executeScript(begin(run), argument ?? null, argument === undefined));
      const ended = await until(
        () => inTab(() => driver.executeScript(END, key)),
        "an answer of WebKit's page",
        120_000,
      );
      if ("error" in ended) throw new Error(ended.error);
      return ended.value === null && ended.isUndefined ? undefined : ended.value;
    },
    /** Picks a file as a user does. */
    pickFile: (selector, file) => inTab(() => driver.findElement(By.css(selector)).sendKeys(file)),
    waitForFunction: (test) => until(() => page.evaluate(`() => Boolean((${test})())`), String(test)),
    locator: (selector) => ({
      click: () => page.evaluate(CLICK, selector),
      fill: (text) => page.evaluate(FILL, [selector, text]),
    }),
  };
  return page;
}

// As a script's own text: a page's policy may forbid to evaluate any.
const begin = (run) => `
  const [argument, isLeftOut] = arguments;
  const key = String(Math.random());
  const known = (window.webkitResults ??= new Map());
  known.set(key, undefined);
  (async () => (${run})(isLeftOut ? undefined : argument))().then(
    (value) => known.set(key, { value: value ?? null, isUndefined: value === undefined }),
    (error) => known.set(key, { error: String(error?.stack ? error + "\\n" + error.stack : error) }),
  );
  return key;`;
const END = `
  const known = window.webkitResults;
  if (known === undefined || !known.has(arguments[0])) return { error: "the page went away meanwhile" };
  const ended = known.get(arguments[0]);
  if (ended !== undefined) known.delete(arguments[0]);
  return ended ?? null;`;

/** An element's own click, wherever it lies: WebKit's driver clicks by coordinates that a second tab gets wrong. */
const CLICK = async (selector) => {
  const visible = () => document.querySelector(selector)?.checkVisibility();
  while (!visible()) await new Promise((resolve) => setTimeout(resolve, 20));
  document.querySelector(selector).click();
};

const FILL = async ([selector, text]) => {
  const visible = () => document.querySelector(selector)?.checkVisibility();
  while (!visible()) await new Promise((resolve) => setTimeout(resolve, 20));
  const field = document.querySelector(selector);
  field.focus();
  field.value = text;
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
};

/** Runs one piece of work after the other. */
function inTurn() {
  let last = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}

/** A program in a process group of its own, that ends with this process at the latest. */
function start(program, args, env, stdio) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, detached: true, stdio });
  const ended = once(child, "exit");
  const kill = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // it is gone already
    }
  };
  process.once("exit", kill);
  const end = async () => {
    process.removeListener("exit", kill);
    kill();
    await ended;
  };
  return { child, end };
}
