#!/usr/bin/env node
// The command `imagen-cloud`: says what of a project is not set up right, and prints the migrations.
import { parseArgs } from "node:util";
import { withoutSecrets } from "./doctor/report.js";
import { checkProject } from "./doctor.js";
import { isImagenCloudError } from "./errors.js";
import { migration } from "./migration.js";

const HELP = `imagen-cloud doctor     look whether a Supabase project is set up for this package
  --url URL             the project's address           (or SUPABASE_URL)
  --key KEY             the publishable or secret key    (or SUPABASE_KEY, SUPABASE_PUBLISHABLE_KEY, SUPABASE_ANON_KEY)
  --token TOKEN         a signed-in user's access token  (or IMAGEN_USER_TOKEN): tries what a user may do
  --secret-key KEY      the secret key beside it         (or SUPABASE_SECRET_KEY, SUPABASE_SERVICE_ROLE_KEY)
  --origin ORIGIN       where your pages are from: may they ask the project?
  --page URL            a page's address: its Content-Security-Policy, and how the .wasm comes
  --wasm URL            where the .wasm is, if no script of that page says it
  --largest BYTES       how large your images get, 50000000 if it is not said
  --bucket, --schema, --table NAME   names of your own
  --json                the same as JSON
Keys and tokens are better given by the environment: other programs see a command's words. None is printed.
It ends with 0 if nothing is wrong, with 1 if something is, with 2 if it was called wrongly. What it tries out it removes, also
when Ctrl-C stops it.

imagen-cloud migration  print the SQL that makes schema, table, bucket and policies
  --update              only what came later, for a project that has the table; it may run twice
  --bucket, --schema, --table NAME   names of your own
`;

const TEXT = { type: "string" };
const NAMES = { bucket: TEXT, schema: TEXT, table: TEXT };
const HAS_HELP = { help: { type: "boolean", short: "h" } };

const commands = {
  async doctor(args) {
    const own = {
      url: TEXT,
      key: TEXT,
      token: TEXT,
      "secret-key": TEXT,
      origin: TEXT,
      page: TEXT,
      wasm: TEXT,
      largest: TEXT,
    };
    const { values } = parse(args, { ...own, ...NAMES, json: { type: "boolean" } });
    if (values.help) return print(HELP);
    const url = values.url ?? fromEnv("SUPABASE_URL");
    const secretKey = values["secret-key"] ?? fromEnv("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY");
    const apiKey = values.key ?? fromEnv("SUPABASE_KEY", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY") ?? secretKey;
    if (!url || !apiKey)
      throw new Wrong(`doctor needs ${url ? "a key" : "an address"}: --${url ? "key" : "url"}\n\n${HELP}`);
    const signal = stopped();
    const report = await checkProject({
      url,
      apiKey,
      signal,
      secretKey,
      accessToken: values.token ?? fromEnv("IMAGEN_USER_TOKEN"),
      largestImage: values.largest === undefined ? undefined : Number(values.largest),
      ...Object.fromEntries(["origin", "page", "wasm", ...Object.keys(NAMES)].map((name) => [name, values[name]])),
    });
    print(values.json ? JSON.stringify(report, null, 2) : asText(report));
    signal.throwIfAborted();
    process.exitCode = report.ok ? 0 : 1;
  },

  async migration(args) {
    const { values } = parse(args, { ...NAMES, update: { type: "boolean" } });
    print(values.help ? HELP : await migration(values));
  },
};

/** What the caller did wrong. */
class Wrong extends Error {}

/** Ctrl-C. What was tried out is removed before the end, unless it is pressed once more. */
class Stopped extends Error {}

function stopped() {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new Stopped("stopped")));
  return stop.signal;
}

function parse(args, options) {
  try {
    return parseArgs({ args, options: { ...options, ...HAS_HELP } });
  } catch (error) {
    throw new Wrong(error.message);
  }
}

const fromEnv = (...names) => names.map((name) => process.env[name]).find(Boolean);
const print = (text) => console.log(text.trimEnd());

function asText({ ok, checks }) {
  const signs = { ok: "ok   ", wrong: "WRONG", unchecked: "-    " };
  const lines = checks.flatMap(({ name, state, message, remedy }) => [
    `${signs[state]}  ${name.padEnd(17)} ${message}`,
    ...(remedy ? [`       ${"what to do:".padEnd(17)} ${remedy}`] : []),
  ]);
  const wrong = checks.filter(({ state }) => state === "wrong").length;
  return [...lines, "", ok ? "Nothing is wrong." : `${wrong} ${wrong === 1 ? "thing is" : "things are"} wrong.`].join(
    "\n",
  );
}

async function main([name, ...args]) {
  const command = Object.hasOwn(commands, name ?? "") ? commands[name] : undefined;
  if (command) return command(args);
  if (name === "--help" || name === "-h") return print(HELP);
  throw new Wrong(`${name ? `there is no command ${name}` : "which command?"}\n\n${HELP}`);
}

main(process.argv.slice(2)).catch((error) => {
  const isExpected = error instanceof Wrong || error instanceof Stopped || isImagenCloudError(error);
  // What was given in the wrong place may be a key.
  console.error(isExpected ? withoutSecrets(`imagen-cloud: ${error.message}`) : error);
  process.exitCode = error instanceof Stopped ? 130 : 2;
});
