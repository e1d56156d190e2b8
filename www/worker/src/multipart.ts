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

/** Up to here from the last CR, the next one is looked for by hand: the platform's search is quick over many bytes only. */
const NEAR = 32;

/**
 * Where `text`, which begins with a CR and has no other one that begins it anew, is found next. Since no match can begin
 * within a failed one past its first byte but at a further CR, no byte is looked at more than twice, whatever comes.
 */
function indexOf(body: Uint8Array, text: Uint8Array, from: number): number {
  let at = from;
  let isDense = false;
  for (;;) {
    const start = at;
    // By hand where CRs lie close together. In an image they don't, and steps are slow in a first request's cold code.
    const near: number = isDense ? Math.min(at + NEAR, body.length) : at;
    while (at < near && body[at] !== CR) at += 1;
    if (at === near) at = body.indexOf(CR, at);
    if (at === -1) return -1;
    if (startsWith(body, text, at)) return at;
    at += 1;
    isDense = at - start < NEAR;
  }
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
