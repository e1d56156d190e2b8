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
  sink = await createSink({ url, apiKey, accessToken: () => token, ownerUserId: user.id });
  signIn.hidden = true;
  send.hidden = false;
  await show();
}

async function sendImage(form) {
  const image = form.get("image");
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  await sink.sync(
    { seed, image, prompt: form.get("prompt"), backend: "upload" },
    { onProgress: ({ sent, total }) => Object.assign(progress, { value: sent, max: total }) },
  );
  await show();
}

/** The newest images of the user who is signed in. */
async function show() {
  const { images } = await sink.list();
  document.querySelector("#sent").replaceChildren(...images.map(pictureOf));
}

function pictureOf(image) {
  const picture = Object.assign(new Image(320), { alt: image.prompt, src: image.signedUrl ?? "" });
  const remove = Object.assign(document.createElement("button"), { textContent: `Remove ${image.prompt}` });
  remove.addEventListener("click", (event) => attempt(event, () => sink.remove(image).then(show)));
  const entry = document.createElement("p");
  entry.append(picture, remove);
  return entry;
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
