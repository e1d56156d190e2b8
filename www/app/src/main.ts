import { loadConfig } from "./config";
import { byId, show } from "./dom";
import { directRoute, type Route, workerRoute } from "./routes";
import { Session } from "./session";
import { Delivery } from "./view/delivery";
import { Gallery } from "./view/gallery";
import { Stage } from "./view/stage";
import { drawWelcome, setUpWelcome } from "./view/welcome";

type RouteName = "direct" | "worker";

async function start(): Promise<void> {
  const config = await loadConfig();
  const session = new Session(config);
  let routes: Record<RouteName, Route> | undefined;

  const gallery = new Gallery(session, () => routes?.direct);
  const delivery = new Delivery(() => gallery.refresh());
  const stage = new Stage(() => delivery.forgetFailure());

  setUpWelcome(session, config.demo);
  byId("sign-out").addEventListener("click", () => session.signOut());
  byId("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    const route = routes?.[chosenRoute()];
    if (route) delivery.send(() => stage.picture(), route);
  });

  session.onChange((account) => {
    delivery.reset();
    gallery.clear();
    routes = account && {
      direct: directRoute(config, session, account),
      worker: workerRoute(config, session),
    };
    byId("account-email").textContent = account?.email ?? "";
    show("account", account !== undefined);
    show("studio", account !== undefined);
    show("welcome", account === undefined);
    if (account) {
      stage.open();
      gallery.refresh();
    } else {
      drawWelcome();
    }
  });
}

function chosenRoute(): RouteName {
  return new FormData(byId<HTMLFormElement>("compose")).get("route") === "worker" ? "worker" : "direct";
}

start().catch((error) => {
  const fatal = byId("fatal");
  fatal.textContent = "This page could not start: its configuration can't be loaded. Reload it in a moment.";
  fatal.hidden = false;
  console.error(error);
});
