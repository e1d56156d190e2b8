// What the component of the world `command` does, in whichever engine.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { inTurn, startChaos } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { sha256, verify } from "../support/verify.mjs";
import { waitFor } from "../support/waiting.mjs";

const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));
/** A run gives up what two more attempts don't bring; the next run goes on with it. */
const RUNS = 10;

/** What a program may take: 100 MB, beside whatever else the machine has to do. */
const LIMIT_MS = 3 * 60_000;

/** Runs a program to its end. */
export async function runProgram(program, args, env) {
  const child = spawn(program, args, { env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const whole = Promise.all([once(child, "close"), text(child.stdout), text(child.stderr)]);
  try {
    const [[status], stdout, stderr] = await waitFor(`${program} ${args}`, whole, LIMIT_MS);
    return { status, stdout, stderr };
  } finally {
    child.kill("SIGKILL");
  }
}

/**
 * @param {(folder: string, env: object) => ReturnType<typeof runProgram>} runCommand with that folder as all that it sees
 * @param {number} files how many are sent through faults
 */
export function testCommand(runCommand, files) {
  describe("the command", () => {
    let supabase;
    let folder;
    before(async () => {
      supabase = await startEmbedded();
      folder = await mkdtemp(path.join(tmpdir(), "imagen-folder-"));
    });
    after(async () => {
      await supabase?.close();
      await rm(folder, { recursive: true, force: true });
    });

    const environmentOf = (user, url) => ({
      SUPABASE_URL: url,
      SUPABASE_SERVICE_KEY: supabase.serviceKey,
      IMAGEN_OWNER_USER_ID: user.id,
    });

    test(`a folder of ${files} images arrives through faults, each once, however often it is sent`, async (t) => {
      const user = await supabase.createUser();
      const beliefs = await writeImages(path.join(folder, "many"), files, user.id);
      const faults = { place: inTurn(5), delayMs: 20, blackoutMs: 50, retryAfterSeconds: 0 };
      const chaos = await startChaos({ target: supabase.url, ...faults });
      t.after(() => chaos.close());
      const runs = [];
      while (runs.length < RUNS && runs.at(-1)?.status !== 0) {
        runs.push(await runCommand(path.join(folder, "many"), environmentOf(user, chaos.url)));
      }
      const told = runs.map(({ stderr }) => stderr).join("\n");
      assert.equal(runs.at(-1).status, 0, told);
      const lines = runs.flatMap(({ stdout }) => stdout.split("\n").filter(Boolean));
      assert.deepEqual(new Set(lines), new Set(beliefs.map(({ storagePath }) => storagePath)), told);
      const check = () => verify({ url: supabase.url, serviceKey: supabase.serviceKey, beliefs, prefix: "2026-05-1" });
      assert.deepEqual(await check(), { ...(await check()), problems: [], rows: files, objects: files });

      const again = await runCommand(path.join(folder, "many"), environmentOf(user, supabase.url));
      assert.deepEqual([again.status, again.stdout, again.stderr], [0, "", `0 sent, ${files} were there, 0 failed\n`]);
      assert.equal((await check()).rows, files);
    });

    test("a file that can't be sent is named, and the others go", async () => {
      const user = await supabase.createUser();
      const odd = path.join(folder, "odd");
      await writeImages(odd, 3, user.id);
      await cp(path.join(odd, "2026-05-10/lighthouse-0.png"), path.join(odd, "2026-05-10/bare-1.png"));
      await writeFile(path.join(odd, "2026-05-10/notes.txt"), "no image");
      await writeFile(path.join(odd, "2026-05-10/broken-2.png"), "no image either");
      await writeFile(path.join(odd, "2026-05-10/broken-2.json"), '{"prompt":"p","backend":"b"}');
      const { status, stdout, stderr } = await runCommand(odd, environmentOf(user, supabase.url));
      assert.deepEqual([status, stdout.trim().split("\n").length], [1, 3], stderr);
      assert.match(stderr, /^2026-05-10\/bare-1\.png: sidecar: /m);
      assert.match(stderr, /^2026-05-10\/broken-2\.png: image: /m);
      assert.match(stderr, /^3 sent, 0 were there, 2 failed$/m);
    });

    test("what the environment lacks is named", async () => {
      const { status, stdout, stderr } = await runCommand(folder, {});
      assert.deepEqual([status, stdout], [1, ""]);
      assert.match(stderr, /SUPABASE_URL/);
    });
  });
}

/** Writes images in the seed's layout, and gives what is to be believed of them once they are sent. */
async function writeImages(folder, count, owner) {
  const beliefs = [];
  for (let number = 0; number < count; number += 1) {
    const storagePath = `2026-05-1${number % 3}/lighthouse-${number % 7 === 5 ? -number : number}.png`;
    const image = Buffer.concat([PNG, Buffer.from(`image ${number}`)]);
    const file = path.join(folder, storagePath);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, image);
    const known = { prompt: `p${number}`, backend: "flux", steps: 4, cost_usd_estimate: 0.004, cfg: 3.5 };
    await writeFile(file.replace(/png$/, "json"), JSON.stringify(known));
    beliefs.push({ storagePath, imageId: idOf(owner, storagePath, image), sha256: sha256(image), ok: true });
  }
  return beliefs;
}

/** As examples/node-folder makes it: who began with that script goes on with this command. */
function idOf(owner, file, bytes) {
  const hash = createHash("sha256").update(`${owner}\0${file}\0`).update(bytes).digest().subarray(0, 16);
  hash[6] = (hash[6] & 0x0f) | 0x80;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  return hash.toString("hex").replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}
