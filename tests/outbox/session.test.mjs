// A real sign-in whose token expires while no page is open: the service worker refreshes it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dispatchSync, stopWorkers } from "../support/background.mjs";
import { outboxWorld, range, sinkOf } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld({ jwtExpiry: 5 });

const rowsOf = async (user) => world.supabase.sql("select 1 from imagen.images where owner_user_id = $1", [user.id]);

test("a signed-in user's image arrives after the page was closed and the token has expired", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context, open: false });
  const settings = { user, supabase: world.supabase, target: world.recorder.url };
  const session = await tab.page.evaluate(
    async ([sink, email, password]) => {
      const { openSession } = await import("/session.js");
      const { data, error } = await openSession(sink).auth.signInWithPassword({ email, password });
      if (error) throw error;
      return { accessToken: data.session.access_token, expiresAt: data.session.expires_at };
    },
    [sinkOf(settings), user.email, user.password],
  );
  await tab.open();
  await tab.page.evaluate(
    (url) => navigator.serviceWorker.register(url, { type: "module" }).then(() => navigator.serviceWorker.ready),
    world.worker(user, { script: "session-sw.js" }),
  );
  world.recorder.offline(true);
  const results = await tab.enqueueAll(range(2));
  await tab.page.close();
  await stopWorkers(context);
  await until(() => Date.now() / 1000 > session.expiresAt + 1, "an expired token");

  world.recorder.offline(false);
  await dispatchSync(context, world.site.url);
  await until(async () => (await rowsOf(user)).length === 2, "two rows");
  await world.arrived(user, range(2), results);
  const sent = world.recorder.requests.filter(({ image }) => image?.startsWith(user.id));
  assert.ok(sent.length > 0);
  for (const { headers } of sent) assert.notEqual(headers.authorization, `Bearer ${session.accessToken}`);
});
