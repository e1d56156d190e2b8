// A page's address: whether its policy lets the package work, and whether the WebAssembly comes as it should.

import { tableOf } from "./database.js";
import { escaped } from "./project.js";
import { RESUMABLE, target } from "./storage.js";

/** So many scripts of a page are looked through for the WebAssembly's address. */
const MAX_SCRIPTS = 60;

export async function checkPage(project, settings, report) {
  const answer = await project.send(settings.page, { redirect: "follow", headers: { accept: "text/html" } });
  if (!answer.ok) {
    return report.refused(
      "page-policy",
      answer,
      `the page ${shown(settings.page)} does not come`,
      "Is that its address?",
    );
  }
  const page = new URL(settings.page);
  checkPolicy(policiesOf(answer), page, asksOf(project, settings), report);
  const wasm = settings.wasm ? new URL(settings.wasm, page) : await findWasm(project, page, answer.text);
  if (wasm) return checkWasm(project, wasm, report);
  report.unchecked("page-wasm", "not checked: its address stands in no script of the page; give it by wasm");
}

/** In a page itself: whether WebAssembly may be compiled here. */
export async function checkThisPage(report) {
  try {
    await WebAssembly.compile(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
    report.ok("page-policy", "this page may compile WebAssembly");
  } catch {
    report.wrong("page-policy", "this page may not compile WebAssembly", REMEDY);
  }
}

const REMEDY = "Add 'wasm-unsafe-eval' to script-src of the page's Content-Security-Policy.";

/** An address without what may be secret in it. */
const shown = (address) => {
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname}`;
};

/** Every policy of a page, each as its directives: all of them must allow a thing. */
function policiesOf({ headers, text }) {
  const metas = text.match(/<meta[^>]+http-equiv=["']?content-security-policy["']?[^>]*>/gi) ?? [];
  const contents = metas
    .map((meta) => /content=(?:"([^"]*)"|'([^']*)')/i.exec(meta))
    .map((found) => found?.[1] ?? found?.[2]);
  const texts = [...(headers.get("content-security-policy") ?? "").split(","), ...contents];
  return texts
    .filter((policy) => policy?.trim())
    .map((policy) => {
      const directives = policy
        .replaceAll("&#39;", "'")
        .split(";")
        .map((directive) => directive.trim().split(/\s+/));
      // Of two of one name the first counts.
      return new Map(directives.reverse().map(([name, ...sources]) => [name.toLowerCase(), sources]));
    });
}

/** What a page asks of the project, by the directive that is to let it: a source may be about a path alone. */
function asksOf({ base }, settings) {
  const urls = (...paths) => paths.map((path) => new URL(base + path));
  const links = `/storage/v1/object/sign/${escaped(settings.bucket)}`;
  return {
    "connect-src": urls(tableOf(settings), target(settings, "x"), links, RESUMABLE),
    "img-src": urls(`${links}/x`),
  };
}

function checkPolicy(policies, page, asks, report) {
  for (const policy of policies) {
    const of = (name) => policy.get(name) ?? policy.get("default-src");
    const scripts = of("script-src");
    if (scripts && !scripts.some((source) => /^'(?:wasm-)?unsafe-eval'$/i.test(source))) {
      report.wrong("page-policy", "the page's policy keeps WebAssembly from being compiled", REMEDY);
    }
    for (const [name, urls] of Object.entries(asks)) {
      const sources = of(name);
      if (!sources || urls.every((url) => sources.some((source) => allows(source, url, page)))) continue;
      const what = name === "img-src" ? "images of the project from being shown" : "requests from going to the project";
      report.wrong("page-policy", `the page's policy keeps ${what}`, `Add ${urls[0].origin} to its ${name}.`);
    }
  }
  report.ok(
    "page-policy",
    policies.length > 0 ? "the page's policy allows what is needed" : "the page has no policy that forbids anything",
  );
}

/** Whether a source of a policy is about an address. */
function allows(source, url, page) {
  const lower = source.toLowerCase();
  if (lower === "*") return true;
  if (lower === "'self'") return url.origin === page.origin;
  if (/^[a-z][\w+.-]*:$/.test(lower)) return isScheme(lower, url);
  const place = /^(?:[a-z][\w+.-]*:)?(?:\/\/)?[^/]+/i.exec(source)?.[0] ?? "";
  const [, scheme, host, port] = /^([a-z][\w+.-]*:)?(?:\/\/)?([\w*.-]+)(?::(\d+|\*))?$/.exec(place.toLowerCase()) ?? [];
  const path = source.slice(place.length);
  if (!host || (scheme ? !isScheme(scheme, url) : !isScheme(page.protocol, url))) return false;
  const isHost = host.startsWith("*.") ? url.hostname.endsWith(host.slice(1)) : host === "*" || host === url.hostname;
  const own = url.port || (url.protocol === "https:" ? "443" : "80");
  const standard = own === "443" || own === "80";
  return isHost && (port === undefined ? standard : port === "*" || port === own) && isUnder(path, url);
}

/** A path is about itself alone, and with a slash at its end about all that is under it. */
const isUnder = (path, { pathname }) => (/^$|\/$/.test(path) ? pathname.startsWith(path) : pathname === path);

const isScheme = (scheme, { protocol }) => scheme === protocol || (scheme === "http:" && protocol === "https:");

/** The WebAssembly's address, as a script of the page has it: bundlers give it a name of their own. */
async function findWasm(project, page, html) {
  const seen = new Set();
  const sources = [...html.matchAll(/<(?:script|link)[^>]+(?:src|href)=["']?([^"'\s>]+\.m?js[^"'\s>]*)/gi)];
  const waiting = sources.map(([, source]) => urlOf(source, page)?.href);
  while (waiting.length > 0 && seen.size < MAX_SCRIPTS) {
    const script = waiting.shift();
    if (script === undefined || seen.has(script) || new URL(script).origin !== page.origin) continue;
    seen.add(script);
    const { ok, text } = await project.send(script, { redirect: "follow" });
    if (!ok) continue;
    const [, wasm] = /["'`]([^"'`\s]*imagen_cloud(?:_outbox)?_bg[^"'`\s]*\.wasm[^"'`\s]*)["'`]/.exec(text) ?? [];
    const found = wasm && urlOf(wasm, script);
    if (found) return found;
    for (const [, next] of text.matchAll(/["'`]((?:\.{0,2}\/|assets\/)[^"'`\s]+\.m?js)["'`]/g)) {
      waiting.push(urlOf(next, next.startsWith("assets/") ? page : script)?.href);
    }
  }
  return undefined;
}

/** Nothing for what only looks like an address, such as a part of a template in a script: `//${host}/x.js`. */
function urlOf(address, base) {
  try {
    return new URL(address, base);
  } catch {
    return undefined;
  }
}

async function checkWasm(project, wasm, report) {
  const answer = await project.send(wasm.href, { redirect: "follow" });
  const what = shown(wasm.href);
  if (!answer.ok) {
    const remedy = "Serve the .wasm of the package's folder wasm there, or say by init(url) where it is.";
    return report.refused("page-wasm", answer, `${what} does not come`, remedy);
  }
  const type = answer.headers.get("content-type") ?? "no type";
  if (!answer.text.startsWith("\0asm")) {
    const remedy =
      "The server answers with something else, mostly the page itself, for files that it has not: copy the file to where it is looked for.";
    return report.wrong("page-wasm", `${what} is no WebAssembly, but comes as ${type}`, remedy);
  }
  if (!/^application\/wasm\s*(?:;|$)/i.test(type)) {
    const remedy =
      "Have the server send .wasm with Content-Type: application/wasm. With another type it is compiled later, and the console complains.";
    return report.wrong("page-wasm", `${what} comes as ${type}`, remedy);
  }
  report.ok("page-wasm", `${what} comes as it should`);
}
