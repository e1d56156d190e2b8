// A service worker that is told who is signed in, at first by its script's URL.
import { createOutbox, createSink, drainInBackground } from "/pkg/outbox-browser.js";

let signedIn = JSON.parse(new URL(self.location.href).searchParams.get("config"));
self.addEventListener("message", ({ data }) => {
  signedIn = data;
});

drainInBackground(async () => {
  const { sink, token } = signedIn;
  return createOutbox(await createSink({ ...sink, accessToken: () => token }));
});
