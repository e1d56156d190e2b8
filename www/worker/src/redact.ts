// Texts of callers, servers and runtimes on their way into the log. Whoever writes such a text decides about its length
// and its letters: so it is cut before anything looks at it, and then looked at word by word, each letter a fixed number
// of times.
import type { Env } from "./settings";

/** Characters of a text that are kept. */
const KEPT = 1_000;
/** No token is shorter, and few words are longer. */
const SHORTEST_TOKEN = 20;
/** How a word that holds a token begins, or goes on: `eyJ`, as JWTs do, and its three forms in base64; Supabase's keys. */
const MARKS = ["eyJ", "ZXlK", "V5S", "leU", "sb_secret_", "sb_publishable_"];
const WORD_CHARS = new Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/%~");

/** A text for the log: a thousand characters at most, without keys and tokens. */
export function clean(text: string, env: Env): string {
  const { whole, forms } = secretsOf(env);
  const short = cutText(text, whole);
  const cut = whole.reduce((clean, secret) => clean.replaceAll(secret, "[secret]"), short);
  let result = "";
  for (let at = 0; at < cut.length; ) {
    const end = wordEnd(cut, at);
    result += end === at ? cut[at] : cleanWord(cut.slice(at, end), forms);
    at = Math.max(end, at + 1);
  }
  return short.length < text.length ? `${result}…` : result;
}

/** A cut inside a word or a secret could leave half a key, which nothing would know again: the whole of it goes. */
function cutText(text: string, secrets: readonly string[]): string {
  if (text.length <= KEPT) return text;
  let end = KEPT;
  for (const secret of secrets) {
    const at = text.slice(0, KEPT + secret.length).lastIndexOf(secret);
    if (at >= 0 && at + secret.length > end) end = Math.min(end, at);
  }
  while (end > 0 && WORD_CHARS.has(text[end - 1] ?? "")) end--;
  return text.slice(0, end);
}

function wordEnd(text: string, from: number): number {
  let end = from;
  while (end < text.length && WORD_CHARS.has(text[end] ?? "")) end++;
  return end;
}

/** A word as it came, or without its token; `secrets` are those in base64. */
function cleanWord(word: string, secrets: readonly string[]): string {
  // Twice: a URL within a URL.
  const plain = toBase64Url(percentDecode(percentDecode(word)));
  if (secrets.some((secret) => plain.includes(secret))) return "[secret]";
  const at = MARKS.map((mark) => plain.indexOf(mark)).filter((at) => at >= 0 && plain.length - at >= SHORTEST_TOKEN);
  if (at.length === 0) return word;
  // What stands before a token is told where it is told as it came.
  return plain === toBase64Url(word) ? `${word.slice(0, Math.min(...at))}[token]` : "[token]";
}

/** Each `%41` as its `A`, and no error for a `%` that is none. */
function percentDecode(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/%[0-9a-f]{2}/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
}

/** Both alphabets of base64 as one. */
function toBase64Url(text: string): string {
  return text.replaceAll("+", "-").replaceAll("/", "_");
}

interface Secrets {
  whole: string[];
  /** Byte by byte, as percent-decoding gives them, and in base64, where the digits depend on how many bytes come before. */
  forms: string[];
}

let known: ({ of: string } & Secrets) | undefined;

function secretsOf({ SUPABASE_SERVICE_KEY: key = "", SUPABASE_JWT_SECRET: secret = "" }: Env): Secrets {
  const of = `${key} ${secret}`;
  if (known?.of !== of) {
    // As they are used: a secret that was set with a line break behind it is sent without.
    const whole = [key.trim(), secret.trim()].filter((text) => text !== "");
    known = { of, whole, forms: whole.flatMap(formsOf) };
  }
  return known;
}

function formsOf(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  const encoded = [0, 1, 2].map((before) => {
    const whole = String.fromCharCode(...new Array<number>(before).fill(0), ...bytes);
    // Digits that other bytes have a part in are not the secret's.
    const digits = btoa(whole).slice(Math.ceil((before * 8) / 6), Math.floor((whole.length * 8) / 6));
    return toBase64Url(digits);
  });
  return [toBase64Url(String.fromCharCode(...bytes)), ...encoded];
}
