import { createSink } from "imagen-cloud";
import { apiKey, url } from "./config.js";

const status = document.querySelector("[role=status]");
const signIn = document.querySelector("#sign-in");
const send = document.querySelector("#send");
const progress = document.querySelector("progress");
let sink;

signIn.addEventListener("submit", (event) => attempt(event, () => open(new FormData(signIn), event.submitter.value)));
send.addEventListener("submit", (event) => attempt(event, () => sendImage(new FormData(send))));

/** Signs in, or up, by Supabase's own API. supabase-js does the same, and also renews the token before it ends. */
async function open(form, way) {
  const headers = { apikey: apiKey, "content-type": "application/json" };
  const body = JSON.stringify(Object.fromEntries(form));
  const response = await fetch(`${url}/auth/v1/${way}`, { method: "POST", headers, body });
  const { access_token: token, user, msg } = await response.json();
  if (!token) throw new Error(msg ?? "Look for the email that confirms your address.");
  sink = await createSink({ url, apiKey, accessToken: () => token, ownerUserId: user.id, pathPrefix: user.id });
  signIn.hidden = true;
  send.hidden = false;
}

async function sendImage(form) {
  const image = form.get("image");
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  const about = { date: new Date().toISOString().slice(0, 10), slug: "picture", seed, backend: "upload" };
  const { storagePath } = await sink.sync(
    { ...about, image, prompt: form.get("prompt") },
    { onProgress: ({ sent, total }) => Object.assign(progress, { value: sent, max: total }) },
  );
  const picture = new Image(320);
  picture.alt = form.get("prompt");
  picture.src = await sink.signedUrl(storagePath);
  document.querySelector("#sent").prepend(picture);
}

async function attempt(event, work) {
  event.preventDefault();
  status.textContent = "…";
  try {
    await work();
    status.textContent = "Done.";
  } catch (error) {
    status.textContent = error.message;
  }
}
