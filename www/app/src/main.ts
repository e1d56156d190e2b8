import type { OutboxJob, Sink } from "imagen-cloud";
import { adviceFor } from "./advice";
import { loadConfig } from "./config";
import { byId, show } from "./dom";
import { offerInstall, registerWorker } from "./install";
import { Painter } from "./painter";
import { type Account, Session } from "./session";
import { keepRoute, openRelay, openSink, openTransport, type Route, readRoute, type Transport } from "./transport";
import { watchConnection } from "./view/connection";
import { Delivery } from "./view/delivery";
import { Details } from "./view/details";
import { Gallery } from "./view/gallery";
import { OutboxList } from "./view/outbox";
import { Stage } from "./view/stage";
import { drawWelcome, setUpWelcome } from "./view/welcome";

async function start(): Promise<void> {
  const worker = registerWorker();
  watchConnection();
  offerInstall();
  const config = await loadConfig();
  const session = new Session(config);
  const painter = new Painter(config.pictureSide);
  const routes = byId<HTMLFormElement>("compose").elements.namedItem("route") as RadioNodeList;
  routes.value = await readRoute();
  let account: Account | undefined;
  let sink: Promise<Sink> | undefined;
  let transport: Transport | undefined;

  const details = new Details(() => sink);
  const gallery = new Gallery(session, (tile) => details.open(tile));
  const delivery = new Delivery({
    way: () => transport,
    onEnqueue: (id, prompt) => outboxList.remember(id, prompt),
    onArrived: () => gallery.arrived(),
  });
  const stage = new Stage(painter, () => delivery.forgetFailure());
  const outboxList = new OutboxList((job, title, isOwn) => {
    gallery.arrived();
    if (transport && isOwn) showArrival(delivery, transport, job, title);
  });

  setUpWelcome(session, config.demo);
  byId("sign-out").addEventListener("click", () => session.signOut());
  byId("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    delivery.send(() => stage.picture());
  });
  byId("routes").addEventListener("change", () => {
    travel();
    keepRoute(routes.value as Route);
  });

  /** Goes by the chosen way from now on, with what waits in the outbox too. */
  function travel(): void {
    const route = routes.value as Route;
    if (!account || !sink || transport?.route === route) return;
    transport?.close();
    const isRelay = route === "worker";
    transport = openTransport(route, isRelay ? openRelay(config, session, account) : sink, isRelay, worker);
    openOutboxList(transport);
  }

  async function openOutboxList(by: Transport): Promise<void> {
    show("outbox-failed", false);
    try {
      const outbox = await by.outbox;
      if (by === transport) await outboxList.open(outbox);
    } catch (error) {
      if (by !== transport) return;
      const { title, hint } = adviceFor(error);
      byId("outbox-failed").textContent = `${title}. ${hint}`;
      show("outbox-failed", true);
    }
  }

  /** The sink is freed when nothing uses it any more. */
  async function leave(): Promise<void> {
    const [open, used] = [transport, sink];
    transport = undefined;
    sink = undefined;
    await open?.close();
    await used?.then((made) => made.free()).catch(() => {});
  }

  await session.onChange((signedIn) => {
    delivery.reset();
    details.close();
    gallery.close();
    outboxList.close();
    leave();
    account = signedIn;
    byId("account-email").textContent = account?.email ?? "";
    show("account", account !== undefined);
    show("studio", account !== undefined);
    show("welcome", account === undefined);
    if (account) {
      sink = openSink(config, session, account);
      sink.catch(() => {});
      stage.open();
      gallery.open(sink);
      travel();
    } else {
      drawWelcome(painter);
    }
  });
}

async function showArrival(delivery: Delivery, { target }: Transport, { id, storagePath }: OutboxJob, title: string) {
  try {
    await delivery.arrivedByOutbox(title, storagePath, id, await (await target).signedUrl(storagePath));
  } catch {
    // The gallery shows it, and tells what is wrong.
  }
}

start().catch((error) => {
  const fatal = byId("fatal");
  fatal.textContent = "This page could not start: its configuration can't be loaded. Reload it in a moment.";
  fatal.hidden = false;
  console.error(error);
});
