// PGlite is one PostgreSQL session. lite runs requests' transactions on it as they come, so that two
// requests at once would share a transaction and, worse, a role: each has to wait for its turn.

import { CompiledQuery, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from "kysely";

/**
 * A query builder on a PGlite that lets one transaction, or one query outside of any, run at a time.
 * @param {import("@electric-sql/pglite").PGlite} pglite
 */
export function serialised(pglite) {
  return new Kysely({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new QueueingDriver(pglite),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

class QueueingDriver {
  #connection;
  #busy = false;
  #waiting = [];

  constructor(pglite) {
    this.#connection = new PgliteSession(pglite);
  }

  async init() {}

  async acquireConnection() {
    if (this.#busy) await new Promise((resolve) => this.#waiting.push(resolve));
    this.#busy = true;
    return this.#connection;
  }

  async releaseConnection() {
    const next = this.#waiting.shift();
    // Handed over directly: nobody who comes later can slip in between.
    if (next) next();
    else this.#busy = false;
  }

  async beginTransaction(connection) {
    await connection.executeQuery(CompiledQuery.raw("begin"));
  }

  async commitTransaction(connection) {
    await connection.executeQuery(CompiledQuery.raw("commit"));
  }

  async rollbackTransaction(connection) {
    await connection.executeQuery(CompiledQuery.raw("rollback"));
  }

  async destroy() {}
}

class PgliteSession {
  #pglite;

  constructor(pglite) {
    this.#pglite = pglite;
  }

  async executeQuery({ sql, parameters }) {
    const { rows, affectedRows } = await this.#pglite.query(sql, [...parameters]);
    return { rows, numAffectedRows: affectedRows === undefined ? undefined : BigInt(affectedRows) };
  }

  // biome-ignore lint/correctness/useYield: the interface asks for a generator.
  async *streamQuery() {
    throw new Error("PGlite does not stream");
  }
}
