// Firefox, as it is installed, by WebDriver BiDi. (Playwright drives only a build of its own.)
import puppeteer from "puppeteer-core";

const executablePath = process.env.FIREFOX ?? "/usr/bin/firefox-esr";

/**
 * A browser whose contexts share nothing, with as much of Playwright's manners as `openTab` asks for.
 * @param {Record<string, unknown>} [extraPrefsFirefox] its settings
 */
export async function startFirefox(extraPrefsFirefox = {}) {
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, extraPrefsFirefox });
  return { newContext: () => browser.createBrowserContext(), close: () => browser.close() };
}
