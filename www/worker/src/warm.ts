// What first requests call is called once while the isolate starts: a start has a second of CPU to itself, on Cloudflare's
// free plan a request has 10 ms. V8 compiles a function, of JavaScript and of WebAssembly, when it is first called, and
// that is most of what a first request costs.
//
// During a start nothing can be sent, waited for by a timer or drawn at random, and no body can be read.
import { SignJWT } from "jose";
import { authenticate } from "./auth";
import { parseForm } from "./form";
import { type Env, readSettings } from "./settings";
import { signUrl } from "./signed-url";
import { signingSink, withSink } from "./supabase";
import { toImage } from "./sync";

const SECRET = "of nobody's project";
const ENV: Env = {
  SUPABASE_URL: "https://warm-up.invalid",
  SUPABASE_SERVICE_KEY: SECRET,
  SUPABASE_JWT_SECRET: SECRET,
};
const USER = { id: "00000000-0000-4000-8000-000000000000" };
const IMAGE_ID = "00000000-0000-4000-8000-000000000001";
const FIELDS = { date: "2026-05-11", slug: "warm-up", seed: 1, prompt: "none", backend: "none", imageId: IMAGE_ID };
const PNG_HEAD = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0";

/** Never rejects; tells how each part ended. Nothing depends on it: what fails here is compiled by the first request. */
export function warmUp(): Promise<PromiseSettledResult<unknown>[]> {
  return Promise.allSettled([checkToken(), makeSignedUrl(), syncImage()]);
}

async function checkToken() {
  const token = await new SignJWT({ aud: "authenticated", role: "authenticated" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(USER.id)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
  return authenticate(`Bearer ${token}`, readSettings(ENV));
}

async function makeSignedUrl() {
  const settings = readSettings(ENV);
  await signingSink(settings, { fetch: async () => answer(`{"signedURL":"/object/sign/warm-up?token="}`) });
  // With a blank it is the package that asks: a request of the Worker's own can't be sent yet.
  return signUrl(new URLSearchParams({ path: `${USER.id}/warm up.png`, ttl: "60" }), USER, settings);
}

async function syncImage() {
  const settings = readSettings(ENV);
  const lines = [
    "--warm-up",
    'Content-Disposition: form-data; name="request"',
    "",
    JSON.stringify(FIELDS),
    "--warm-up",
    'Content-Disposition: form-data; name="image"; filename="warm-up.png"',
    "Content-Type: image/png",
    "",
    PNG_HEAD,
    "--warm-up--",
  ];
  const body = Uint8Array.from(lines.join("\r\n"), (char) => char.charCodeAt(0));
  const image = toImage(parseForm({ body, type: 'multipart/form-data; boundary="warm-up"' }));
  const call = { deadlineMs: settings.syncDeadlineMs };
  return withSink(USER, settings, (sink) => sink.sync(image, call), {
    fetch: async (input) => answer(String(input).includes("/rest/") ? `[{"id":"${IMAGE_ID}"}]` : `{"Key":"warm-up"}`),
  });
}

/** What the package reads of an answer: a Response's body can't be read yet. */
function answer(text: string): Response {
  return { status: 200, headers: new Headers(), text: async () => text } as Response;
}
