// PostgREST over one table, with the policies of the migrations.
import { answer, json, Refusal } from "./answers.js";

const NEEDED = ["owner_user_id", "prompt", "prompt_hash", "backend", "storage_path"];
const COLUMNS = [
  ...["id", "owner_user_id", "prompt", "prompt_hash", "backend", "model", "seed", "steps", "width", "height"],
  ...["latency_ms", "cost_usd_estimate", "sidecar", "storage_path", "created_at"],
];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const CHECKS = {
  images_prompt_hash_is_sha256_hex: ({ prompt_hash }) => /^[0-9a-f]{64}$/.test(prompt_hash),
  images_steps_not_negative: ({ steps }) => steps === null || steps >= 0,
  images_width_positive: ({ width }) => width === null || width > 0,
  images_height_positive: ({ height }) => height === null || height > 0,
  images_latency_ms_not_negative: ({ latency_ms }) => latency_ms === null || latency_ms >= 0,
  images_cost_not_negative: ({ cost_usd_estimate }) => cost_usd_estimate === null || cost_usd_estimate >= 0,
  images_storage_path_names_one_object: ({ storage_path }) => !/(^|\/)\.{0,2}(\/|$)/.test(storage_path),
};

export function answerDatabase(project, request) {
  const { schema, table } = project.names;
  const who = project.roleOf(request.headers);
  const profile = request.headers.get(request.method === "GET" ? "accept-profile" : "content-profile") ?? "public";
  if (profile !== schema && profile !== "public") throw new Refusal("PGRST106", `Invalid schema: ${profile}`);
  const asked = decodeURIComponent(request.path.slice("/rest/v1/".length));
  if (profile !== schema || asked !== table) {
    throw new Refusal("PGRST205", `Could not find the table '${profile}.${asked}' in the schema cache`);
  }
  if (who.role === "anon") throw new Refusal("42501", `permission denied for schema ${schema}`, 401);
  if (request.method === "POST") return insert(project, request, who);
  if (request.method === "GET") return json(200, select(found(project, request, who), request.query));
  if (request.method === "DELETE") return remove(project, request, who);
  return answer(501, `a fake project does not know ${request.method} ${request.path}`);
}

const firstFolder = ({ storage_path }) => storage_path?.split("/")[0];
const mayRead = ({ role, id }, row) => role === "service" || row.owner_user_id === id;
const mayWrite = (who, row) => mayRead(who, row) && (who.role === "service" || firstFolder(row) === who.id);

function insert(project, request, who) {
  const given = [parse(request.body)].flat();
  const prefer = request.headers.get("prefer") ?? "";
  const ignoresTaken = prefer.includes("resolution=ignore-duplicates");
  const columns = request.query
    .get("columns")
    ?.split(",")
    .map((name) => name.replaceAll('"', ""));
  const created_at = now(project);
  const added = [];
  // One statement: all or nothing, at one time.
  for (const each of given) {
    const asked = columns
      ? Object.fromEntries(columns.filter((name) => name in each).map((name) => [name, each[name]]))
      : each;
    const row = complete(asked, created_at);
    check(project, row, who);
    const isTaken = [...project.rows, ...added].some(({ id }) => id === row.id);
    if (isTaken && !ignoresTaken) throw new Refusal("23505");
    if (!isTaken) added.push(row);
  }
  project.rows.push(...added);
  return prefer.includes("return=representation") ? json(201, select(added, request.query)) : answer(201);
}

function parse(body) {
  const exact = (_, value, context) =>
    typeof value === "number" && /^-?\d+$/.test(context?.source ?? "") && !Number.isSafeInteger(value)
      ? BigInt(context.source)
      : value;
  try {
    return JSON.parse(new TextDecoder().decode(body), exact);
  } catch {
    throw new Refusal("22023", "the body is no JSON");
  }
}

/** The time to the microsecond, and later than that of the statement before, as PostgreSQL tells it. */
function now(project) {
  const micros = Math.max(Date.now() * 1000, project.lastMicros + 1);
  project.lastMicros = micros;
  const below = String(micros % 1000).padStart(3, "0");
  return new Date(micros / 1000).toISOString().replace("Z", `${below}+00:00`);
}

function complete(given, created_at) {
  const unknown = Object.keys(given).find((name) => !COLUMNS.includes(name));
  if (unknown) throw new Refusal("PGRST204", `Could not find the '${unknown}' column of 'images' in the schema cache`);
  const made = { id: crypto.randomUUID(), created_at };
  return Object.fromEntries(COLUMNS.map((name) => [name, given[name] ?? made[name] ?? null]));
}

/** In PostgreSQL's order: the policies, what must not be null, the checks, the key, the owner. */
function check({ users }, row, who) {
  if (!UUID.test(row.id) || !UUID.test(row.owner_user_id))
    throw new Refusal("22023", "invalid input syntax for type uuid");
  if (!mayWrite(who, row)) throw new Refusal("42501");
  const empty = NEEDED.find((name) => row[name] === null);
  if (empty)
    throw new Refusal("23502", `null value in column "${empty}" of relation "images" violates not-null constraint`);
  const broken = Object.keys(CHECKS).find((name) => !CHECKS[name](row));
  if (broken) throw new Refusal("23514", `new row for relation "images" violates check constraint "${broken}"`);
  if (!users.has(row.owner_user_id)) throw new Refusal("23503");
}

const COMPARE = {
  eq: (a, b) => a === b,
  neq: (a, b) => a !== b,
  lt: (a, b) => a < b,
  lte: (a, b) => a <= b,
  gt: (a, b) => a > b,
  gte: (a, b) => a >= b,
};

/** The rows that somebody sees and a query asks for. */
function found({ rows }, { query }, who) {
  const asked = [...query].filter(([name]) => !["select", "order", "limit", "offset", "columns"].includes(name));
  const fits = (row) => asked.every(([name, condition]) => (name === "or" ? fitsAny : fitsOne)(row, name, condition));
  return rows.filter((row) => mayRead(who, row)).filter(fits);
}

/** One of the conditions in `or=(a.lt.1,b.eq."2")`. */
function fitsAny(row, _, conditions) {
  const each = conditions.slice(1, -1).match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [];
  return each.some((condition) => {
    const [, name, how, operand] = /^(\w+)\.(\w+)\.(.*)$/s.exec(condition) ?? [];
    return fitsOne(row, name, `${how}.${operand.replace(/^"(.*)"$/s, "$1")}`);
  });
}

function fitsOne(row, name, condition) {
  if (!COLUMNS.includes(name)) throw new Refusal("42703", `column images.${name} does not exist`);
  const [, how, operand] = /^(\w+)\.(.*)$/s.exec(condition) ?? [];
  const text = row[name] === null ? null : String(row[name]);
  if (how === "in") {
    const listed = operand.slice(1, -1).match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? [];
    return listed
      .map((each) => (each.startsWith('"') ? each.slice(1, -1).replaceAll(/\\(.)/g, "$1") : each))
      .includes(text);
  }
  if (how === "is" && operand === "null") return text === null;
  if (!COMPARE[how]) throw new Refusal("22023", `a fake project does not know the condition ${condition}`);
  const isNumber = typeof row[name] === "number" || typeof row[name] === "bigint";
  return text !== null && (isNumber ? COMPARE[how](row[name], Number(operand)) : COMPARE[how](text, operand));
}

function select(rows, query) {
  const sorted = [...rows];
  for (const order of (query.get("order") ?? "").split(",").filter(Boolean).reverse()) {
    const [name, direction] = order.split(".");
    const sign = direction === "desc" ? -1 : 1;
    sorted.sort((a, b) => (a[name] === b[name] ? 0 : a[name] < b[name] ? -sign : sign));
  }
  const from = Number(query.get("offset") ?? 0);
  const limit = Number(query.get("limit") ?? Number.POSITIVE_INFINITY);
  const names = (query.get("select") ?? "*").split(",");
  const columnOf = (name) => name.replace(/::text$/, "");
  const unknown = names.map(columnOf).find((name) => name !== "*" && !COLUMNS.includes(name));
  if (unknown) throw new Refusal("42703", `column images.${unknown} does not exist`);
  const pick = (row) =>
    names.includes("*") ? row : Object.fromEntries(names.map((name) => [columnOf(name), read(row, name)]));
  return sorted.slice(from, from + limit).map(pick);
}

/** A column's value, of `name::text` as text. */
function read(row, name) {
  const value = row[name.replace(/::text$/, "")];
  return name.endsWith("::text") && value !== null ? String(value) : value;
}

function remove(project, request, who) {
  const gone = found(project, request, who).filter((row) => mayWrite(who, row));
  for (const row of gone) project.rows.splice(project.rows.indexOf(row), 1);
  const wantsRows = request.headers.get("prefer")?.includes("return=representation");
  return wantsRows ? json(200, select(gone, request.query)) : answer(204);
}
