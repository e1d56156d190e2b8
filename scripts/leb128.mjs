// What WebAssembly's binary format is read by.

/** Reads numbers (LEB128) and what has its length before it. */
export function reader(bytes) {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  const some = () => {
    const length = number();
    at += length;
    return bytes.subarray(at - length, at);
  };
  return { more: () => at < bytes.length, byte: () => bytes[at++], number, some, text: () => some().toString() };
}
