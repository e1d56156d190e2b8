// Requests in Safari's engine, which tells of every 8 KiB.
import { testTransport } from "../support/transport.mjs";
import { startWebkit } from "../support/webkit.mjs";

testTransport(startWebkit, (page, selector, file) => page.pickFile(selector, file));
