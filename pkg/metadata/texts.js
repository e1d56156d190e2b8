/** The texts of a file by the names that they have in it; of EXIF and XMP by `UserComment`, `Make`, `Model`, `Software`. */
export function textsIn({ exif = {}, xmp = {}, ...tags }) {
  const texts = new Map();
  const add = (name, text) => {
    if (typeof text === "string" && text.trim() !== "" && !texts.has(name)) texts.set(name, text);
  };
  for (const [name, { value, description }] of Object.entries({ ...tags.png, ...tags.pngText })) {
    add(name, mended(typeof value === "string" ? value : description));
  }
  add("UserComment", userComment(exif.UserComment?.value));
  for (const name of ["Make", "Model", "Software", "ImageDescription"]) add(name, mended(asciiOf(exif[name]?.value)));
  add("UserComment", xmp.UserComment?.description);
  return texts;
}

const asciiOf = (value) => (Array.isArray(value) ? value.join("") : value);

/** Each byte by the character that a decoder of Latin-1 makes of it, which is Windows' own there. */
const BYTES = new Map(
  Array.from({ length: 256 }, (_, byte) => [new TextDecoder("latin1").decode(Uint8Array.of(byte)), byte]),
);

/** Many write UTF-8 where the format has Latin-1: then it is read once more. */
function mended(text) {
  if (typeof text !== "string") return text;
  const bytes = [...text].map((char) => BYTES.get(char));
  if (bytes.includes(undefined)) return text;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
  } catch {
    return text;
  }
}

/** By its first 8 bytes, as EXIF has it. UTF-16 comes in either order, whatever the file's is. */
function userComment(value) {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return undefined;
  const bytes = Uint8Array.from(value);
  const code = String.fromCharCode(...bytes.subarray(0, 8)).replaceAll("\0", "");
  const text = bytes.subarray(8);
  if (code !== "UNICODE") return withoutEnd(new TextDecoder().decode(code === "ASCII" || code === "" ? text : bytes));
  const zeros = [0, 0];
  for (const [at, byte] of text.subarray(0, 2048).entries()) if (byte === 0) zeros[at % 2]++;
  return withoutEnd(new TextDecoder(zeros[0] > zeros[1] ? "utf-16be" : "utf-16le").decode(text));
}

/** Without the NULs that fill up its place. Not by a pattern, which begins anew at each of them where they are in the midst. */
function withoutEnd(text) {
  let end = text.length;
  while (text[end - 1] === "\0") end--;
  return text.slice(0, end);
}
