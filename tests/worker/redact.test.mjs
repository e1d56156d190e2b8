// What the log keeps of foreign texts: not much of them, none of their keys and tokens, and at no great cost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const entryPoints = [fileURLToPath(new URL("../../www/worker/src/redact.ts", import.meta.url))];
const { outputFiles } = await build({ entryPoints, write: false, format: "esm" });
const { clean } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);

const KEY = "sb_secret_3kOq-Zr_example0key1example";
const SECRET = "a secret + of/its own, with a 夜 in it";
const env = { SUPABASE_SERVICE_KEY: KEY, SUPABASE_JWT_SECRET: SECRET };
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_xxxxxxxxxxxx";

const inPercent = (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
const forms = {
  "as it is": (text) => text,
  "percent-encoded": encodeURIComponent,
  "percent-encoded throughout": inPercent,
  "percent-encoded twice": (text) => encodeURIComponent(inPercent(text)),
  "in base64": (text) => Buffer.from(text).toString("base64"),
  "in base64, behind one byte": (text) => Buffer.from(`x${text}y`).toString("base64"),
  "in base64, behind two bytes": (text) => Buffer.from(`xx${text}y`).toString("base64"),
  "in base64url, behind a scheme": (text) => Buffer.from(`Bearer ${text}`).toString("base64url"),
  "in base64, percent-encoded": (text) => encodeURIComponent(Buffer.from(`ab${text}`).toString("base64")),
};
for (const [name, form] of Object.entries(forms)) {
  for (const secret of [KEY, SECRET, JWT]) {
    test(`${secret.slice(0, 9)}… ${name} is taken out, and the words around it stay`, () => {
      const echo = form(secret);
      const text = clean(`said "${echo}" and more`, env);
      assert.match(text, /^said ".*\[(secret|token)\].*" and more$/);
      // Whatever a reader could make of what is left.
      assert.ok(!text.includes(echo.slice(4, 16)), text);
    });
  }
}

test("a secret that was set with blanks around it is taken out as it is used", () => {
  const text = clean(`said "${SECRET}"`, { SUPABASE_SERVICE_KEY: `${KEY}\n`, SUPABASE_JWT_SECRET: ` ${SECRET}\r\n` });
  assert.equal(text, 'said "[secret]"');
});

test("words stay as they are", () => {
  const text = 'monkeyJar: InvalidKey 100% of a+b/c, {"statusCode":"400"} at 2026-05-11/lighthouse-42.png';
  assert.equal(clean(text, env), text);
});

test("a text is cut, and not within a key or token", () => {
  const words = "word ".repeat(300);
  assert.equal(clean(words, env), `${"word ".repeat(200)}…`);
  for (const secret of [KEY, SECRET, JWT]) {
    for (let shown = 1; shown < secret.length; shown++) {
      const text = clean(`${"x ".repeat(500).slice(0, 1000 - shown)} ${secret} and more`.slice(1), env);
      assert.ok(!text.includes(secret.slice(0, 3)), text.slice(-60));
    }
  }
});

/** A text that counts the characters it hands out. */
function counted(text) {
  const count = { steps: 0 };
  const take = (part) => {
    count.steps += part.length;
    return part;
  };
  const counting = new Proxy(
    { length: text.length, slice: (from, to) => take(text.slice(from, to)) },
    { get: (target, name) => (name in target ? target[name] : take(text[name])) },
  );
  return { counting, count };
}

const hostile = {
  "beginnings of tokens": "eyJ",
  "beginnings of tokens with dots": "eyJ.",
  "beginnings of keys": "sb_secret_",
  "per cents": "%",
  "encoded per cents": "%25",
  "white space": " ",
};
for (const [name, bit] of Object.entries(hostile)) {
  test(`twice as many ${name} are not more than 2.5 times the work`, () => {
    const cost = (length) => {
      const { counting, count } = counted(bit.repeat(length / bit.length));
      assert.ok(clean(counting, env).length <= 1_100);
      return count.steps;
    };
    const [once, twice] = [cost(120_000), cost(240_000)];
    assert.ok(once > 0 && twice <= 2.5 * once, `${once}, ${twice}`);
    assert.ok(twice <= 5_000, "looks at the first thousand only");
  });
}
