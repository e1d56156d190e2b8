// A text without an end is one to the end: else it would be looked for again from each quote in it.
const TOKENS = /"[^"\\]*(?:\\[\s\S]?[^"\\]*)*(?:"|$)|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|-?Infinity/g;

/** JSON as programs write it: with whole numbers beyond 2^53, as digits in a text here, and Python's `NaN`. */
export function parseExact(text) {
  const safe = text.replace(TOKENS, (token) => {
    if (token.startsWith('"')) return token;
    if (/^-?\d{16,}$/.test(token)) return `"${token}"`;
    return /[NI]/.test(token) ? "null" : token;
  });
  return JSON.parse(safe);
}

/** An object of its own, or one without a field: what a program wrote may be anything. */
export const objectOf = (value) => (typeof value === "object" && value !== null ? value : {});

/** A text, where it is one. */
export const textOf = (value) => (typeof value === "string" ? value.trim() : undefined);

/** A whole number of at most 64 bits, with a sign or without, from a number or its digits. */
export function integerOf(value) {
  const digits = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : textOf(value);
  if (digits === undefined || !/^-?\d{1,20}$/.test(digits)) return undefined;
  const integer = BigInt(digits);
  return BigInt.asIntN(64, integer) === integer || BigInt.asUintN(64, integer) === integer ? integer : undefined;
}

/** A count, such as of steps. */
function countOf(value) {
  const count = integerOf(value);
  return count !== undefined && count >= 0n && count <= 1_000_000n ? Number(count) : undefined;
}

/** What was found, each in its own type, and no more than what is one. */
export function told(generator, raw, { prompt, negativePrompt, seed, steps, model, sampler }) {
  return {
    generator,
    prompt: textOf(prompt),
    negativePrompt: textOf(negativePrompt),
    seed: integerOf(seed),
    steps: countOf(steps),
    model: textOf(model),
    sampler: textOf(sampler),
    raw,
  };
}
