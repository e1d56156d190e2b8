// The project as it is asked: by whom, and what came back.

/** How long an answer is waited for. */
export const LIMIT_MS = 20_000;

/** No answer came; the message says why, as far as the host does. */
export class NoAnswer extends Error {}

export class Project {
  /** How far the project's clock is before ours, in ms, once an answer told. */
  skewMs;
  /** What was tried out and is not known to be gone: how it is removed, by its name. */
  #tried = new Map();

  /** @param {{ url: URL, apiKey: string, secretKey?: string, token?: string, fetch: typeof fetch, signal?: AbortSignal }} given */
  constructor({ url, apiKey, secretKey, token, fetch, signal }) {
    this.base = url.href.replace(/\/+$/, "");
    this.apiKey = apiKey;
    this.secretKey = secretKey;
    this.token = token;
    this.fetch = fetch;
    this.signal = signal;
  }

  /**
   * Asks as whoever has the key, as the user, or as a server does.
   * @param {"key" | "user" | "server"} who
   * @returns {Promise<Answer>} `status` is the one that Storage names in its body, where it does
   * @typedef {{ status: number, ok: boolean, code?: string, message: string, json: any, text: string, headers: Headers }} Answer
   */
  async ask(who, method, target, { headers, json, body = json && JSON.stringify(json) } = {}) {
    const key = who === "server" ? this.secretKey : this.apiKey;
    const bearer = who === "user" ? this.token : key;
    const all = { apikey: key, authorization: `Bearer ${bearer}`, ...headers };
    if (json !== undefined) all["content-type"] = "application/json";
    return this.send(`${this.base}${target}`, { method, headers: all, body });
  }

  /** @returns {Promise<Answer>} @throws {NoAnswer} */
  async send(url, init = {}) {
    this.signal?.throwIfAborted();
    // Not by AbortSignal.any and .timeout, which browsers of some years ago don't know.
    const controller = new AbortController();
    const stop = () => controller.abort();
    const timer = setTimeout(stop, LIMIT_MS);
    this.signal?.addEventListener("abort", stop);
    const asked = Date.now();
    try {
      const response = await this.fetch(url, {
        redirect: "manual",
        cache: "no-store",
        ...init,
        signal: controller.signal,
      });
      const text = await response.text();
      this.#lookAtTheClock(response.headers, asked);
      return read(response, text);
    } catch (error) {
      this.signal?.throwIfAborted();
      const reason = controller.signal.aborted
        ? "it took too long"
        : String(error?.cause?.code ?? error?.message ?? error);
      throw new NoAnswer(reason, { cause: error });
    } finally {
      clearTimeout(timer);
      this.signal?.removeEventListener("abort", stop);
    }
  }

  /**
   * Tries something out that leaves something behind, which `undo` removes.
   * @param {string} name @param {() => Promise<unknown>} undo @param {Promise<Answer>} asked
   */
  async tries(name, undo, asked) {
    const isNew = !this.#tried.has(name);
    this.#tried.set(name, undo);
    const answer = await asked;
    if (!answer.ok && isNew) this.#tried.delete(name);
    return answer;
  }

  /** What was tried out is gone. */
  removed(name) {
    this.#tried.delete(name);
  }

  /** Removes what a lost answer or the caller's stop has left. @returns what may be there still */
  async tidyUp() {
    this.signal = undefined;
    await Promise.all([...this.#tried.values()].map((undo) => undo().catch(() => undefined)));
    return [...this.#tried.keys()];
  }

  #lookAtTheClock(headers, asked) {
    const told = Date.parse(headers.get("date") ?? "");
    // It is told in whole seconds, the rest cut off.
    if (!Number.isNaN(told)) this.skewMs ??= told + 500 - (asked + Date.now()) / 2;
  }
}

function read({ status, headers }, text) {
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const real = Number(json?.statusCode) || status;
  const message = String(json?.message ?? json?.msg ?? json?.error ?? (json === undefined ? text : "")).trim();
  const code = json?.code ?? json?.error;
  return { status: real, ok: real >= 200 && real < 300, code, message: message.slice(0, 200), json, text, headers };
}

/** A path's parts, escaped. */
export const escaped = (path) => path.split("/").map(encodeURIComponent).join("/");
