// A service worker that signs its requests with the session that the page left behind.
import { createOutbox, createSink, drainInBackground } from "/pkg/outbox-browser.js";
import { accessTokenOf, openSession } from "/session.js";

const { sink } = JSON.parse(new URL(self.location.href).searchParams.get("config"));
const session = openSession(sink);

drainInBackground(async () => createOutbox(await createSink({ ...sink, accessToken: () => accessTokenOf(session) })));
