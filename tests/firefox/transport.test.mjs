// Requests in Firefox, which sends a file as it is when it is sent, and waits for ever for bytes that a file no more has.
import { startFirefox } from "../support/firefox.mjs";
import { testTransport } from "../support/transport.mjs";

testTransport(startFirefox, async (page, selector, file) => (await page.$(selector)).uploadFile(file));
