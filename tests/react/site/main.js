// A page with two components that use one user's outbox, and what the test drives it by.
import { createFakeProject } from "imagen-cloud/testing";
import { createElement as h, StrictMode, useState, version } from "react";
import { createRoot } from "react-dom/client";
import { useImages, useOutbox, useSync } from "../../../pkg/react/index.js";

const project = createFakeProject();
const users = [project.user, project.createUser()];
/** Every open outbox has a channel; those of its lock come and go with its drains. */
const channels = { made: 0, open: 0 };
globalThis.BroadcastChannel = class extends BroadcastChannel {
  #counts = this.name.endsWith("-lock") ? 0 : 1;
  constructor(name) {
    super(name);
    channels.made += this.#counts;
    channels.open += this.#counts;
  }
  close() {
    channels.open -= this.#counts;
    super.close();
  }
};

/** Keeps the answers to lists back, as a slow line does. */
let held;
async function fetchSlowly(input, init) {
  const answer = await project.fetch(input, init);
  if (held && String(input).includes("&order=")) {
    held.reach();
    await held.passed;
  }
  return answer;
}

const hooks = {};
/** What was rendered, by the user of that rendering. */
const rendered = [];
const shownImages = [];
let setUser;
let setShown;
let setToken;

/** A new object and a new function at every rendering, as people write it. */
const optionsOf = (number, token) => ({
  ...project.optionsOf(users[number]),
  fetch: fetchSlowly,
  initialBackoffMs: 1,
  accessToken: () => token ?? users[number].accessToken(),
});

function Jobs({ user, name }) {
  const outbox = useOutbox(user);
  hooks[name] = outbox;
  rendered.push({ user: user?.ownerUserId, jobs: outbox.jobs.map(({ storagePath }) => storagePath) });
  return h("p", { id: name }, `${outbox.state} ${outbox.jobs.length}`);
}

function Sender({ user }) {
  const sending = useSync(user);
  hooks.sending = sending;
  return h("p", { id: "sending" }, `${sending.state} ${sending.result?.storagePath ?? ""}`);
}

function Images({ user }) {
  const gallery = useImages(user, { limit: 2 });
  hooks.gallery = gallery;
  shownImages.push({ user: user?.ownerUserId, paths: gallery.images.map(({ storagePath }) => storagePath) });
  return h("p", { id: "images" }, `${gallery.state} ${gallery.images.length}${gallery.hasMore ? "+" : ""}`);
}

function App() {
  const [number, setNumber] = useState(undefined);
  const [isShown, setIsShown] = useState(true);
  const [token, setOwnToken] = useState(undefined);
  setUser = setNumber;
  setShown = setIsShown;
  setToken = setOwnToken;
  const user = number === undefined ? null : optionsOf(number, token);
  const parts = isShown ? [h(Jobs, { user, name: "one", key: 1 }), h(Jobs, { user, name: "two", key: 2 })] : [];
  return h(
    "div",
    null,
    ...parts,
    isShown ? h(Sender, { user }) : null,
    isShown ? h(Images, { user }) : null,
    h("p", { id: "react" }, version),
  );
}

createRoot(document.querySelector("main")).render(h(StrictMode, null, h(App)));

const png = await (await fetch("/data/lighthouse.png")).blob();
const request = (seed) => ({ date: "2026-05-11", slug: "hooks", seed, image: png, prompt: "p", backend: "b" });
const outcome = (promise) =>
  promise.then(
    ({ storagePath }) => storagePath,
    ({ code, message }) => code ?? message,
  );

globalThis.world = {
  signIn: (number) => setUser(number),
  signOut: () => setUser(undefined),
  show: (is) => setShown(is),
  useToken: (token) => setToken(token),
  enqueue: (seed) => outcome(hooks.one.enqueue(request(seed))),
  sync: (seed) => outcome(hooks.sending.sync(request(seed))),
  fail: (fault) => void project.fail(fault),
  expire: (number) => users[number].expire(),
  ids: users.map(({ id }) => id),
  tokenOf: (number) => users[number].accessToken(),
  arrived: () => project.rows.map((row) => row.storage_path),
  requests: () => project.requests.length,
  channels,
  rendered,
  shownImages,
  refresh: () => hooks.gallery.refresh(),
  more: () => Promise.all([hooks.gallery.more(), hooks.gallery.more()]).then(() => undefined),
  images: () =>
    hooks.gallery.images.map(({ storagePath, seed, signedUrl }) => [storagePath, String(seed), !!signedUrl]),
  remove: (storagePath) => outcome(hooks.gallery.remove({ storagePath })),
  removeNewest: () => outcome(hooks.gallery.remove({ imageId: hooks.gallery.images[0].imageId })),
  /** Begins to read, and leaves the answer on its way. */
  refreshSlowly: async () => {
    const reached = new Promise((reach) => {
      held = { reach };
    });
    held.passed = new Promise((pass) => {
      held.pass = pass;
    });
    held.refreshed = hooks.gallery.refresh();
    await reached;
  },
  arrive: async () => {
    const { pass, refreshed } = held;
    held = undefined;
    pass();
    await refreshed;
  },
};
