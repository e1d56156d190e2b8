// RFC 7578's multipart/form-data, read where it lies: a part is a view of the body. The platform's own `formData()`
// copies each part, and takes as many as there are.
import { Problem } from "./problem";

export interface Part {
  name: string;
  isFile: boolean;
  bytes: Uint8Array<ArrayBuffer>;
}

/** RFC 2046 allows no longer one. */
const MAX_BOUNDARY = 70;
const MAX_HEADERS = 4_096;
const CR = 13;
const DASHES = "--";

/** What separates the parts; throws for a `Content-Type` without a usable one. */
export function boundaryOf(type: string): string {
  const [, quoted, token] = /;\s*boundary=(?:"([^"]*)"|([^\s";]+))/i.exec(type) ?? [];
  const boundary = quoted ?? token ?? "";
  if (!/^[\w'()+,./:=? -]+$/.test(boundary) || boundary.length > MAX_BOUNDARY || boundary.endsWith(" ")) {
    throw broken("no boundary");
  }
  return boundary;
}

/** The parts, of which there may be no more than `most`: that is found out before a further one is looked at. */
export function parseMultipart(body: Uint8Array<ArrayBuffer>, type: string, most: number): Part[] {
  const delimiter = latin1(`\r\n${DASHES}${boundaryOf(type)}`);
  // The first one needs no line before it.
  let from = startsWith(body, delimiter.subarray(2), 0) ? delimiter.length - 2 : after(body, delimiter, 0);
  const parts: Part[] = [];
  while (!startsWith(body, latin1(DASHES), from)) {
    if (parts.length === most) throw new Problem("invalid_request", { detail: `A request has ${most} parts at most.` });
    from = endOfLine(body, from);
    const end = indexOf(body, delimiter, from);
    if (end === -1) throw broken("no end");
    parts.push(parsePart(body.subarray(from, end)));
    from = end + delimiter.length;
  }
  return parts;
}

/** Headers, an empty line, and the rest. */
function parsePart(part: Uint8Array<ArrayBuffer>): Part {
  const blank = latin1("\r\n\r\n");
  const end = indexOf(part.subarray(0, MAX_HEADERS), blank, 0);
  if (end === -1) throw broken("a part without headers");
  const headers = new TextDecoder().decode(part.subarray(0, end));
  const disposition = /^content-disposition:[ \t]*form-data([^\r\n]*)/im.exec(headers)?.[1] ?? "";
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, token] of disposition.matchAll(/;[ \t]*([\w*]+)=(?:"([^"]*)"|([^";]*))/g)) {
    parameters.set(name.toLowerCase(), quoted ?? token ?? "");
  }
  const name = parameters.get("name");
  if (name === undefined) throw broken("a part without a name");
  return { name, isFile: parameters.has("filename"), bytes: part.subarray(end + blank.length) };
}

/** Blanks may follow a boundary, and then its line ends. */
function endOfLine(body: Uint8Array, from: number): number {
  let at = from;
  while (body[at] === 0x20 || body[at] === 0x09) at += 1;
  if (!startsWith(body, latin1("\r\n"), at)) throw broken("a boundary that goes on");
  return at + 2;
}

function after(body: Uint8Array, text: Uint8Array, from: number): number {
  const found = indexOf(body, text, from);
  if (found === -1) throw broken("no boundary in it");
  return found + text.length;
}

/**
 * Where `text`, which begins with a CR, is found next. Wherever it stands, it covers one pair of bytes of each
 * `text.length - 1`: so only those are looked at, and the bytes around one that may be a pair of `text`. Since what is
 * compared ends at a further CR, no byte is looked at more than a few times, whatever comes.
 */
function indexOf(body: Uint8Array, text: Uint8Array, from: number): number {
  const stride = text.length - 1;
  const isPair = new Uint8Array(PAIRS);
  for (let at = 1; at <= stride; at += 1) isPair[pairAt(text, at)] = 1;
  for (let at = from + stride; at < body.length; at += stride) {
    if (isPair[pairAt(body, at)] === 0) continue;
    for (let start = at - stride; start < at; start += 1) {
      if (body[start] === CR && startsWith(body, text, start)) return start;
    }
  }
  return -1;
}

/** Pairs of bytes that share a number are too few to matter. */
const PAIRS = 4_096;

/** A number for the byte here and the one before. */
function pairAt(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) << 4) ^ (bytes[at - 1] ?? 0)) % PAIRS;
}

function startsWith(body: Uint8Array, text: Uint8Array, at: number): boolean {
  if (at + text.length > body.length) return false;
  for (let i = 0; i < text.length; i += 1) if (body[at + i] !== text[i]) return false;
  return true;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function broken(why: string): Problem {
  const detail = "The body is no complete multipart/form-data.";
  return new Problem("invalid_request", { detail, cause: new Error(why) });
}
