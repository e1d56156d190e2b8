// Requests in Chromium.
import { startBrowser } from "../support/browser.mjs";
import { testTransport } from "../support/transport.mjs";

// By the browser's protocol: what Playwright picks over it are copies, which nobody can change.
testTransport(startBrowser, async (page, selector, file) => {
  const session = await page.context().newCDPSession(page);
  const { root } = await session.send("DOM.getDocument");
  const { nodeId } = await session.send("DOM.querySelector", { nodeId: root.nodeId, selector });
  await session.send("DOM.setFileInputFiles", { nodeId, files: [file] });
});
