// What was found: one line for each name, in this order, whatever the order in which it was looked at.

export const NAMES = [
  ...["address", "key-kind", "key", "clock", "cors", "schema", "table", "columns", "token"],
  ...["bucket", "bucket-private", "bucket-types", "bucket-size"],
  ...["objects-add", "objects-read", "objects-overwrite", "objects-remove", "objects-others"],
  ...["rows-add", "rows-read", "rows-remove", "rows-others", "server-images", "orphans"],
  ...["page-policy", "page-wasm"],
];

const LATER = "The server could not say it just now: look again in a while.";
/** What a key or a token looks like: none is quoted, also not one that a server quotes. */
const SECRETS = /sb_(?:secret|publishable)_[\w-]+|\bey[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g;

/** The shortest text that can be a key: what is shorter is found in words. */
const SHORTEST = 8;

/** A text without what looks like a key or a token. */
export const withoutSecrets = (text) => text.replaceAll(SECRETS, "…");

export class Report {
  #found = new Map();
  #secrets = [];

  /** Has a key or a token taken out of all that is said. */
  hide(secret) {
    if (secret?.length >= SHORTEST) this.#secrets.push(secret);
  }

  ok(name, message) {
    if (!this.#found.has(name)) this.#add(name, "ok", message);
  }

  /** The first thing that is wrong is the one that is told. */
  wrong(name, message, remedy) {
    if (!this.isWrong(name)) this.#add(name, "wrong", message, remedy);
  }

  /** An answer that should have been another one. What the server can't do now is no fault of the project's. */
  refused(name, answer, message, remedy) {
    const said = `${message}: the server says ${answer.status}${answer.message ? ` "${answer.message}"` : ""}`;
    const passes = answer.status >= 500 || answer.status === 429;
    this.wrong(name, said, passes ? LATER : remedy);
  }

  unchecked(name, why) {
    if (!this.#found.has(name)) this.#add(name, "unchecked", why);
  }

  isWrong(name) {
    return this.#found.get(name)?.state === "wrong";
  }

  /** All names; `why` those are unchecked of which nothing was said. */
  result(why) {
    for (const name of NAMES) this.unchecked(name, why);
    const checks = NAMES.map((name) => this.#found.get(name));
    return { ok: !checks.some(({ state }) => state === "wrong"), checks };
  }

  #add(name, state, message, remedy) {
    const check = { name, state, message: this.#clean(message) };
    this.#found.set(name, remedy === undefined ? check : { ...check, remedy: this.#clean(remedy) });
  }

  #clean(text) {
    const hidden = this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, "…"), text);
    return withoutSecrets(hidden).slice(0, 1000);
  }
}
