// PostgREST over one table and one function, with the policies of the migrations.

import { uuid } from "../uuid.js";
import { COLUMNS } from "../wasm/columns.js";
import { answer, json, jsonOf, Refusal } from "./answers.js";
import { thumbnailOf } from "./objects.js";

const NEEDED = ["id", "owner_user_id", "prompt", "prompt_hash", "backend", "storage_path", "created_at"];
/** Columns of whole numbers, and how large those may be. */
const WHOLE = { seed: 2n ** 63n, steps: 2n ** 31n, width: 2n ** 31n, height: 2n ** 31n, latency_ms: 2n ** 31n };
const UUIDS = ["id", "owner_user_id"];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const CHECKS = {
  images_prompt_hash_is_sha256_hex: ({ prompt_hash }) => /^[0-9a-f]{64}$/.test(prompt_hash),
  images_steps_not_negative: ({ steps }) => steps === null || steps >= 0,
  images_width_positive: ({ width }) => width === null || width > 0,
  images_height_positive: ({ height }) => height === null || height > 0,
  images_latency_ms_not_negative: ({ latency_ms }) => latency_ms === null || latency_ms >= 0,
  images_cost_not_negative: ({ cost_usd_estimate }) => cost_usd_estimate === null || cost_usd_estimate >= 0,
  images_storage_path_names_one_object: ({ storage_path }) =>
    !/(^|\/)\.{0,2}(\/|$)/.test(storage_path) && new TextEncoder().encode(storage_path).length <= 1024,
};

export function answerDatabase(project, request) {
  const { schema, table } = project.names;
  const who = project.roleOf(request.headers);
  const profile = request.headers.get(request.method === "GET" ? "accept-profile" : "content-profile") ?? "public";
  if (profile !== schema && profile !== "public") throw new Refusal("PGRST106", `Invalid schema: ${profile}`);
  const asked = decodeURIComponent(request.path.slice("/rest/v1/".length));
  const isOrphans = profile === schema && asked === "rpc/orphaned_objects";
  if (asked.startsWith("rpc/") && !isOrphans) throw new Refusal("PGRST202");
  if (!isOrphans && (profile !== schema || asked !== table)) {
    throw new Refusal("PGRST205", `Could not find the table '${profile}.${asked}' in the schema cache`);
  }
  if (who.role === "anon") throw new Refusal("42501", `permission denied for schema ${schema}`, 401);
  if (isOrphans) return orphans(project, request, who);
  if (request.method === "POST") return insert(project, request, who);
  if (request.method === "GET") return read(project, request, who);
  if (request.method === "DELETE") return remove(project, request, who);
  // Nobody but the service may change a row.
  if (request.method === "PATCH" && who.role !== "service") throw denied(table);
  return answer(501, `a fake project does not know ${request.method} ${request.path}`);
}

const denied = (table) => new Refusal("42501", `permission denied for table ${table}`);
const firstFolder = ({ storage_path }) => storage_path?.split("/")[0];
const mayRead = ({ role, id }, row) => role === "service" || row.owner_user_id === id;
const mayWrite = (who, row) => mayRead(who, row) && (who.role === "service" || firstFolder(row) === who.id);

function insert(project, request, who) {
  const given = rowsOf(request);
  const prefer = request.headers.get("prefer") ?? "";
  if (prefer.includes("resolution=merge-duplicates") && who.role !== "service") throw denied(project.names.table);
  const ignoresTaken = prefer.includes("resolution=ignore-duplicates");
  const created_at = now(project);
  const added = [];
  // One statement: all or nothing, at one time.
  for (const each of given) {
    const row = complete(each, created_at);
    check(project, row, who);
    const isTaken = [...project.rows, ...added].some(({ id }) => id === row.id);
    if (isTaken && !ignoresTaken) throw new Refusal("23505");
    if (!isTaken) added.push(row);
  }
  project.rows.push(...added);
  const headers = { "content-range": "*/*" };
  return prefer.includes("return=representation")
    ? json(201, select(added, request.query), headers)
    : answer(201, "", headers);
}

/** Rows of the same columns: those that the query names, or all that the first one has. */
function rowsOf(request) {
  const exact = (_, value, context) =>
    typeof value === "number" && /^-?\d+$/.test(context?.source ?? "") && !Number.isSafeInteger(value)
      ? BigInt(context.source)
      : value;
  const rows = [jsonOf(request, "PGRST102", exact)].flat();
  const asked = request.query.get("columns");
  if (asked !== null) {
    const columns = asked.split(",").map((name) => name.replaceAll('"', ""));
    const isDefault = request.headers.get("prefer")?.includes("missing=default");
    const pick = (row) => columns.filter((name) => name in row || !isDefault).map((name) => [name, row[name] ?? null]);
    return rows.map((row) => Object.fromEntries(pick(row)));
  }
  const namesOf = (row) => Object.keys(row).sort().join();
  if (rows.some((row) => namesOf(row) !== namesOf(rows[0]))) {
    throw new Refusal("PGRST102", "All object keys must match");
  }
  return rows;
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
  const made = { id: uuid(), created_at };
  return Object.fromEntries(COLUMNS.map((name) => [name, name in given ? given[name] : (made[name] ?? null)]));
}

/** A column's value, of which the database can make what the column is. */
function checkValue(name, value) {
  if (value === null) return;
  if (UUIDS.includes(name) && !UUID.test(value)) throw new Refusal("22P02", "invalid input syntax for type uuid");
  const most = WHOLE[name];
  if (most === undefined) return;
  if (!/^-?\d+$/.test(value)) throw new Refusal("22P02", "invalid input syntax for a whole number");
  if (BigInt(value) >= most || BigInt(value) < -most) throw new Refusal("22003");
}

/** In PostgreSQL's order: the values, the policies, what must not be null, the checks, the key, the owner. */
function check({ users }, row, who) {
  for (const [name, value] of Object.entries(row)) checkValue(name, value);
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

/** A page of rows, and which of them all it is. */
const read = (project, request, who) => paged(select(found(project, request, who), request.query), request);

function paged(page, request) {
  const first = Number(request.query.get("offset") ?? 0);
  const range = page.length === 0 ? "*/*" : `${first}-${first + page.length - 1}/*`;
  return json(200, page, { "content-range": range });
}

/** The rows that somebody sees and a query asks for. */
const found = ({ rows }, { query }, who) =>
  asked(
    rows.filter((row) => mayRead(who, row)),
    query,
  );

const NO_CONDITIONS = ["select", "order", "limit", "offset", "columns", "older_than"];

function asked(rows, query) {
  const conditions = [...query].filter(([name]) => !NO_CONDITIONS.includes(name));
  for (const [name, condition] of conditions) if (condition.startsWith("eq.")) checkValue(name, condition.slice(3));
  const fits = ([name, condition], row) => (name === "or" ? fitsAny : fitsOne)(row, name, condition);
  return rows.filter((row) => conditions.every((each) => fits(each, row)));
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
  if (!(name in row)) throw new Refusal("42703", `column images.${name} does not exist`);
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

function select(rows, query, known = COLUMNS) {
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
  const unknown = names.map(columnOf).find((name) => name !== "*" && !known.includes(name));
  if (unknown) throw new Refusal("42703", `column images.${unknown} does not exist`);
  const pick = (row) =>
    names.includes("*") ? row : Object.fromEntries(names.map((name) => [columnOf(name), columnValue(row, name)]));
  return sorted.slice(from, from + limit).map(pick);
}

/** A column's value, of `name::text` as text. */
function columnValue(row, name) {
  const value = row[name.replace(/::text$/, "")];
  return name.endsWith("::text") && value !== null ? String(value) : value;
}

function remove(project, request, who) {
  const gone = found(project, request, who).filter((row) => mayWrite(who, row));
  for (const row of gone) project.rows.splice(project.rows.indexOf(row), 1);
  const wantsRows = request.headers.get("prefer")?.includes("return=representation");
  return wantsRows ? json(200, select(gone, request.query)) : answer(204);
}

const ORPHANS = ["kind", "storage_path", "image_id", "changed_at"];
const HOURS = { minute: 1 / 60, hour: 1, day: 24, week: 168, month: 720, year: 8766 };

/** What was left alone, as the function `orphaned_objects` of the migrations lists it. */
function orphans(project, request, who) {
  if (who.role !== "service") throw new Refusal("42501", "permission denied for function orphaned_objects");
  const older = request.method === "POST" ? jsonOf(request, "PGRST102").older_than : request.query.get("older_than");
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s+([a-z]+?)s?\s*$/.exec(String(older)) ?? [];
  if (HOURS[unit] === undefined) throw new Refusal("22007", `a fake project does not know the interval ${older}`);
  const isOld = ({ changed_at }) => Date.parse(changed_at) <= Date.now() - number * HOURS[unit] * 3_600_000;
  const { rows, objects } = project;
  const named = new Set(rows.flatMap(({ storage_path }) => [storage_path, thumbnailOf(storage_path)]));
  const alone = [...objects].filter(([name]) => !named.has(name) && !name.startsWith(".incoming/"));
  const left = [
    ...alone.map(([name, { createdAt }]) => ["object", name, null, createdAt.toISOString()]),
    ...rows
      .filter(({ storage_path }) => !objects.has(storage_path))
      .map(({ storage_path, id, created_at }) => ["row", storage_path, id, created_at]),
  ].map((values) => Object.fromEntries(ORPHANS.map((name, index) => [name, values[index]])));
  return paged(select(asked(left.filter(isOld), request.query), request.query, ORPHANS), request);
}
