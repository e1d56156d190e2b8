import type { OutboxJob } from "imagen-cloud";
import { adviceFor } from "./advice";
import { loadConfig } from "./config";
import { type Direct, openDirect } from "./direct";
import { byId, show } from "./dom";
import { offerInstall, registerWorker } from "./install";
import { Painter } from "./painter";
import { type Route, workerRoute } from "./routes";
import { Session } from "./session";
import { watchConnection } from "./view/connection";
import { Delivery, type Way } from "./view/delivery";
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
  const painter = new Painter();
  let direct: Direct | undefined;
  let byWorker: Route | undefined;

  const details = new Details(() => direct?.sink);
  const gallery = new Gallery(session, (tile) => details.open(tile));
  const delivery = new Delivery(() => gallery.arrived());
  const stage = new Stage(painter, () => delivery.forgetFailure());
  const outboxList = new OutboxList((job, title, isOwn) => {
    gallery.arrived();
    if (direct && isOwn) showArrival(delivery, direct, job, title);
  });

  setUpWelcome(session, config.demo);
  byId("sign-out").addEventListener("click", () => session.signOut());
  byId("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    const way = chosenWay();
    if (way) delivery.send(() => stage.picture(), way);
  });

  function chosenWay(): Way | undefined {
    const isByWorker = new FormData(byId<HTMLFormElement>("compose")).get("route") === "worker";
    if (isByWorker) return byWorker && { route: byWorker };
    return direct && { outbox: direct.outbox, onEnqueue: (id, prompt) => outboxList.remember(id, prompt) };
  }

  await session.onChange((account) => {
    delivery.reset();
    details.close();
    gallery.close();
    outboxList.close();
    direct?.close();
    direct = account && openDirect(config, session, account, worker);
    byWorker = account && workerRoute(config, session);
    byId("account-email").textContent = account?.email ?? "";
    show("account", account !== undefined);
    show("studio", account !== undefined);
    show("welcome", account === undefined);
    if (direct) {
      stage.open();
      gallery.open(direct.sink);
      openOutboxList(outboxList, direct);
    } else {
      drawWelcome(painter);
    }
  });
}

async function openOutboxList(list: OutboxList, { outbox }: Direct): Promise<void> {
  show("outbox-failed", false);
  try {
    await list.open(await outbox);
  } catch (error) {
    const { title, hint } = adviceFor(error);
    byId("outbox-failed").textContent = `${title}. ${hint}`;
    show("outbox-failed", true);
  }
}

async function showArrival(delivery: Delivery, { sink }: Direct, { id, storagePath }: OutboxJob, title: string) {
  try {
    await delivery.arrivedByOutbox(title, storagePath, id, await (await sink).signedUrl(storagePath));
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
