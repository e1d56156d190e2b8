// Looks whether a project is set up for this package, from outside, as its users come to it. What it tries out it removes.
import { failed } from "../errors.js";
import { within } from "../within.js";
import { readAddress } from "./address.js";
import { checkCors } from "./cors.js";
import {
  askForTable,
  checkColumns,
  checkOrphans,
  checkOthersRows,
  checkOwnRows,
  isRefused,
  judgeTable,
} from "./database.js";
import { claimsOf, faultOf, kindOf, since, span } from "./keys.js";
import { checkPage, checkThisPage } from "./page.js";
import { LIMIT_MS, NoAnswer, Project } from "./project.js";
import { Report } from "./report.js";
import { checkBucket, checkOthersFolder, checkOwnObjects, checkPrivate, checkServersObject } from "./storage.js";

/** PostgREST takes tokens of a clock that is so much ahead. */
const MAX_SKEW_MS = 30_000;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TEXTS = ["url", "apiKey", "secretKey", "bucket", "schema", "table", "origin", "page", "wasm"];
const DEFAULTS = { bucket: "imagen-generated", schema: "imagen", table: "images", largestImage: 50_000_000 };

/** @param {import("../index.d.ts").ProjectOptions} options @returns {Promise<import("../index.d.ts").ProjectReport>} */
export async function checkProject(options) {
  const settings = readOptions(options);
  const report = new Report();
  const visit = new Visit(settings, report);
  const why = await visit.run();
  return report.result(why);
}

class Visit {
  constructor(settings, report) {
    this.settings = settings;
    this.report = report;
  }

  /** @returns {Promise<string>} why what was not looked at was not */
  async run() {
    const { settings, report } = this;
    for (const secret of [settings.apiKey, settings.secretKey]) report.hide(secret);
    const url = this.#readAddress();
    if (!url) return "not checked: the address is wrong";
    if (!this.#readKeys(url)) return "not checked: the key is wrong";
    this.project = new Project({ ...settings, url });
    const looked = this.#look();
    await looked.catch(() => undefined);
    const isAllGone = await this.#tidyUp();
    // What is left is told also to who has stopped it.
    return isAllGone || !settings.signal?.aborted ? looked : "not checked: it was stopped";
  }

  async #look() {
    const { settings, report } = this;
    if (!(await this.#meet())) return "not checked: the project does not answer as it should";
    await this.#step("page-policy", () => this.#page());
    if (settings.origin && !settings.inBrowser)
      await this.#step("cors", () => checkCors(this.project, settings, report));
    const user = await this.#step("token", () => this.#readToken());
    if (!report.isWrong("schema") && !report.isWrong("table")) await this.#step("table", () => this.#table(user));
    await this.#step("bucket", () => this.#objects(user));
    this.#clock();
    return this.#reason(user);
  }

  #readAddress() {
    const { url, fault } = readAddress(this.settings.url);
    if (fault) this.report.wrong("address", ...fault);
    return url;
  }

  #readKeys(url) {
    const { report, settings } = this;
    const fault =
      faultOf(settings.apiKey, url) ??
      (settings.secretKey === undefined ? undefined : faultOf(settings.secretKey, url));
    if (fault) {
      report.wrong("key-kind", ...fault);
      return false;
    }
    const kind = kindOf(settings.apiKey);
    const forPage = settings.inBrowser || settings.origin || settings.page;
    if ((forPage && kind === "secret") || (settings.inBrowser && settings.secretKey)) {
      const remedy =
        "Give a page the publishable key (sb_publishable_…, or the old anon), and the signed-in user's token. If this one was in a page already, make a new one.";
      report.wrong("key-kind", "this is a secret key, and whoever opens the page could read it", remedy);
      // It is not sent from here either.
      if (settings.inBrowser) return false;
    } else report.ok("key-kind", kind === "unknown" ? "the key is of no known kind" : `the key is a ${kind} one`);
    if (kind === "secret") settings.secretKey ??= settings.apiKey;
    return true;
  }

  /** The first request: says whether a project answers, and knows the key, and has the table. */
  async #meet() {
    const { project, report, settings } = this;
    let answer;
    try {
      answer = await askForTable(project, settings, "key");
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      await this.#noAnswer(error);
      return false;
    }
    if (answer.status === 540) {
      report.wrong("address", `the project of ${project.base} is paused`, "Restore it in the dashboard.");
      return false;
    }
    if (answer.status === 402) {
      const remedy = "In the dashboard, look at the organization's usage and billing.";
      report.refused("address", answer, "Supabase restricts the project", remedy);
      return false;
    }
    if (!isSupabase(answer) && answer.status >= 500) {
      report.refused("address", answer, "what answers there can't do it now");
      return false;
    }
    if (!isSupabase(answer)) {
      const remedy = "Is it the project's, and not the app's? Is there a proxy or a captive portal in the way?";
      report.refused("address", answer, "what answers there is no Supabase", remedy);
      return false;
    }
    report.ok("address", `${project.base} answers`);
    if (settings.inBrowser) report.ok("cors", "this page may ask it");
    if (isRefused(answer)) {
      const remedy =
        "Take address and key from the same project: dashboard, Settings, API Keys. Was the key disabled or made anew?";
      report.refused("key", answer, "the project refuses the key", remedy);
      return false;
    }
    report.ok("key", "the project knows the key");
    judgeTable(answer, settings, report);
    return true;
  }

  /** A page is not told why. What asks for no leave gets through where only the leave is missing. */
  async #noAnswer({ message }) {
    const { project, report, settings } = this;
    const isOpaque =
      settings.inBrowser &&
      (await settings.fetch(project.base, { mode: "no-cors" }).then(
        () => true,
        () => false,
      ));
    if (isOpaque) {
      report.ok("address", `${project.base} answers`);
      report.wrong(
        "cors",
        "the server does not let this page ask it",
        "Let the gateway answer preflights, and send Access-Control-Allow-Origin with every answer.",
      );
      return;
    }
    const remedy =
      "Is it spelled right? Is the project paused? Can this machine reach it? In a page: does its policy's connect-src name it?";
    report.wrong("address", `${project.base} gives no answer: ${message}`, remedy);
  }

  async #page() {
    const { project, report, settings } = this;
    if (settings.page) return checkPage(project, settings, report);
    if (settings.inBrowser) await checkThisPage(report);
    for (const name of ["page-policy", "page-wasm"]) report.unchecked(name, "not checked: needs a page's address");
    if (!settings.origin) report.unchecked("cors", "not checked: needs the origin of your pages");
  }

  /** @returns the user's id, if there is a token that is good */
  async #readToken() {
    const { project, report, settings } = this;
    if (settings.accessToken === undefined) return undefined;
    const { accessToken } = settings;
    const ask = async () => (typeof accessToken === "function" ? accessToken() : accessToken);
    const given = await unlessStopped(settings.signal, within(LIMIT_MS, ask())).catch(() => "");
    settings.signal?.throwIfAborted();
    const token = String(given ?? "")
      .trim()
      .replace(/^bearer\s+/i, "");
    report.hide(token);
    const claims = claimsOf(token);
    const anew = "Sign in again, and give the session's access_token.";
    const fault = faultOfToken(token, claims);
    if (fault) return report.wrong("token", fault, anew);
    project.token = token;
    // A token is of the past. How long ago it was made is not known, so that better signs go before this one.
    const ahead = claims.iat * 1000 - Date.now();
    if (ahead > MAX_SKEW_MS) this.tokenSkewMs = ahead;
    const answer = await askForTable(project, settings, "user");
    if (isRefused(answer)) {
      project.token = undefined;
      return report.refused("token", answer, "the project refuses the user's token", `Is it this project's? ${anew}`);
    }
    report.ok("token", "the project knows the user");
    return claims.sub.toLowerCase();
  }

  async #table(user) {
    const { project, report, settings } = this;
    const who = project.secretKey ? "server" : user && "user";
    if (!who) {
      report.ok("table", `the table ${settings.schema}.${settings.table} is there`);
      return report.unchecked("columns", "not checked: needs a user's token or the secret key");
    }
    await checkColumns(project, settings, report, who);
    if (report.isWrong("table")) return;
    await checkOrphans(project, settings, report, user ? "user" : "server");
    if (!user || report.isWrong("columns")) return;
    await checkOwnRows(project, settings, report, user);
    await checkOthersRows(project, settings, report, user);
  }

  async #objects(user) {
    const { project, report, settings } = this;
    const who = project.secretKey ? "server" : user && "user";
    if (!who) return checkPrivate(project, settings, report);
    const isThere = await checkBucket(project, settings, report, who, user ?? "imagen-cloud-doctor");
    if (!isThere) return;
    if (user) {
      await checkOwnObjects(project, settings, report, user);
      await checkOthersFolder(project, settings, report);
      const hasTable = !["schema", "table", "columns"].some((name) => report.isWrong(name));
      if (project.secretKey && hasTable) await checkServersObject(project, settings, report, user);
      report.ok("objects-others", "the user may not touch another's objects");
    }
    await checkPrivate(project, settings, report);
  }

  async #tidyUp() {
    const left = await this.project.tidyUp();
    for (const name of left) {
      const check = name.includes("/") ? "objects-remove" : "rows-remove";
      this.report.wrong(check, `${name}, tried out, may still be there`, "Delete it, or look again.");
    }
    return left.length === 0;
  }

  #clock() {
    const { report } = this;
    const ahead = this.project.skewMs ?? this.tokenSkewMs;
    if (ahead === undefined) return;
    const skew = Math.abs(ahead);
    if (skew <= MAX_SKEW_MS) return report.ok("clock", "this machine's clock is the project's");
    const how = ahead > 0 ? "behind" : "ahead of";
    const remedy = "Set it by a time server. Tokens are refused too early or too late, and retries wait too long.";
    report.wrong("clock", `this machine's clock is ${span(skew)} ${how} the project's`, remedy);
  }

  #reason(user) {
    if (!user) return "not checked: needs a user's token";
    return this.project.secretKey ? "not checked" : "not checked: needs the secret key too, on a server";
  }

  /** @returns what `run` gives, or nothing where an answer lacks: that is a finding, too */
  async #step(name, run) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.report.wrong(name, `no answer: ${error.message}`, "Look again. Is the network all right?");
      return undefined;
    }
  }
}

/** What comes of waiting, or the caller's stop. */
async function unlessStopped(signal, waiting) {
  if (!signal) return waiting;
  let stop;
  const stopped = new Promise((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
  });
  return Promise.race([waiting, stopped]).finally(() => signal.removeEventListener("abort", stop));
}

/** PostgREST, or the gateway before it: an array, or an object that says what is wrong. */
function isSupabase({ ok, json, status, code }) {
  if (ok) return Array.isArray(json);
  const hasMessage = typeof json?.message === "string";
  return hasMessage && (status === 401 || status === 403 || /^(?:PGRST\d+|[0-9A-Z]{5})$/.test(code ?? ""));
}

function faultOfToken(token, claims) {
  if (token === "") return "nobody is signed in: there is no token";
  if (kindOf(token) === "secret") return "a secret key was given as the user's token";
  if (!claims) return "what was given as the user's token is none";
  if (kindOf(token) !== "user") return "the token is not a signed-in user's";
  if (!UUID.test(claims.sub)) return "the token names no user";
  if (claims.exp * 1000 < Date.now()) return `the user's token expired ${since(claims.exp)}`;
  return undefined;
}

function readOptions(options) {
  const wrong = (field, problem) => failed("config", "invalid_config", `${field} ${problem}`, { field });
  if (typeof options !== "object" || options === null) throw wrong("options", "must be an object");
  const settings = { ...DEFAULTS, fetch: globalThis.fetch.bind(globalThis), inBrowser: isBrowser() };
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const isText = TEXTS.includes(name);
    const isKnown = isText || ["accessToken", "largestImage", "fetch", "signal"].includes(name);
    if (!isKnown) throw wrong(name, "is no option of checkProject");
    if (isText && typeof value !== "string") throw wrong(name, "must be a text");
    settings[name] = value;
  }
  for (const name of ["url", "apiKey"]) if (settings[name] === undefined) throw wrong(name, "is missing");
  for (const name of ["origin", "page"]) if (settings[name]) settings[name] = readPage(settings[name], name, wrong);
  if (settings.origin) settings.origin = new URL(settings.origin).origin;
  else if (settings.page) settings.origin = new URL(settings.page).origin;
  // It may be told from the page on.
  if (settings.wasm) readPage(settings.wasm, "wasm", wrong, settings.page);
  if (!Number.isSafeInteger(settings.largestImage) || settings.largestImage < 1)
    throw wrong("largestImage", "must be a number of bytes");
  return settings;
}

function readPage(text, name, wrong, base) {
  try {
    const { href, protocol } = new URL(text, base);
    if (/^https?:$/.test(protocol)) return href;
  } catch {
    // said below
  }
  throw wrong(name, "must be an address, with https://");
}

/** As the package's own guard against secret keys sees it. */
function isBrowser() {
  const { process, Deno, Bun, document, navigator, WorkerGlobalScope } = globalThis;
  const onServer =
    process?.versions?.node || Deno?.version || Bun?.version || navigator?.userAgent === "Cloudflare-Workers";
  return !onServer && (typeof document === "object" || typeof WorkerGlobalScope === "function");
}
