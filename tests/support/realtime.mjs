/**
 * A double of Supabase Realtime's wire for changes in tables, which the embedded Supabase does not have: Phoenix channels over a
 * WebSocket, version 2 of their serializer, as https://supabase.com/docs/guides/realtime/protocol describes it. It looks into no
 * database: the test says what has changed.
 *
 * A row reaches those who joined with a token and a filter that lets it through, a removed row's id everybody who asked for
 * removals: there is no row left to ask a policy about.
 */
import { WebSocketServer } from "ws";

const TABLE = { schema: "imagen", table: "images" };

/** Listens on a server that has the project's address. */
export function startRealtime(server) {
  const sockets = new WebSocketServer({ server, path: "/realtime/v1/websocket" });
  /** What each channel was asked for, and with which token, by its socket and topic. */
  const joined = new Map();
  const tokens = [];
  const watchers = new Set();
  let nextId = 1;

  sockets.on("connection", (socket, { url }) => {
    const version = new URL(url, "http://x").searchParams.get("vsn");
    socket.on("message", (data) => answer(socket, version, JSON.parse(String(data))));
    socket.on("close", () => {
      for (const key of joined.keys()) if (key.socket === socket) joined.delete(key);
      wake();
    });
  });

  function answer(socket, version, [joinRef, ref, topic, event, payload]) {
    const reply = (response) =>
      send(socket, [joinRef, ref, topic, "phx_reply", { status: version === "2.0.0" ? "ok" : "error", response }]);
    if (event === "access_token" || event === "phx_join") tokens.push(payload.access_token);
    if (event === "access_token") {
      for (const [key, one] of joined)
        if (key.socket === socket && key.topic === topic) one.token = payload.access_token;
    }
    if (event === "phx_join") {
      const asked = payload.config.postgres_changes.map((one) => ({ ...one, id: nextId++ }));
      joined.set({ socket, topic }, { asked, token: payload.access_token });
      reply({ postgres_changes: asked });
      const told = { channel: topic, extension: "postgres_changes", message: "Subscribed to PostgreSQL", status: "ok" };
      send(socket, [null, null, topic, "system", told]);
    } else {
      reply({});
    }
    wake();
  }

  function tell(type, record, old) {
    const { owner_user_id: owner } = record;
    for (const [{ socket, topic }, { asked, token }] of joined) {
      const mayRead = token || type === "DELETE";
      const isMeant = ({ event, filter }) =>
        mayRead && event === type && (!filter || filter === `owner_user_id=eq.${owner}`);
      const ids = asked.filter(isMeant).map(({ id }) => id);
      const at = new Date().toISOString();
      const data = { ...TABLE, type, commit_timestamp: at, columns: [], errors: null, record, old_record: old };
      if (ids.length > 0) send(socket, [null, null, topic, "postgres_changes", { ids, data }]);
    }
  }

  function wake() {
    for (const watch of watchers) watch();
  }

  return {
    /** The tokens that came with joins, and those that came later for them. */
    tokens,
    /** Resolves when so many channels are joined, so many tokens have come, and the last is another than `old`. */
    until: ({ channels, tokens: count = 0, old }) =>
      new Promise((resolve) => {
        const watch = () => {
          const isWanted =
            joined.size === (channels ?? joined.size) && tokens.length >= count && !(old && tokens.at(-1) === old);
          if (!isWanted) return;
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
        watch();
      }),
    inserted: (row) => tell("INSERT", row, {}),
    removed: (id) => tell("DELETE", {}, { id }),
    /** Ends all connections, as a restart of the server does. */
    drop() {
      for (const socket of sockets.clients) socket.terminate();
    },
    close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
    },
  };
}

function send(socket, message) {
  socket.send(JSON.stringify(message));
}
