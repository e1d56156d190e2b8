// The service worker of the tests' pages. What an application would have in its source comes in the script's URL.
import { createOutbox, createSink, drainInBackground } from "/pkg/outbox-browser.js";

const { sink, token } = JSON.parse(new URL(self.location.href).searchParams.get("config"));

drainInBackground(async () => createOutbox(await createSink({ ...sink, accessToken: () => token })));
