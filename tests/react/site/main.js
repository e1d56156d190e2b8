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
let kept;
/** What was rendered, by the user of that rendering. */
const rendered = [];
const shownImages = [];
const sendings = [];
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
  const jobs = outbox.jobs.map(({ storagePath }) => storagePath);
  rendered.push({ user: user?.ownerUserId, state: outbox.state, jobs });
  return h("p", { id: name }, `${outbox.state} ${outbox.jobs.length}`);
}

function Sender({ user }) {
  const sending = useSync(user);
  hooks.sending = sending;
  sendings.push({ user: user?.ownerUserId, state: sending.state });
  return h("p", { id: "sending" }, `${sending.state} ${sending.result?.storagePath ?? ""}`);
}

function Images({ user }) {
  const gallery = useImages(user, { limit: 2 });
  hooks.gallery = gallery;
  const paths = gallery.images.map(({ storagePath }) => storagePath);
  shownImages.push({ user: user?.ownerUserId, state: gallery.state, paths });
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
  /** Keeps what this rendering has given, as a handler does that waits for an image to be made. */
  holdOn: () => {
    kept = { ...hooks };
  },
  enqueueOfThen: (seed) => outcome(kept.one.enqueue(request(seed))),
  removeOfThen: () => outcome(kept.gallery.remove({ imageId: crypto.randomUUID() })),
  syncOfThen: (seed) => outcome(kept.sending.sync(request(seed))),
  arrived: () => project.rows.map((row) => row.storage_path),
  requests: () => project.requests.length,
  /** Has the jobs not be listed, once: not by what counts as a lost connection or record, which is mended and tried again. */
  failList: () => {
    const { getAll } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.getAll = function (...args) {
      const isList = this.name === "jobs" && args[0]?.lower === 0;
      if (!isList) return getAll.apply(this, args);
      IDBObjectStore.prototype.getAll = getAll;
      throw new DOMException("this disk has bad days", "OperationError");
    };
  },
  states: () => hooks.one.jobs.map(({ state }) => state).join(),
  jobsError: () => hooks.one.error?.code,
  channels,
  rendered,
  shownImages,
  sendings,
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
  /** Asks for the next page while that is on its way. */
  moreSoon: () => {
    held.more = hooks.gallery.more();
  },
  arrive: async () => {
    const { pass, refreshed, more } = held;
    held = undefined;
    pass();
    await Promise.all([refreshed, more]);
  },
};
