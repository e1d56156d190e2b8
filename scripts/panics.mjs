// Has what panics trap at once. A panic ends with a trap either way, and what std would say of it before goes nowhere: here it has
// nothing to write to. So wasm-opt leaves out what only makes messages, and nothing says where in the source a panic happened.
// Usage: node scripts/panics.mjs MODULE, which must have its functions' names.
import { readFile, writeFile } from "node:fs/promises";
import { functionsOf, moduleOf, number, reader, SECTION, sectionsOf, sized } from "./leb128.mjs";

/** What never returns, by its demangled name. Behind a crate's name may be a hash, and behind the function's its types and another. */
const PANICS =
  /^<?(core|alloc|std)\b.*::(panic|panic_\w+|\w+_fail|\w+_failed|handle_error|capacity_overflow|handle_alloc_error)(::<.*>)?(::h\w{16})?$/;
/** As much of a struct's place in the source as std keeps: where the file's name is, how long it is, line and column. */
const PLACE_BYTES = 16;

export function trapping(wasm) {
  const functions = functionsOf(wasm);
  const trap = Buffer.from([0, 0x00, 0x0b]); // no variables, `unreachable`, `end`
  const found = functions.filter(({ name }) => PANICS.test(name));
  if (found.length < 5) throw new Error(`panics: ${found.length} functions that panic, see scripts/panics.mjs`);
  const code = functions.map((each) => sized(found.includes(each) ? trap : each.body));
  const sections = sectionsOf(wasm).map(({ id, body }) => {
    if (id === SECTION.code) return { id, body: Buffer.concat([number(code.length), ...code]) };
    return { id, body: id === SECTION.data ? withoutPlaces(body) : body };
  });
  return moduleOf(wasm, sections);
}

/** The data without the places of panics and the files' names in them: nobody reads them any more, and wasm-opt can't know. */
function withoutPlaces(data) {
  const segments = segmentsOf(data);
  const at = (address, length) => {
    const home = segments.find(({ from, bytes }) => address >= from && address + length <= from + bytes.length);
    return home?.bytes.subarray(address - home.from, address - home.from + length);
  };
  const places = segments.flatMap(({ from, bytes }) => {
    const found = [];
    for (let offset = -from & 3; offset + PLACE_BYTES <= bytes.length; offset += 4) {
      const [name, length, line, column] = [0, 4, 8, 12].map((field) => bytes.readUInt32LE(offset + field));
      const isPlace = line > 0 && line < 1e5 && column > 0 && column < 1e3 && length < 200;
      const file = isPlace ? at(name, length) : undefined;
      if (file?.toString("latin1").endsWith(".rs")) found.push(bytes.subarray(offset, offset + PLACE_BYTES), file);
    }
    return found;
  });
  if (places.length === 0) throw new Error("panics: no places in the source, see scripts/panics.mjs");
  for (const each of places) each.fill(0);
  const written = segments.map(({ head, bytes }) => Buffer.concat([head, sized(bytes)]));
  return Buffer.concat([number(segments.length), ...written]);
}

/** Segments that are put into memory when the module starts: from where on, and copies of their bytes. */
function segmentsOf(data) {
  const bytes = reader(data);
  return Array.from({ length: bytes.number() }, () => {
    const head = [bytes.number(), bytes.number()]; // active, `i32.const`
    const from = bytes.number();
    if (head[0] !== 0 || head[1] !== 0x41 || bytes.number() !== 0x0b) throw new Error("panics: data of another form");
    return {
      from,
      head: Buffer.concat([Buffer.from(head), signed(from), Buffer.from([0x0b])]),
      bytes: Buffer.from(bytes.some()),
    };
  });
}

/** A number that is not negative, where one may be: its last byte's second bit is the sign. */
function signed(value) {
  const bytes = number(value);
  if (!(bytes.at(-1) & 0x40)) return bytes;
  bytes[bytes.length - 1] |= 0x80;
  return Buffer.concat([bytes, Buffer.from([0])]);
}

const [, script, file] = process.argv;
if (script === import.meta.filename) await writeFile(file, trapping(await readFile(file)));
