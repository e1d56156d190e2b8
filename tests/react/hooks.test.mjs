// imagen-cloud/react in Chromium, with React 18 and 19, in StrictMode; and where a server renders.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build, stop } from "esbuild";
import { startBrowser } from "../support/browser.mjs";
import { shared } from "../support/shared.mjs";
import { startSite } from "../support/site.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const REACTS = { 18: path.join(ROOT, "tests/react/react18/node_modules"), 19: path.join(ROOT, "node_modules") };

/** Bundles a file with that React; the package itself stays outside. */
const bundle = (version, options) =>
  build({
    bundle: true,
    format: "esm",
    logLevel: "error",
    external: ["imagen-cloud/outbox", "imagen-cloud/testing"],
    alias: Object.fromEntries(["react", "react-dom"].map((name) => [name, path.join(REACTS[version], name)])),
    define: { "process.env.NODE_ENV": '"development"' },
    ...options,
  });

// Its process would keep this one from ending.
after(() => stop());

for (const version of Object.keys(REACTS)) {
  describe(`React ${version}`, () => {
    let folder;
    let site;
    let browser;

    before(async () => {
      await mkdir(path.join(ROOT, "target"), { recursive: true });
      folder = await mkdtemp(path.join(ROOT, "target/react-"));
      await cp(path.join(ROOT, "tests/react/site/index.html"), path.join(folder, "index.html"));
      const entryPoints = [path.join(ROOT, "tests/react/site/main.js")];
      await bundle(version, { entryPoints, outfile: path.join(folder, "main.js") });
      site = await startSite({ "/pkg/": "pkg", "/data/": "tests/data", "/": folder });
      browser = await shared(startBrowser);
    });
    after(async () => {
      await site?.close();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    /** A page with nobody signed in, and what the browser complained of. */
    async function open(t) {
      const context = await browser.newContext();
      t.after(() => context.close());
      const page = await context.newPage();
      const complaints = [];
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
      await page.goto(site.url);
      await page.waitForFunction("globalThis.world");
      const shows = (id, text) =>
        page.waitForFunction(([id, text]) => document.getElementById(id)?.textContent === text, [id, text]);
      const world = (method, ...args) =>
        page.evaluate(([method, args]) => globalThis.world[method](...args), [method, args]);
      const get = (name) => page.evaluate((name) => globalThis.world[name], name);
      return { page, shows, world, get, complaints };
    }

    test("an_image_that_is_enqueued_arrives_and_components_share_one_outbox", async (t) => {
      const { page, shows, world, get, complaints } = await open(t);
      assert.equal((await page.textContent("#react")).split(".")[0], version);
      await shows("one", "signed-out 0");
      await world("signIn", 0);
      await shows("one", "open 0");
      await shows("two", "open 0");
      const sent = await world("enqueue", 1);
      await page.waitForFunction(() => globalThis.world.arrived().length === 1);
      assert.deepEqual(await world("arrived"), [sent]);
      await shows("two", "open 0");
      assert.deepEqual(await get("channels"), { made: 1, open: 1 }, "StrictMode opens nothing twice");
      assert.deepEqual(complaints, []);
    });

    test("enqueueing_before_the_outbox_is_open_waits_for_it", async (t) => {
      const { page, world } = await open(t);
      await page.evaluate(() => globalThis.world.signIn(0));
      await page.waitForFunction(() => document.getElementById("one").textContent !== "signed-out 0");
      assert.match(await world("enqueue", 2), /hooks-2\.png$/);
    });

    test("another_user_sees_nothing_of_the_first_ones_images", async (t) => {
      const { shows, world, get } = await open(t);
      await world("signIn", 0);
      await shows("one", "open 0");
      await world("fail", { on: "upload", how: "unreachable", times: 1000 });
      await world("enqueue", 3);
      await shows("two", "open 1");
      await world("signIn", 1);
      await shows("one", "open 0");
      const ids = await get("ids");
      const seen = (await get("rendered")).filter(({ user }) => user === ids[1]);
      assert.ok(seen.length > 0);
      assert.deepEqual(
        seen.filter(({ jobs }) => jobs.length > 0),
        [],
      );
      await world("signIn", 0);
      await shows("one", "open 1");
    });

    test("signing_out_closes_the_outbox_and_refuses_to_enqueue", async (t) => {
      const { page, shows, world } = await open(t);
      await world("signIn", 0);
      await shows("one", "open 0");
      await world("signOut");
      await shows("one", "signed-out 0");
      await page.waitForFunction(() => globalThis.world.channels.open === 0);
      assert.match(await world("enqueue", 4), /nobody is signed in/);
      assert.match(await world("sync", 4), /nobody is signed in/);
    });

    test("what_waits_for_its_image_across_a_change_of_user_is_refused_and_not_sent_as_the_other_ones", async (t) => {
      const { shows, world, get } = await open(t);
      await world("signIn", 0);
      await shows("one", "open 0");
      await world("holdOn");
      await world("signIn", 1);
      await shows("one", "open 0");
      assert.match(await world("enqueueOfThen", 10), /another user is signed in/);
      assert.match(await world("removeOfThen"), /another user is signed in/);
      assert.match(await world("syncOfThen", 11), /another user is signed in/);
      await world("signOut");
      await shows("one", "signed-out 0");
      await world("signIn", 0);
      await shows("one", "open 0");
      assert.match(await world("syncOfThen", 12), /hooks-12\.png$/);
      assert.match(await world("enqueueOfThen", 13), /hooks-13\.png$/);
      const [first] = await get("ids");
      for (const path of await world("arrived")) assert.ok(path.startsWith(first), path);
    });

    test("what_is_asked_of_a_component_that_is_gone_is_refused", async (t) => {
      const { page, shows, world } = await open(t);
      await world("signIn", 0);
      await shows("one", "open 0");
      await world("holdOn");
      await world("show", false);
      await page.waitForFunction(() => document.getElementById("one") === null);
      assert.match(await world("enqueueOfThen", 14), /the component is gone/);
      assert.match(await world("syncOfThen", 15), /the component is gone/);
      assert.deepEqual(await world("arrived"), []);
    });

    test("who_comes_back_is_shown_nothing_of_before", async (t) => {
      const { page, shows, world, get } = await open(t);
      await world("signIn", 0);
      await shows("one", "open 0");
      const path = await world("sync", 16);
      await shows("sending", `done ${path}`);
      await world("refresh");
      await shows("images", "shown 1");
      await world("signOut");
      await shows("one", "signed-out 0");
      await page.waitForFunction(() => globalThis.world.channels.open === 0);
      const [before, images, sendings] = [await get("rendered"), await get("shownImages"), await get("sendings")];
      await world("signIn", 0);
      await shows("one", "open 0");
      const [id] = await get("ids");
      const firstOf = async (name, { length }) => (await get(name)).slice(length).find(({ user }) => user === id).state;
      assert.equal(await firstOf("rendered", before), "opening", "not an outbox that was closed");
      assert.equal(await firstOf("shownImages", images), "loading");
      assert.equal(await firstOf("sendings", sendings), "idle");
    });

    test("components_that_go_while_it_opens_leave_nothing_open", async (t) => {
      const { page, shows, world } = await open(t);
      await page.evaluate(() => {
        globalThis.world.signIn(0);
        setTimeout(() => globalThis.world.show(false));
      });
      await page.waitForFunction(() => document.getElementById("one") === null);
      await page.waitForFunction(() => globalThis.world.channels.open === 0);
      await world("show", true);
      await shows("one", "open 0");
    });

    test("an_error_is_shown_no_longer_than_until_the_jobs_are_listed", async (t) => {
      const { page, shows, world } = await open(t);
      await world("failList");
      await world("signIn", 0);
      await page.waitForFunction(() => globalThis.world.jobsError() === "storage_unavailable");
      await world("fail", { on: "upload", how: "unreachable", times: 1000 });
      await world("enqueue", 9);
      await shows("one", "open 1");
      assert.equal(await world("jobsError"), undefined);
    });

    test("a_page_that_is_shown_again_as_it_was_lists_the_jobs_anew", async (t) => {
      const { page, shows, world, get } = await open(t);
      await world("signIn", 0);
      await shows("one", "open 0");
      // Refused for good: no drain has it in hand.
      const body = { statusCode: "413", error: "Payload too large", message: "too large" };
      await world("fail", { on: "upload", status: 400, body });
      await world("enqueue", 3);
      await page.waitForFunction(() => globalThis.world.states() === "failed");
      // Another page is done with it, whose word this one does not hear in the back/forward cache.
      await page.evaluate(
        async (name) => {
          const opening = indexedDB.open(name);
          const database = await new Promise((resolve) =>
            opening.addEventListener("success", () => resolve(opening.result)),
          );
          database.transaction("jobs", "readwrite").objectStore("jobs").clear();
          database.close();
          dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
        },
        `imagen-cloud-outbox-${(await get("ids"))[0]}`,
      );
      await shows("one", "open 0");
      await shows("two", "open 0");
    });

    test("the_token_is_always_that_of_the_last_rendering", async (t) => {
      const { page, shows, world, get } = await open(t);
      await world("signIn", 0);
      await world("useToken", "old.and.refused");
      await shows("one", "open 0");
      await world("useToken", await world("tokenOf", 0));
      await world("enqueue", 5);
      await page.waitForFunction(() => globalThis.world.arrived().length === 1);
      assert.equal((await get("channels")).made, 1, "a new token is no new user");
    });

    test("a_sync_tells_how_it_goes_and_ends_with_its_user", async (t) => {
      const { page, shows, world, get } = await open(t);
      await world("signIn", 0);
      await shows("sending", "idle ");
      const path = await world("sync", 6);
      await shows("sending", `done ${path}`);
      await world("fail", {
        on: "upload",
        status: 400,
        body: { statusCode: "413", error: "Payload too large", message: "too large" },
      });
      assert.equal(await world("sync", 7), "too_large");
      await shows("sending", "failed ");
      await world("fail", { on: "upload", how: "hanging", times: 1000 });
      const stopped = world("sync", 8);
      await shows("sending", "sending ");
      const before = await world("requests");
      await page.waitForFunction((before) => globalThis.world.requests() > before - 1, before);
      await world("signIn", 1);
      assert.equal(await stopped, "aborted");
      await shows("sending", "idle ");
      assert.equal((await get("ids")).length, 2);
    });

    test("a_users_images_are_read_page_by_page_and_removed", async (t) => {
      const { shows, world, get, complaints } = await open(t);
      await world("signIn", 0);
      await shows("images", "shown 0");
      const paths = [];
      for (const seed of [1, 2, 3]) paths.unshift(await world("sync", seed));
      await world("refresh");
      await shows("images", "shown 2+");
      // Asked for twice, it is read once.
      await world("more");
      await shows("images", "shown 3");
      assert.deepEqual(
        await world("images"),
        paths.map((path, index) => [path, String(3 - index), true]),
      );
      assert.equal(await world("remove", paths[1]), paths[1]);
      await shows("images", "shown 2");
      assert.deepEqual((await world("arrived")).sort(), [paths[0], paths[2]].sort());

      await world("signIn", 1);
      await shows("images", "shown 0");
      const [, other] = await get("ids");
      const seen = (await get("shownImages")).filter(({ user, paths }) => user === other && paths.length > 0);
      assert.deepEqual(seen, [], "another user's images are never shown");
      assert.deepEqual(complaints, []);
    });

    test("an_image_that_is_removed_while_a_page_is_read_does_not_come_back_with_it", async (t) => {
      const { shows, world } = await open(t);
      await world("signIn", 0);
      await shows("images", "shown 0");
      const [path] = [await world("sync", 1), await world("sync", 2)];
      await world("refresh");
      await shows("images", "shown 2");
      await world("refreshSlowly");
      assert.equal(await world("remove", path), path);
      await shows("images", "shown 1");
      await world("arrive");
      await shows("images", "shown 1");
      assert.deepEqual((await world("images")).length, 1);
    });

    test("a_next_page_that_is_asked_for_during_a_refresh_is_read_behind_what_that_brings", async (t) => {
      const { shows, world } = await open(t);
      await world("signIn", 0);
      await shows("images", "shown 0");
      for (const seed of [1, 2, 3]) await world("sync", seed);
      await world("refresh");
      await shows("images", "shown 2+");
      await world("sync", 4);
      await world("refreshSlowly");
      await world("moreSoon");
      await world("arrive");
      await shows("images", "shown 4");
      assert.deepEqual(
        (await world("images")).map(([, seed]) => seed),
        ["4", "3", "2", "1"],
      );
    });

    test("of_two_rows_of_one_object_the_one_that_is_not_removed_stays", async (t) => {
      const { shows, world } = await open(t);
      await world("signIn", 0);
      await shows("images", "shown 0");
      await world("sync", 1);
      await world("sync", 1);
      await world("refresh");
      await shows("images", "shown 2");
      await world("removeNewest");
      await shows("images", "shown 1");
      await world("refresh");
      await shows("images", "shown 1");
    });

    test("images_are_read_once_the_webassembly_comes_that_did_not_at_first", async (t) => {
      const { page, shows, world } = await open(t);
      await page.route("**/*.wasm", (route) => route.abort());
      await world("signIn", 0);
      await shows("images", "failed 0");
      await page.unroute("**/*.wasm");
      await world("refresh");
      await shows("images", "shown 0");
    });

    test("images_that_cannot_be_read_leave_those_that_were", async (t) => {
      const { shows, world } = await open(t);
      await world("signIn", 0);
      await shows("images", "shown 0");
      await world("sync", 1);
      await world("refresh");
      await shows("images", "shown 1");
      await world("fail", { on: "read", status: 403, body: { code: "42501", message: "permission denied" } });
      await world("refresh");
      await shows("images", "failed 1");
      await world("refresh");
      await shows("images", "shown 1");
    });

    test("a_server_renders_it_without_opening_anything", async () => {
      const outfile = path.join(folder, "server.mjs");
      const contents = `
        import { createElement as h, StrictMode } from "react";
        import { renderToString } from "react-dom/server.browser";
        import { useImages, useOutbox, useSync } from "./pkg/react/index.js";
        const Page = ({ user }) =>
          h("p", null, [useOutbox(user).state, useOutbox(user).jobs.length, useSync(user).state, useImages(user).state].join(" "));
        export const render = (user) => renderToString(h(StrictMode, null, h(Page, { user })));`;
      await bundle(version, { stdin: { contents, resolveDir: ROOT }, outfile, platform: "node" });
      // In a process of its own, which React's channels would keep from ending.
      const script = `
        import { render } from ${JSON.stringify(pathToFileURL(outfile).href)};
        const user = { url: "https://x.example", apiKey: "k", ownerUserId: "7d6f2b8e-1111-4222-8333-444455556666" };
        console.log(JSON.stringify([render(user), render(null)]));
        process.exit(0);`;
      const args = ["--input-type=module", "--eval", script];
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
      const [signedIn, signedOut] = JSON.parse(stdout).map((html) => html.replaceAll("<!-- -->", ""));
      assert.equal(signedIn, "<p>opening 0 idle loading</p>");
      assert.equal(signedOut, "<p>signed-out 0 idle signed-out</p>");
    });
  });
}
