/**
 * What "Break it" in the demo needs: a proxy before Supabase that can lose a visitor's requests, in the page, in the service
 * worker and in whatever else sends with the visitor's token; and, beside the page, `/faults`:
 *
 *   PUT /faults           { offline, lose, down, slow, begin }: from now on, for the visitor whose token it is; `begin`
 *                         counts from 0 again
 *   GET /faults?run=NAME  { faults, list, score }: how much was broken, and what database and bucket hold of a run
 *
 * | fault   | the server     | who sent it                                                          |
 * | ------- | -------------- | -------------------------------------------------------------------- |
 * | offline | sees nothing   | loses the connection                                                 |
 * | down    | sees nothing   | gets 503; the Worker too, while the Worker itself stays up           |
 * | slow    | does it        | gets its answer 2 s late                                             |
 * | lose    | as the list says, the same for every way of sending: see {@link LIST}                     |
 *
 * It trusts a token without checking it: it is for a demo on this machine.
 */
import { createServer, request as sendRequest } from "node:http";

/** Of ten pictures' twenty requests four are broken, each at its first try: by its place among those of its kind, from 1. */
export const LIST = {
  upload: { 3: "lost", 8: "lost" },
  insert: { 5: "refused", 9: "lost" },
  sync: { 3: "lost", 8: "lost" },
};
const BUCKET = "imagen-generated";
/** The end of a small picture's path. It meets what befalls the whole line, but it is no picture of its own. */
const THUMB = ".thumb";
const SLOW_MS = 2000;
const NO_FAULTS = { offline: false, lose: false, down: false, slow: false };

/**
 * Starts the proxy on a free port of 127.0.0.1.
 * @param {{ url: string, anonKey: string }} supabase
 */
export async function startFaults({ url: target, anonKey }) {
  const visitors = new Map();
  const visitorOf = (id) => known(visitors, id);

  /** Does to a request what its visitor wants, and passes it on with `forward` where there is something left to do. */
  async function disturb(incoming, outgoing, forward) {
    outgoing.on("error", () => {});
    // Where a connection breaks that was used before, a browser sends the request again by itself.
    outgoing.shouldKeepAlive = false;
    const body = await bodyOf(incoming).catch(() => undefined);
    if (body === undefined) return;
    const about = recognise(incoming, body);
    // A preflight carries no token, and a browser that is refused one tells nobody why.
    const isHarmed = about.visitor !== undefined && !about.isPreflight;
    const fault = isHarmed ? faultOf(visitorOf(about.visitor), about) : undefined;
    if (fault === "offline") return void outgoing.destroy();
    if (fault === "down" || fault === "refused") return refuse(incoming, outgoing);
    if (fault === "slow") await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
    const answer = await forward(body).catch(() => undefined);
    if (!answer || fault === "lost") return void outgoing.destroy();
    outgoing.writeHead(answer.status, answer.headers).end(incoming.method === "HEAD" ? undefined : answer.body);
  }

  async function answer(incoming, outgoing) {
    const token = tokenOf(incoming);
    const id = claimsOf(token).sub;
    if (id === undefined) return void outgoing.writeHead(401).end();
    const visitor = visitorOf(id);
    if (incoming.method === "PUT") change(visitor, JSON.parse(await bodyOf(incoming)));
    else if (incoming.method !== "GET") return void outgoing.writeHead(405).end();
    const run = new URL(incoming.url, "http://x").searchParams.get("run") ?? "";
    const score = /^[a-z0-9]+$/.test(run) ? await scoreOf(visitor, run, { target, anonKey, token, id }) : undefined;
    const told = { faults: visitor.faults, list: LIST, score };
    outgoing.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
    outgoing.end(JSON.stringify(told));
  }

  const guarded = (work) => (incoming, outgoing, forward) =>
    work(incoming, outgoing, forward).catch(() => outgoing.destroy());
  const server = createServer((incoming, outgoing) => {
    guarded(disturb)(incoming, outgoing, (body) => passOn(target, incoming, body));
  });
  server.requestTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** For requests that don't go to Supabase: the same faults, before the server at `to`. */
    disturb: (to, incoming, outgoing) => guarded(disturb)(incoming, outgoing, (body) => passOn(to, incoming, body)),
    answer: guarded(answer),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function known(visitors, id) {
  if (!visitors.has(id)) visitors.set(id, { faults: { ...NO_FAULTS }, counts: noCounts(), pictures: new Map() });
  return visitors.get(id);
}

const noCounts = () => ({ library: { requests: 0, broken: 0 }, plain: { requests: 0, broken: 0 } });

/** Switches known faults on or off; at the begin of a run nothing has been counted. */
function change(visitor, sent) {
  const { faults, pictures } = visitor;
  for (const name of Object.keys(NO_FAULTS)) if (name in Object(sent)) faults[name] = sent[name] === true;
  if (sent?.begin !== true) return;
  visitor.counts = noCounts();
  pictures.clear();
}

/** Which fault a request meets; a picture's is counted. */
function faultOf({ faults, counts, pictures }, about) {
  const { isWorker, kind, way } = about;
  const isPictures = kind !== undefined && !isWorker;
  const main = mainFault(faults, about);
  const listed = isPictures ? listedFault(pictures, about, faults.lose && main === undefined) : undefined;
  const fault = main ?? listed ?? (faults.slow && !isWorker ? "slow" : undefined);
  if (isPictures) {
    counts[way].requests += 1;
    if (fault !== undefined && fault !== "slow") counts[way].broken += 1;
  }
  return fault;
}

/** What the list says of a request's pictures, once for each; a picture's number is its place among those that were sent. */
function listedFault(pictures, { kind, way, about }, isOn) {
  const key = `${way} ${kind}`;
  if (!pictures.has(key)) pictures.set(key, new Map());
  const seen = pictures.get(key);
  for (const picture of about) {
    if (!seen.has(picture)) seen.set(picture, { number: (seen.size % 10) + 1, isSpent: false });
  }
  // Rows go many at once: their request meets one fault at a time.
  const due = about.map((picture) => seen.get(picture)).find((one) => !one.isSpent && LIST[kind][one.number]);
  if (!isOn || !due) return undefined;
  due.isSpent = true;
  return LIST[kind][due.number];
}

function mainFault({ offline, down }, { isWorker, kind }) {
  if (offline && !isWorker) return "offline";
  // The Worker stays up, whatever it can't reach.
  return down && kind !== "sync" ? "down" : undefined;
}

/** Whose request it is, and which pictures it is about. */
function recognise({ method, url, headers }, body) {
  const { pathname } = new URL(url, "http://x");
  const { sub, role } = claimsOf(tokenOf({ headers }));
  const isPreflight = method === "OPTIONS" && "access-control-request-method" in headers;
  const { kind, images = [] } = subjectOf(method, pathname, body);
  const owner = /[0-9a-f-]{36}/.exec(images[0] ?? decodeURIComponent(pathname).split(`${BUCKET}/`)[1] ?? "")?.[0];
  const isPlain = images[0]?.split("/")[1] === "plain";
  return {
    ...{ isPreflight, kind },
    isWorker: role === "service_role",
    visitor: sub ?? owner,
    way: isPlain ? "plain" : "library",
    // The plain way has another path at each try.
    about: images.map((image) => (isPlain ? image.split("/")[2] : image)),
  };
}

/** `images`: their storage paths; an id where there is no path. */
function subjectOf(method, pathname, body) {
  const all = (field) =>
    [...body.toString("latin1").matchAll(new RegExp(`"${field}":\\s*"([^"]+)"`, "g"))].map(([, value]) => value);
  const [, path] = /^\/storage\/v1\/object\/imagen-generated\/(.+)$/.exec(pathname) ?? [];
  if (path && !path.endsWith(THUMB) && (method === "PUT" || method === "POST"))
    return { kind: "upload", images: [decodeURIComponent(path)] };
  if (method !== "POST") return {};
  if (pathname === "/rest/v1/images") return { kind: "insert", images: all("storage_path") };
  if (pathname === "/api/sync") return { kind: "sync", images: all("imageId").slice(0, 1) };
  return {};
}

function tokenOf({ headers }) {
  return /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1] ?? "";
}

function claimsOf(token) {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  } catch {
    return {};
  }
}

/** As a gateway does whose server is away. */
function refuse({ method }, outgoing) {
  outgoing.writeHead(503, { "content-type": "text/plain", "access-control-allow-origin": "*" });
  outgoing.end(method === "HEAD" ? undefined : "upstream connect error");
}

async function bodyOf(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Sends it to `target` and collects the answer; rejects when there is none. */
function passOn(target, { method, url, headers }, body) {
  const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"];
  const endToEnd = (all) => Object.fromEntries(Object.entries(all).filter(([name]) => !HOP_BY_HOP.includes(name)));
  return new Promise((resolve, reject) => {
    const sent = { ...endToEnd(headers), "content-length": body.length };
    const onward = sendRequest(new URL(url, target), { method, agent: false, headers: sent });
    onward.on("error", reject);
    onward.on("response", (answer) => {
      bodyOf(answer).then(
        (whole) => resolve({ status: answer.statusCode, headers: endToEnd(answer.headers), body: whole }),
        reject,
      );
    });
    onward.end(body);
  });
}

/** What database and bucket hold of a run's pictures, read as the visitor and past all faults. */
async function scoreOf({ counts }, run, { target, anonKey, token, id }) {
  const headers = { apikey: anonKey, authorization: `Bearer ${token}`, "content-type": "application/json" };
  const read = async (path, init) => (await fetch(target + path, { headers, ...init })).json();
  const list = async (prefix) =>
    read(`/storage/v1/object/list/${BUCKET}`, { method: "POST", body: JSON.stringify({ prefix, limit: 1000 }) });
  const walk = async (prefix) => {
    const found = await list(prefix);
    // The real server lists a folder, the embedded one all that lies below.
    const pathOf = (name) => (name.startsWith(prefix) ? name : `${prefix}${name}`);
    const deeper = found.map(({ id: isObject, name }) => (isObject ? [pathOf(name)] : walk(`${pathOf(name)}/`)));
    return (await Promise.all(deeper)).flat();
  };
  const profile = { ...headers, "accept-profile": "imagen" };
  const [rows, objects] = await Promise.all([
    read("/rest/v1/images?select=id,prompt,storage_path", { headers: profile }),
    walk(`${id}/`),
  ]);
  const isPlain = (path) => path.split("/")[1] === "plain";
  const isOfRun = new RegExp(`\\b${run}-\\d+\\b`);
  const score = (way) => {
    const ours = (path) => isPlain(path) === (way === "plain") && isOfRun.test(path);
    const kept = rows.filter(({ storage_path: path }) => ours(path));
    const stored = objects.filter((path) => ours(path) && !path.endsWith(THUMB));
    const paths = new Set(kept.map(({ storage_path: path }) => path));
    const pictures = new Set(kept.map(({ prompt }) => prompt));
    return {
      ...counts[way],
      objects: stored.length,
      rows: kept.length,
      pictures: pictures.size,
      doubles: kept.length - pictures.size,
      leftBehind: stored.filter((path) => !paths.has(path)).length,
      ids: kept.map((row) => row.id),
    };
  };
  return { library: score("library"), plain: score("plain") };
}
