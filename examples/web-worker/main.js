import { apiKey, url } from "./config.js";

const status = document.querySelector("[role=status]");
const signIn = document.querySelector("#sign-in");
const generate = document.querySelector("#generate");
const worker = new Worker("./worker.js", { type: "module" });

signIn.addEventListener("submit", async (event) => {
  event.preventDefault();
  const headers = { apikey: apiKey, "content-type": "application/json" };
  const body = JSON.stringify(Object.fromEntries(new FormData(signIn)));
  const response = await fetch(`${url}/auth/v1/token?grant_type=password`, { method: "POST", headers, body });
  const { access_token: token, user, msg } = await response.json();
  status.textContent = token ? "" : msg;
  if (!token) return;
  // The worker has no session of its own. Tell it each new token: supabase-js names them by onAuthStateChange.
  worker.postMessage({ token, userId: user.id });
  [signIn.hidden, generate.hidden] = [true, false];
});

generate.addEventListener("submit", (event) => {
  event.preventDefault();
  worker.postMessage({ prompt: new FormData(generate).get("prompt") });
});

worker.addEventListener("message", ({ data: { says, src, prompt } }) => {
  status.textContent = says;
  if (!src) return;
  const picture = new Image(320);
  [picture.alt, picture.src] = [prompt, src];
  document.querySelector("#made").prepend(picture);
});
