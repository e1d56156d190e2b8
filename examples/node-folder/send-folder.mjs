// Sends a folder of images: FOLDER/YYYY-MM-DD/SLUG-SEED.png, each with what is known of it in SLUG-SEED.json beside it.
//   node send-folder.mjs FOLDER
import { createHash } from "node:crypto";
import { openAsBlob } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { createSink } from "imagen-cloud";

const AT_ONCE = 50;
const [folder] = process.argv.slice(2);
const { SUPABASE_URL: url, SUPABASE_SECRET_KEY: apiKey, IMAGEN_OWNER_USER_ID: owner } = process.env;
if (!folder || !url || !apiKey || !owner) {
  console.error("usage: SUPABASE_URL=… SUPABASE_SECRET_KEY=… IMAGEN_OWNER_USER_ID=… node send-folder.mjs FOLDER");
  process.exit(2);
}
const sink = await createSink({ url, apiKey, ownerUserId: owner, pathPrefix: owner, requireImage: true });

const files = (await readdir(folder, { recursive: true })).map((file) => file.replaceAll("\\", "/")).sort();
const images = files.flatMap((file) => {
  const [, date, slug, seed, ext] = /^(\d{4}-\d\d-\d\d)\/(.+)-(-?\d+)\.(png|jpe?g|webp|avif|gif)$/.exec(file) ?? [];
  return date ? [{ file, date, slug, seed: BigInt(seed), ext }] : [];
});

const count = { sent: 0, known: 0, failed: 0 };
for (let next = 0; next < images.length; next += AT_ONCE) await sendSome(images.slice(next, next + AT_ONCE));
console.log(`${count.sent} sent, ${count.known} were there, ${count.failed} failed`);
process.exitCode = count.failed > 0 ? 1 : 0;

/** Sends those of some images that have no row yet. */
async function sendSome(some) {
  const read = await Promise.all(some.map((image) => requestFor(image).catch((error) => fail(image.file, error))));
  const requests = read.filter(Boolean);
  const known = await knownIds(requests.map(({ imageId }) => imageId));
  count.known += known.size;
  const fresh = requests.filter(({ imageId }) => !known.has(imageId));
  const outcomes = await sink.syncMany(fresh);
  for (const [index, outcome] of outcomes.entries()) {
    if (!outcome.ok) fail(`${fresh[index].date}/${fresh[index].slug}`, outcome.error);
    else {
      count.sent += 1;
      console.log(outcome.storagePath);
    }
  }
}

/** The image as a request. The file is read again, piece by piece, when it is sent. */
async function requestFor({ file, ...named }) {
  const name = path.join(folder, file);
  const sidecar = JSON.parse(await readFile(name.replace(/\.\w+$/, ".json"), "utf8"));
  const { prompt, backend, model, steps, latency_ms: latencyMs, cost_usd_estimate: costUsdEstimate } = sidecar;
  const imageId = idOf(file, await readFile(name));
  const image = await openAsBlob(name);
  return { ...named, image, imageId, prompt, backend, model, steps, latencyMs, costUsdEstimate, sidecar };
}

/** The same file has the same id whenever it is sent: a UUID (version 8) made of a SHA-256 of owner, name and bytes. */
function idOf(file, bytes) {
  const hash = createHash("sha256").update(`${owner}\0${file}\0`).update(bytes).digest().subarray(0, 16);
  hash[6] = (hash[6] & 0x0f) | 0x80;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  return hash.toString("hex").replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

/** Which of these ids have a row. Not needed to be right, as a second try does no harm, but quicker. */
async function knownIds(ids) {
  const headers = { apikey: apiKey, "accept-profile": "imagen" };
  // A legacy service_role key is a token as well; a key of the new kind isn't.
  if (apiKey.startsWith("ey")) headers.authorization = `Bearer ${apiKey}`;
  const response = await fetch(`${url}/rest/v1/images?select=id&id=in.(${ids})`, { headers });
  if (!response.ok) throw new Error(`asking for known images: ${response.status}`);
  return new Set((await response.json()).map(({ id }) => id));
}

function fail(file, error) {
  count.failed += 1;
  console.error(`${file}: ${error.message}`);
}
