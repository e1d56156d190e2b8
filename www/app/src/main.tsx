import type { Sink } from "imagen-cloud/outbox";
import { type ComponentChild, render } from "preact";
import { adviceFor } from "./advice";
import { loadConfig } from "./config";
import { Batch } from "./control/batch";
import { watchConnection } from "./control/connection";
import { Delivery } from "./control/delivery";
import { Details } from "./control/details";
import { Elsewhere } from "./control/elsewhere";
import { Facts } from "./control/facts";
import { Gallery } from "./control/gallery";
import { Leaving } from "./control/leaving";
import { OutboxList } from "./control/outbox";
import { Removal } from "./control/removal";
import { Stage } from "./control/stage";
import { Untold } from "./control/untold";
import { Welcome } from "./control/welcome";
import { focusOn, keepFocus } from "./focus";
import { readRowsOf } from "./gallery";
import { registerWorker, watchForNewVersion, watchInstallOffer } from "./install";
import { Journal } from "./journal";
import { markAsPushed } from "./over-page";
import { Painter } from "./painter";
import { type Account, Session } from "./session";
import { edit, state } from "./state";
import { keepRoute, openRelay, openSink, openTransport, type Route, readRoute, type Transport } from "./transport";
import { App, Fatal } from "./view/app";
import type { Controls } from "./view/controls";

/** The address of "Break it": so it is there again after a reload. */
const BREAK_HASH = "#/break";

/** The doctor's: it tells what is wrong with the project's set-up. */
const DOCTOR_HASH = "#/doctor";

/** How long the Worker is asked to forget a picture, in ms. */
const TAKEN_BACK_MS = 10_000;

const root = document.getElementById("app") as HTMLElement;

async function start(): Promise<void> {
  const worker = registerWorker();
  watchConnection();
  keepFocus();
  watchInstallOffer();
  watchForNewVersion(worker);
  const config = await loadConfig();
  const session = new Session(config);
  const painter = new Painter(config.pictureSide);
  state.welcome.hasDemo.value = config.demo;
  state.breakIt.isOffered.value = import.meta.env.MODE === "demo" && config.faults === true;
  state.route.value = await readRoute();
  let sink: Promise<Sink> | undefined;
  let transport: Transport | undefined;
  let journal: Journal | undefined;

  const gallery = new Gallery();
  const details = new Details(gallery, () => sink);
  const removal = new Removal(gallery);
  const elsewhere = new Elsewhere(gallery, details, removal);
  const ways = {
    way: () => transport,
    onEnqueue: (id: string) => {
      stage.sent();
      outbox.expect(id);
    },
    onEnqueued: (id: string) => outbox.watch(id),
    onArrived: () => gallery.arrived(),
  };
  const delivery = new Delivery(ways);
  const batch = new Batch(ways);
  const facts = new Facts();
  const stage = new Stage(painter, batch, facts, () => delivery.forgetFailure());
  const outbox = new OutboxList(new Untold(), {
    onArrived: (id) => {
      gallery.arrived();
      delivery.noteArrival(id);
      batch.noteArrival(id);
    },
    onExpected: (id) => journal?.begin(id),
    tell: (brought) => delivery.arrivedByOutbox(brought),
    takeBack,
    rowsOf: async (ids) => (sink ? readRowsOf(await sink, ids) : []),
  });

  /** Goes by the chosen way from now on, with what waits in the outbox too. */
  function travel(account: Account): void {
    const route = state.route.value;
    if (!sink || !journal || transport?.route === route) return;
    transport?.close();
    const isRelay = route === "worker";
    transport = openTransport(route, isRelay ? openRelay(config, session, account, journal) : sink, isRelay, worker);
    openOutboxList(transport, account);
  }

  /** The Worker is asked by itself where the other way is chosen. */
  async function takeBack(imageId: string): Promise<void> {
    const account = state.account.value;
    if (!account || !journal) return;
    const relay = await openRelay(config, session, account, journal);
    try {
      await relay.remove({ imageId }, { deadlineMs: TAKEN_BACK_MS });
    } finally {
      relay.free();
    }
  }

  async function openOutboxList(by: Transport, { id }: Account): Promise<void> {
    try {
      await outbox.open(by.outbox, id);
    } catch (error) {
      if (by !== transport) return;
      const { title, hint } = adviceFor(error);
      state.outbox.problem.value = `${title}. ${hint}`;
    }
  }

  function openJournal({ id }: Account): Journal {
    const opened = new Journal(id);
    opened.read((histories) => {
      edit(state.histories, (copy) => {
        for (const history of histories) copy.set(history.id, history);
      });
    });
    return opened;
  }

  /** What is written down for one user is not there for the next. */
  function closeJournal(): void {
    journal?.forget(new Set(state.outbox.items.value.keys())).catch(() => {});
    journal?.close();
    journal = undefined;
    state.histories.value = new Map();
  }

  /** The sink is freed when nothing uses it any more. */
  async function leave(): Promise<void> {
    const [open, used] = [transport, sink];
    transport = undefined;
    sink = undefined;
    await open?.close();
    await used?.then((made) => made.free()).catch(() => {});
  }

  /** Only a build for a demo has the panel. */
  async function breakIt(): Promise<void> {
    if (import.meta.env.MODE !== "demo" || !config.faults || state.breakIt.panel.value) return;
    const { BreakPanel, open } = await import("./break/panel");
    open({ session, painter, list: outbox, outbox: () => transport?.outbox });
    state.breakIt.panel.value = BreakPanel;
    history.replaceState(history.state, "", BREAK_HASH);
    focusOn("break-title");
  }

  /** It is loaded when its address is opened. */
  async function seeDoctor(): Promise<void> {
    if (location.hash !== DOCTOR_HASH || state.doctor.dialog.value) return;
    state.doctor.isMissing.value = false;
    try {
      const { openDoctor } = await import("./doctor/dialog");
      state.doctor.dialog.value ??= openDoctor(DOCTOR_HASH, session, () => gallery.refresh());
    } catch {
      state.doctor.isMissing.value = true;
    }
  }

  await session.onChange((account) => {
    closeJournal();
    delivery.reset();
    details.close();
    removal.close();
    elsewhere.close();
    gallery.close();
    outbox.close();
    leave();
    state.isLeaving.value = false;
    // What was told names pictures by their words.
    state.said.value = [];
    state.account.value = account;
    state.breakIt.panel.value = undefined;
    if (!account) {
      sessionStorage.removeItem("imagen-cloud-break");
      stage.close();
      return;
    }
    journal = openJournal(account);
    sink = openSink(config, session, account, journal);
    sink.catch(() => {});
    stage.open(account.id);
    gallery.open(sink).then(() => {
      if (state.account.value === account) elsewhere.open(session, account.id);
    });
    removal.open(sink, account.id);
    travel(account);
    details.follow();
    if (location.hash === BREAK_HASH) breakIt();
  });

  addEventListener("popstate", () => {
    // A link has opened it, or a hand that typed it: what was there before is below.
    if (location.hash === DOCTOR_HASH && !history.state) markAsPushed();
    seeDoctor();
  });
  seeDoctor();
  const controls: Controls = {
    painter,
    welcome: new Welcome(session),
    stage,
    batch,
    facts,
    delivery,
    outbox,
    gallery,
    details,
    removal,
    remove: (tile) => {
      details.close();
      removal.begin(tile);
    },
    useAgain: ({ prompt, seed, backend }) => {
      details.close();
      stage.useAgain(prompt, backend === "upload" ? undefined : (seed ?? undefined));
    },
    send: () => (state.stage.batch.value.length > 0 ? batch.send() : delivery.send(() => stage.picture())),
    travelBy: (route: Route) => {
      state.route.value = route;
      if (state.account.value) travel(state.account.value);
      keepRoute(route);
    },
    breakIt,
    leaving: new Leaving(session, outbox, removal),
  };
  draw(<App controls={controls} />);
}

/** In the place of what `index.html` shows until then. */
function draw(page: ComponentChild): void {
  root.replaceChildren();
  render(page, root);
}

start().catch((error) => {
  draw(<Fatal />);
  console.error(error);
});
