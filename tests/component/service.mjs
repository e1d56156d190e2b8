// The example in Rust, `examples/wasi-service`, asked by whoever has its token.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { startEmbedded } from "../support/embedded.mjs";
import { named } from "../support/waiting.mjs";

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const TOKEN = "the service's own";
const IMAGE_ID = "11111111-2222-4333-8444-555566667777";

/** Compiles the example; what the library needs as well is compiled by now. Gives the component's file. */
export async function compileService() {
  const target = ["--target", "wasm32-wasip2", "--target-dir", file("target")];
  const manifest = ["--manifest-path", file("examples/wasi-service/Cargo.toml")];
  const args = ["build", "--locked", "--quiet", "--release", ...target, ...manifest];
  await promisify(execFile)(file(".tools/bin/cargo"), args, { cwd: file("") });
  return file("target/wasm32-wasip2/release/imagen_cloud_example_service.wasm");
}

/** @param {() => Promise<string>} translated what jco has made of the service and the library */
export function testService(translated) {
  let opening;
  let supabase;
  let user;
  let server;
  let url;

  const setUp = async () => {
    const [script, started] = await Promise.all([translated(), startEmbedded()]);
    supabase = started;
    user = await supabase.createUser();
    const env = {
      TOKEN,
      SUPABASE_URL: supabase.url,
      SUPABASE_SECRET_KEY: supabase.secretKey,
      IMAGEN_OWNER_USER_ID: user.id,
    };
    server = spawn(process.execPath, [file("tests/component/service.node.mjs"), pathToFileURL(script).href], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [port] = await named("the service's port", once(createInterface(server.stdout), "line"));
    url = `http://127.0.0.1:${port}`;
  };
  // It compiles, on a machine that may have other things to do.
  before(
    () => {
      opening = setUp();
      return opening;
    },
    { timeout: 15 * 60_000 },
  );
  after(async () => {
    // A set-up whose time is over goes on: the service that it starts then would keep the process from its end.
    await opening.catch(() => undefined);
    server?.kill("SIGKILL");
    await supabase?.close();
  });

  const ask = (query, init) =>
    named("the service", fetch(`${url}/${query}`, { headers: { authorization: `Bearer ${TOKEN}` }, ...init }));

  test("an image that is posted to the service twice is in its place once, with its link, and is listed", async () => {
    const image = await readFile(file("tests/data/lighthouse.png"));
    const post = () => ask(`?prompt=a+lighthouse&seed=42&id=${IMAGE_ID}`, { method: "POST", body: image });
    const answers = [await post(), await post()];
    assert.deepEqual([answers[0].status, answers[1].status], [201, 201], await answers[1].clone().text());
    const [first, second] = [await answers[0].json(), await answers[1].json()];
    assert.deepEqual([first.id, second.id], [IMAGE_ID, IMAGE_ID]);
    assert.deepEqual(Buffer.from(await (await fetch(first.url)).arrayBuffer()), image);
    const rows = await supabase.sql("select id, prompt, seed from imagen.images where owner_user_id = $1", [user.id]);
    assert.deepEqual(
      rows.map(({ id, prompt, seed }) => [id, prompt, Number(seed)]),
      [[IMAGE_ID, "a lighthouse", 42]],
    );
    const [listed, ...others] = await (await ask("")).json();
    assert.deepEqual([listed.id, listed.prompt, others], [IMAGE_ID, "a lighthouse", []]);
    assert.equal((await fetch(listed.url)).status, 200);
  });

  test("the service tells whoever has no token, what is no image, and what it does not do", async () => {
    assert.equal((await ask("", { headers: {} })).status, 401);
    const refused = await ask("?prompt=p", { method: "POST", body: "no image" });
    assert.equal(refused.status, 400);
    assert.match((await refused.json()).error, /image/);
    assert.equal((await ask("", { method: "DELETE" })).status, 405);
  });
}
