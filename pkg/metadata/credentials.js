// Content Credentials (C2PA) are boxes of CBOR, signed. Only the name is read of what made the claim; nothing is verified.

const KEYS = [
  { key: "claim_generator_info", within: "name" },
  { key: "claim_generator", within: undefined },
];

/** How far behind a key its value may begin, in bytes. */
const NEAR = 256;

/** Where the boxes begin: "jumb", as JPEG, PNG, WebP and AVIF hold them. */
const BOX = bytesOf("jumb");

/** The name of the program that signed what the file says of its making. */
export function credentialsIn(bytes) {
  const start = indexOf(bytes, BOX, 0, bytes.length);
  if (start === -1) return undefined;
  for (const { key, within } of KEYS) {
    let at = endOf(bytes, key, start, bytes.length);
    if (at !== -1 && within !== undefined) at = endOf(bytes, within, at, at + NEAR);
    const name = at === -1 ? undefined : textAt(bytes, at);
    if (name) return name;
  }
  return undefined;
}

/** Behind a key, as CBOR has it: a byte with its length, two from 24 on, then its letters. */
function endOf(bytes, key, from, to) {
  const head = key.length < 24 ? [0x60 + key.length] : [0x78, key.length];
  const whole = Uint8Array.of(...head, ...bytesOf(key));
  const at = indexOf(bytes, whole, from, Math.min(to, bytes.length));
  return at === -1 ? -1 : at + whole.length;
}

/** The text of CBOR that begins there, if it is one of up to 65,535 bytes. */
function textAt(bytes, at) {
  const head = bytes[at];
  if (head === undefined || head < 0x60 || head > 0x79) return undefined;
  const [extra, length] =
    head < 0x78 ? [1, head - 0x60] : head === 0x78 ? [2, bytes[at + 1]] : [3, (bytes[at + 1] << 8) | bytes[at + 2]];
  const text = bytes.subarray(at + extra, at + extra + length);
  if (text.length !== length || length > 1024) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(text).trim();
  } catch {
    return undefined; // no text, so no claim
  }
}

function bytesOf(text) {
  return new TextEncoder().encode(text);
}

function indexOf(bytes, wanted, from, to) {
  for (let at = bytes.indexOf(wanted[0], from); at !== -1 && at + wanted.length <= to; ) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
    at = bytes.indexOf(wanted[0], at + 1);
  }
  return -1;
}
