// What reads a form: the same as the platform's own reader, in a time that no sender can stretch.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { importModule } from "./modules.mjs";

let parseMultipart;
let parseForm;
before(async () => {
  ({ parseMultipart } = await importModule("multipart.ts"));
  ({ parseForm } = await importModule("form.ts"));
});

const TYPE = "multipart/form-data; boundary=x";
const bytes = (text) => Uint8Array.from(Buffer.from(text, "latin1"));
const part = (name, body, more = "") =>
  `--x\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${body}\r\n`;
const parse = (body, type = TYPE, most = 2) => parseMultipart(bytes(body), type, most);

test("what the platform packs is read as it was", async () => {
  const image = new Uint8Array(100_000).map((_, index) => (index * 7919) >> 3);
  const form = new FormData();
  form.append("request", '{"prompt":"ein Leuchtturm — 灯台"}');
  form.append("image", new File([image], 'a "b"; name="request".png', { type: "image/png" }));
  const packed = new Response(form);
  const body = new Uint8Array(await packed.arrayBuffer());
  const [request, file] = parseMultipart(body, packed.headers.get("content-type"), 2);
  assert.equal(new TextDecoder().decode(request.bytes), '{"prompt":"ein Leuchtturm — 灯台"}');
  assert.deepEqual([request.name, request.isFile, file.name, file.isFile], ["request", false, "image", true]);
  assert.deepEqual(Buffer.from(file.bytes), Buffer.from(image));
  assert.equal(file.bytes.buffer, body.buffer, "no byte was copied");
});

test("bytes that look like a boundary's beginning are an image's", () => {
  for (const image of ["\r\n--", "\r\r\n--y\r\n-", "\r\n\r\n--\r\n--\r\n", "x--x", "\r", ""]) {
    const [found] = parse(`${part("image", image, '; filename="a"')}--x--`);
    assert.equal(Buffer.from(found.bytes).toString("latin1"), image);
  }
});

test("what is before the first boundary and behind the last one is nothing", () => {
  assert.deepEqual(
    parse(`preamble\r\n${part("a", "1")}--x--\r\nepilogue`).map(({ name }) => name),
    ["a"],
  );
  assert.deepEqual(parse("--x--\r\n"), []);
});

test("a boundary may be quoted, and blanks may follow it", () => {
  const body = part("a", "1").replace("--x\r\n", "--a=b \t\r\n");
  const [{ name }] = parse(`${body}--a=b--`, 'Multipart/Form-Data; charset=utf-8; BOUNDARY="a=b"');
  assert.equal(name, "a");
});

test("a form that is none is refused", () => {
  const bad = {
    nothing: "",
    "no boundary": "abc",
    "no end": part("a", "1"),
    "a part without headers": "--x\r\nabc\r\n--x--",
    "a part without a name": "--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
    "a boundary that goes on": `${part("a", "1").replace("--x", "--xy")}--x--`,
    "headers without an end": `--x\r\nContent-Disposition: form-data; name=a; b="${"c".repeat(5_000)}"\r\n\r\n1\r\n--x--`,
  };
  for (const [name, body] of Object.entries(bad)) assert.throws(() => parse(body), { code: "invalid_request" }, name);
  for (const type of ["multipart/form-data", `${TYPE}${"y".repeat(70)}`, "multipart/form-data; boundary=\u00e9"]) {
    assert.throws(() => parse("--x--", type), { code: "invalid_request" });
  }
});

test("a part ends where its boundary stands first, wherever that is", () => {
  const boundary = "b-b";
  const pieces = ["\r", "\n", "\r\n", "-", "--", "b", "\r\n--b", "\r\n--b-", "x"];
  for (let length = 0; length < 400; length += 1) {
    // Another mixture of what boundaries are made of each time, the same in each run.
    const image = Array.from({ length }, (_, at) => pieces[(at * at * 7 + at * length + length) % pieces.length]).join(
      "",
    );
    const text = `${part("image", image, '; filename="a"')}--x--`.replaceAll("--x", `--${boundary}`);
    const from = text.indexOf("\r\n\r\n") + 4;
    const wanted = text.slice(from, text.indexOf(`\r\n--${boundary}`, from - 2));
    let found;
    try {
      [found] = parseMultipart(bytes(text), `multipart/form-data; boundary="${boundary}"`, 2);
    } catch (error) {
      // What stands within the image was a boundary, and no line's end after it.
      assert.equal(error.code, "invalid_request");
      assert.notEqual(wanted, image);
      continue;
    }
    assert.equal(Buffer.from(found.bytes).toString("latin1"), wanted);
  }
});

const IMAGE = 'Content-Disposition: form-data; name="image"; filename="a.png"';
const REQUEST = 'Content-Disposition: form-data; name="request"';
/** A form of parts, each its headers and its content. */
const formOf = (...parts) =>
  `${parts.map(([headers, body]) => `--x\r\n${headers}\r\n\r\n${body}\r\n`).join("")}--x--\r\n`;
const readForm = (body, type = TYPE) => {
  const { image, request } = parseForm({ body: bytes(body), type });
  return [Buffer.from(image).toString("latin1"), request.a];
};

test("a form is read however its sender writes it", () => {
  const json = '{"a":1}';
  for (const [name, body, type] of [
    ["the image first", formOf([IMAGE, "img"], [REQUEST, json])],
    ["names of headers in capitals", formOf([IMAGE.toUpperCase().replace("IMAGE", "image"), "img"], [REQUEST, json])],
    ["names without quotes", formOf([IMAGE.replaceAll('"', ""), "img"], [REQUEST.replaceAll('"', ""), json])],
    ["no blank behind the colon", formOf([IMAGE.replace(": ", ":"), "img"], [REQUEST, json])],
    ["further headers before and behind", formOf([`X-A: b\r\n${IMAGE}\r\nContent-Length: 3`, "img"], [REQUEST, json])],
    [
      "a type and an encoding that say other things",
      formOf(
        [`${IMAGE}\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64`, "img"],
        [`${REQUEST}\r\nContent-Type: text/plain; charset=utf-16`, json],
      ),
    ],
    ["an empty name of a file", formOf([IMAGE.replace("a.png", ""), "img"], [REQUEST, json])],
    ["the file's name in two forms", formOf([`${IMAGE}; filename*=UTF-8''%e2%82%ac.png`, "img"], [REQUEST, json])],
    [
      "a file's name that looks like a header",
      formOf([IMAGE.replace("a.png", "a; name=request"), "img"], [REQUEST, json]),
    ],
    ["a file's name with an escaped quote", formOf([IMAGE.replace("a.png", 'a\\"b.png'), "img"], [REQUEST, json])],
    ["a text before and behind", `no part\r\n${formOf([IMAGE, "img"], [REQUEST, json])}no part`],
    [
      "a boundary of signs",
      formOf([IMAGE, "img"], [REQUEST, json]).replaceAll("--x", "--(+,.:=?/_')"),
      'multipart/form-data; boundary="(+,.:=?/_\')"',
    ],
  ]) {
    assert.deepEqual(readForm(body, type), ["img", 1], name);
  }
});

test("a form that may be read in two ways is refused", () => {
  const json = '{"a":1}';
  const both = formOf([IMAGE, "img"], [REQUEST, json]);
  for (const [name, body, type] of [
    ["two images", formOf([IMAGE, "img"], [IMAGE, "other"])],
    ["two requests", formOf([REQUEST, json], [REQUEST, '{"a":2}'])],
    ["a part of another name", formOf([IMAGE, "img"], [REQUEST.replace("request", "Request"), json])],
    ["a name with a blank", formOf([IMAGE, "img"], [REQUEST.replace("request", "request "), json])],
    [
      "a name in the newer form alone",
      formOf([IMAGE, "img"], ["Content-Disposition: form-data; name*=UTF-8''request", json]),
    ],
    [
      "an image by the newer form of its file's name alone",
      formOf([IMAGE.replace("filename=", "filename*="), "img"], [REQUEST, json]),
    ],
    ["an attachment", formOf([IMAGE.replace("form-data", "attachment"), "img"], [REQUEST, json])],
    ["lines without CR", both.replaceAll("\r\n", "\n")],
    ["headers' lines without CR", both.replaceAll("\r\n\r\n", "\n\n")],
    ["no empty line behind the headers", both.replaceAll("\r\n\r\n", "\r\n")],
    ["no end", both.replace("--x--", "--x")],
    ["an end without its dashes", both.replace("--x--\r\n", "")],
    ["a boundary that begins like the right one", both.replaceAll("--x", "--xy")],
    [
      "a form in a part",
      formOf(
        [IMAGE, "img"],
        ["Content-Type: multipart/mixed; boundary=y", `--y\r\n${REQUEST}\r\n\r\n${json}\r\n--y--`],
      ),
    ],
    ["another boundary first", both, "multipart/form-data; boundary=y; boundary=x"],
    ["an empty boundary", both, 'multipart/form-data; boundary=""'],
    ["nothing between", "--x--x--"],
  ]) {
    assert.throws(() => readForm(body, type), { code: "invalid_request" }, name);
  }
});

/** Counts the bytes that are looked at, and the searches that the platform does. */
function counted(body) {
  const count = { steps: 0 };
  const watched = new Proxy(body, {
    get(target, key) {
      const value = target[key];
      if (typeof value === "function") {
        if (key === "indexOf") count.steps += 1;
        return value.bind(target);
      }
      if (typeof key === "string" && /^\d+$/.test(key)) count.steps += 1;
      return value;
    },
  });
  return { watched, count };
}

test("of many small parts none is looked at past the last one that may be", () => {
  const body = bytes(`${part("a", "").repeat(20_000)}--x--`);
  const { watched, count } = counted(body);
  assert.throws(() => parseMultipart(watched, TYPE, 2), { code: "invalid_request" });
  assert.ok(count.steps < 1_000, `${count.steps} steps for ${body.length} bytes`);
});

test("whatever an image consists of, twice as much of it takes twice as many steps", () => {
  const boundary = "a".repeat(70);
  for (const pattern of ["\r", "\r\n", "\r\n--", `\r\n--${"a".repeat(69)}`, "a", `${"b".repeat(40)}\r`]) {
    const steps = [20_000, 40_000].map((size) => {
      const image = pattern.repeat(Math.ceil(size / pattern.length)).slice(0, size);
      const text = `${part("image", image, '; filename="a"')}--x--`.replaceAll("--x", `--${boundary}`);
      const { watched, count } = counted(bytes(text));
      assert.equal(parseMultipart(watched, `multipart/form-data; boundary=${boundary}`, 2).length, 1);
      return count.steps;
    });
    assert.ok(steps[1] < 2.5 * steps[0], `${JSON.stringify(pattern)}: ${steps}`);
    assert.ok(steps[1] < 4 * 40_000, `${JSON.stringify(pattern)}: ${steps}`);
  }
});
