// Generates and sends, beside the page, which stays quick. A module worker knows no import map: the package by its path.

import { apiKey, url } from "./config.js";
import { pipeline } from "./model.js"; // yours: "@huggingface/transformers"
import { createSink } from "./node_modules/imagen-cloud/browser.js";

const model = "stand-in/gradient";
let generator;
let token;
let sink;

addEventListener("message", async ({ data }) => {
  try {
    if (data.token) await signIn(data);
    else await generate(data.prompt);
  } catch (error) {
    // An Error loses its code on the way out; `error.toJSON()` of the package's errors would keep it.
    postMessage({ says: error.message });
  }
});

async function signIn({ token: fresh, userId }) {
  token = fresh;
  sink ??= await createSink({ url, apiKey, accessToken: () => token, ownerUserId: userId });
}

async function generate(prompt) {
  generator ??= await pipeline("text-to-image", model, {
    progress_callback: ({ status, progress }) => postMessage({ says: `model: ${status} ${progress ?? ""}` }),
  });
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  const begun = performance.now();
  const [raw] = await generator(prompt, { seed, num_inference_steps: 4 });
  const latencyMs = Math.round(performance.now() - begun);
  const image = await raw.toBlob("image/png"); // in a worker it is drawn on an OffscreenCanvas
  postMessage({ says: "sending" });
  const about = { date: new Date().toISOString().slice(0, 10), slug: "generated", seed, model, steps: 4, latencyMs };
  const { storagePath } = await sink.sync({ ...about, image, prompt, backend: "transformers.js" });
  postMessage({ says: "It arrived.", prompt, src: await sink.signedUrl(storagePath) });
}
