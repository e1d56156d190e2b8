// The schema, the table and its columns, and what a user may do with rows.

import { uuid } from "../uuid.js";
import { COLUMNS } from "../wasm/columns.js";
import { escaped } from "./project.js";

const MIGRATE =
  "Run the migrations: `npx --no-install imagen-cloud migration` prints them, the dashboard's SQL editor runs them.";
/** Where there is a table, and something of a later version of the migrations is missing. */
export const NEWER =
  "The migrations are older than this package: `npx --no-install imagen-cloud migration --update` prints the newer ones, the dashboard's SQL editor runs them.";
/** The SHA-256 of "imagen-cloud doctor", which is the prompt of the rows that are tried. */
const PROMPT_HASH = "6198619fe8a1cef494229cf6bf091d99ea71f1dadea1c831d92756e73943c954";

/** Whether an answer is about a policy or a missing grant. */
const isForbidden = ({ code, status }) => code === "42501" || status === 403;
/** Whether it is about a token that nobody accepts. */
export const isRefused = ({ code, status }) =>
  /^PGRST30[0-3]$/.test(code ?? "") || (status === 401 && code !== "42501");

const profile = ({ schema }) => ({ "accept-profile": schema, "content-profile": schema });
/** Where rows are. */
export const tableOf = ({ table }) => `/rest/v1/${escaped(table)}`;

/** Reads no row of the table, and so asks for its columns. */
export const askForTable = (project, settings, who, columns = ["id"]) =>
  project.ask(who, "GET", `${tableOf(settings)}?select=${columns.join(",")}&limit=0`, { headers: profile(settings) });

/** Looks at the schema and the table, as an answer about them tells. @returns whether the table is there */
export function judgeTable(answer, settings, report) {
  const { schema, table } = settings;
  if (answer.code === "PGRST106") {
    const remedy = `In the dashboard, Settings, Data API, add ${schema} to the exposed schemas. (The CLI: [api] schemas in config.toml. Self-hosted: PGRST_DB_SCHEMAS.) If the project has no such schema, run the migrations first.`;
    report.wrong("schema", `the schema ${schema} is not exposed`, remedy);
    return false;
  }
  if (answer.code === "3F000" || answer.code === "PGRST002") {
    report.refused(
      "schema",
      { ...answer, status: 400 },
      `the schema ${schema} can't be read, or does not exist`,
      MIGRATE,
    );
    return false;
  }
  if (answer.code === "PGRST205" || answer.code === "42P01") {
    report.ok("schema", `the schema ${schema} is exposed`);
    report.wrong("table", `there is no table ${schema}.${table}`, MIGRATE);
    return false;
  }
  if (answer.ok || isForbidden(answer) || answer.code === "42703") {
    report.ok("schema", `the schema ${schema} is exposed`);
    return true;
  }
  report.refused("schema", answer, `the table ${schema}.${table} can't be asked`, "See what the answer says.");
  return false;
}

/** Looks at the columns, as somebody who may read the table. */
export async function checkColumns(project, settings, report, who) {
  const { schema, table } = settings;
  let left = COLUMNS;
  const missing = [];
  for (;;) {
    const answer = await askForTable(project, settings, who, left);
    if (answer.ok) break;
    const [, column] = /column (?:"?[\w$]+"?\.)*"?([\w$]+)"? does not exist/.exec(answer.message) ?? [];
    if (answer.status === 404) return report.wrong("table", `there is no table ${schema}.${table}`, MIGRATE);
    if (answer.code !== "42703" || !left.includes(column)) {
      if (!isForbidden(answer))
        return report.refused("columns", answer, "the columns can't be asked", "See what the answer says.");
      const role = who === "user" ? "authenticated" : "service_role";
      return report.wrong("table", `the role ${role} may not read ${schema}.${table}: "${answer.message}"`, MIGRATE);
    }
    missing.push(column);
    left = left.filter((name) => name !== column);
  }
  report.ok("table", `the table ${schema}.${table} is there`);
  if (missing.length === 0) return report.ok("columns", `it has all ${COLUMNS.length} columns`);
  report.wrong(
    "columns",
    `${schema}.${table} lacks ${missing.join(", ")}`,
    `${MIGRATE} A table of your own needs these columns too.`,
  );
}

const rowFor = (owner, storage_path, id = uuid()) => ({
  id,
  owner_user_id: owner,
  prompt: "imagen-cloud doctor",
  prompt_hash: PROMPT_HASH,
  backend: "imagen-cloud doctor",
  storage_path,
});

/** Without an answer: reading a row back is another policy's affair. */
function insert(project, settings, who, row) {
  const asked = project.ask(who, "POST", tableOf(settings), {
    headers: { ...profile(settings), prefer: "return=minimal" },
    json: row,
  });
  return project.tries(row.id, () => remove(project, settings, project.secretKey ? "server" : who, row), asked);
}

const read = (project, settings, who, query) =>
  project.ask(who, "GET", `${tableOf(settings)}?select=id,created_at&limit=1&${query}`, { headers: profile(settings) });

/** @returns whether the row is gone now */
async function remove(project, settings, who, { id }) {
  const headers = { ...profile(settings), prefer: "return=representation" };
  const answer = await project.ask(who, "DELETE", `${tableOf(settings)}?select=id&id=eq.${id}`, { headers });
  const isGone = answer.ok && answer.json?.length === 1;
  // As the service sees all rows, it is also gone where there was none.
  if (isGone || (answer.ok && who === "server")) project.removed(id);
  return isGone;
}

/** Removes a row as whoever may, and says so if nobody could. */
async function tidy(project, settings, report, name, row) {
  if (project.token && (await remove(project, settings, "user", row))) return;
  if (project.secretKey && (await remove(project, settings, "server", row))) return;
  const { schema, table } = settings;
  report.wrong(
    name,
    `the row ${row.id}, tried out in ${schema}.${table}, could not be removed`,
    `Delete it. ${MIGRATE}`,
  );
}

/** Tries what a user should be allowed with rows of their own. */
export async function checkOwnRows(project, settings, report, user) {
  const row = rowFor(user, `${user}/imagen-cloud-doctor.png`);
  const inserted = await insert(project, settings, "user", row);
  if (!inserted.ok) {
    const remedy = inserted.code === "23503" ? "Is the token of a user of this project, who was not deleted?" : MIGRATE;
    return report.refused("rows-add", inserted, "the user may not add a row of their own", remedy);
  }
  report.ok("rows-add", "the user may add a row of their own");
  const found = await read(project, settings, "user", `id=eq.${row.id}`);
  const isThere = found.ok && found.json?.length === 1;
  if (isThere) {
    report.ok("rows-read", "the user may read a row of their own");
    // A page can't read the header that says what time it is.
    const told = Date.parse(found.json[0].created_at);
    if (!Number.isNaN(told)) project.skewMs ??= told - Date.now();
  } else {
    report.wrong("rows-read", "the user may not read a row of their own, which is there", MIGRATE);
    report.unchecked("rows-remove", "not checked: who may not read a row can't remove it");
  }
  if (isThere && (await remove(project, settings, "user", row))) {
    return report.ok("rows-remove", "the user may remove a row of their own");
  }
  const left =
    project.secretKey && (await remove(project, settings, "server", row))
      ? ""
      : ` (${row.id} is still there: delete it)`;
  const name = isThere ? "rows-remove" : "rows-read";
  report.wrong(name, `the user may not remove a row of their own${left}`, MIGRATE);
  if (left && !isThere)
    report.wrong("rows-remove", `the row ${row.id}, tried out, could not be removed`, `Delete it. ${MIGRATE}`);
}

/** Tries what a user must not be allowed. */
export async function checkOthersRows(project, settings, report, user) {
  const stranger = uuid();
  const forged = [
    ["in another's name", rowFor(stranger, `${user}/imagen-cloud-doctor.png`)],
    ["about another's folder", rowFor(user, `${stranger}/imagen-cloud-doctor.png`)],
  ];
  const remedy = `${MIGRATE} Drop policies of your own that allow more, and see that row-level security is on.`;
  for (const [how, row] of forged) {
    const answer = await insert(project, settings, "user", row);
    // A stranger is no user: that is said only to those whom the policies let through.
    if (answer.ok || answer.code === "23503") report.wrong("rows-others", `the user may add rows ${how}`, remedy);
    else if (!isForbidden(answer))
      report.refused("rows-others", answer, `a row ${how} is not refused as it should be`, remedy);
    if (answer.ok) await tidy(project, settings, report, "rows-others", row);
  }
  const foreign = await read(project, settings, "user", `owner_user_id=neq.${user}`);
  if (foreign.json?.length > 0) report.wrong("rows-others", "the user may read other users' rows", remedy);
  report.ok("rows-others", "the user may neither add rows in another's name nor read another's");
}

/** A row for the user that a server writes, naming an object outside of their folder. @returns what removes it again */
export async function addAsServer(project, settings, report, user, path) {
  const row = rowFor(user, path);
  const answer = await insert(project, settings, "server", row);
  if (answer.ok) return { row, remove: () => tidy(project, settings, report, "server-images", row) };
  report.refused("server-images", answer, "a server may not add a row", MIGRATE);
  return undefined;
}

/** Whether the user sees a row. */
export async function seesRow(project, settings, { id }) {
  const found = await read(project, settings, "user", `id=eq.${id}`);
  return found.ok && found.json?.length === 1;
}

/** Whether a server can list what was left alone, and users can't: it tells of everybody's objects. */
export async function checkOrphans(project, settings, report, who) {
  const route = "/rest/v1/rpc/orphaned_objects?older_than=100%20years&limit=1";
  const answer = await project.ask(who, "GET", route, { headers: profile(settings) });
  const name = `${settings.schema}.orphaned_objects`;
  if (answer.code === "PGRST202" || answer.code === "42883") {
    return report.wrong("orphans", `there is no function ${name}`, NEWER);
  }
  if (who === "user" && answer.ok) return report.wrong("orphans", `users may call ${name}`, NEWER);
  if (answer.ok || (who === "user" && isForbidden(answer))) return report.ok("orphans", `${name} is there`);
  report.refused("orphans", answer, `${name} can't be called`, NEWER);
}
