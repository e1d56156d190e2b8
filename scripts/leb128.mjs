// What WebAssembly's binary format is read and written by.

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

/** A number as it is written. */
export function number(value) {
  const bytes = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) + 128);
  }
}

/** Bytes with their length before them. */
export const sized = (bytes) => Buffer.concat([number(bytes.length), bytes]);
export const text = (string) => sized(Buffer.from(string));

/** The ids of the sections that the build looks into (5.5). */
export const SECTION = { custom: 0, imports: 2, exports: 7, code: 10, data: 11 };

/** A module's sections. */
export function sectionsOf(wasm) {
  const bytes = reader(wasm.subarray(8));
  const found = [];
  while (bytes.more()) found.push({ id: bytes.number(), body: bytes.some() });
  return found;
}

/** A module of such sections; its first bytes are those of any. */
export const moduleOf = (wasm, sections) =>
  Buffer.concat([wasm.subarray(0, 8), ...sections.flatMap(({ id, body }) => [number(id), sized(body)])]);

/** A module's own functions, in their order: each one's index, its name, where it has one, and its body. */
export function functionsOf(wasm) {
  const module = new WebAssembly.Module(wasm);
  const imported = WebAssembly.Module.imports(module).filter(({ kind }) => kind === "function").length;
  const [section] = WebAssembly.Module.customSections(module, "name");
  const names = section ? namesIn(reader(Buffer.from(section))) : new Map();
  const bodies = reader(sectionsOf(wasm).find(({ id }) => id === SECTION.code).body);
  return Array.from({ length: bodies.number() }, (_, at) => {
    const index = imported + at;
    return { index, name: names.get(index) ?? "", body: bodies.some() };
  });
}

/** Functions' names by their index (7.4). */
function namesIn(parts) {
  const names = new Map();
  while (parts.more()) {
    const [kind, part] = [parts.byte(), reader(parts.some())];
    if (kind !== 1) continue;
    for (let left = part.number(); left > 0; left--) names.set(part.number(), part.text());
  }
  return names;
}
