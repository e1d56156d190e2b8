/** `JSON.parse`, but an integer beyond ±(2^53 - 1) becomes a bigint instead of its nearest double. */
export function parseExact(text) {
  return JSON.parse(text, (_key, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
  });
}
