// The thousands part in a Node of its own: one call with many images, or with many paths, against a fetch that answers at
// once or after a while.
import { createSink } from "imagen-cloud";
import initWasm from "../pkg/wasm/imagen_cloud.js";

const { what, count, refused = 0, latencyMs = 0, concurrency } = JSON.parse(process.argv[2]);
const BUCKET = "imagen-generated";

const json = (status, body) => new Response(JSON.stringify(body), { status });
const wait = () => latencyMs > 0 && new Promise((resolve) => setTimeout(resolve, latencyMs));
const isRefused = ({ prompt }) => prompt === "refused";
let inserts = 0;

async function answer(url, { method, body }) {
  await wait();
  if (method === "PUT")
    return json(200, { Key: `${BUCKET}/${url.slice(url.indexOf(BUCKET) + BUCKET.length + 1)}`, Id: "1" });
  if (url.includes("/object/sign/")) {
    const signed = (path) => ({ path, error: null, signedURL: `/object/sign/${BUCKET}/${path}?token=a.b.c` });
    return json(200, JSON.parse(body).paths.map(signed));
  }
  inserts += 1;
  const rows = [JSON.parse(body)].flat();
  if (rows.some(isRefused))
    return json(400, { code: "23514", message: "violates check constraint", details: null, hint: null });
  return json(201, rows);
}

const sink = await createSink({
  url: "http://supabase.invalid",
  apiKey: "key",
  ownerUserId: "7d6f2b8e-1111-4222-8333-444455556666",
  fetch: answer,
});
const image = new Uint8Array(70);
const requestOf = (seed) => ({
  date: "2026-05-11",
  slug: "lighthouse",
  seed,
  prompt: refused > 0 && (seed * 7919) % 1000 < refused * 1000 ? "refused" : "a lighthouse at dusk",
  backend: "bench",
  image,
});
const requests = Array.from({ length: count }, (_, seed) => requestOf(seed));
const paths = requests.map(({ date, slug, seed }) => `${date}/${slug}-${seed}.png`);

const before = process.cpuUsage();
const start = performance.now();
if (what === "sync") {
  const outcomes = await sink.syncMany(requests, { concurrency });
  const failed = outcomes.filter(({ ok }) => !ok);
  if (failed.length !== requests.filter(isRefused).length) throw failed[0]?.error ?? new Error("refused rows arrived");
} else {
  const urls = await sink.signedUrls(paths, 60);
  if (urls.length !== count || urls.includes(null)) throw new Error("not all paths were signed");
}
const ms = performance.now() - start;
const { user, system } = process.cpuUsage(before);
const { memory } = await initWasm();
process.send({ ms, cpuMs: (user + system) / 1000, wasmBytes: memory.buffer.byteLength, inserts }, () => process.exit());
