// The rows of storage.objects and storage.buckets: what resumable uploads need of them.

const UNIQUE_VIOLATION = "23505";
const INSUFFICIENT_PRIVILEGE = "42501";

export class StorageTable {
  #connection;

  /** @param {import("@supabase/lite").Connection} connection */
  constructor(connection) {
    this.#connection = connection;
  }

  get #db() {
    return this.#connection.kysely.withSchema("storage");
  }

  /** @returns {Promise<{ file_size_limit: number | null, allowed_mime_types: string[] | null } | undefined>} */
  bucket(id) {
    return this.#db.selectFrom("buckets").selectAll().where("id", "=", id).executeTakeFirst();
  }

  /** @returns {Promise<{ id: string } | undefined>} whoever may see it */
  find(bucket, key) {
    return this.#db
      .selectFrom("objects")
      .select("id")
      .where("bucket_id", "=", bucket)
      .where("name", "=", key)
      .executeTakeFirst();
  }

  /**
   * Asks the policies whether this user may write this object, by writing a row and taking it back.
   * @param {{ auth: { role: string, sub: string | null, jwt: object }, bucket: string, key: string, upsert: boolean }} upload
   * @returns {Promise<"allowed" | "exists" | "refused">}
   */
  async probe({ auth, bucket, key, upsert }) {
    const owner = auth.role === "service_role" ? null : auth.sub;
    const row = { bucket_id: bucket, name: key, version: "1", owner, owner_id: owner };
    const vars = {
      auth: { uid: auth.sub, role: auth.role, jwt: auth.jwt },
      storage: { operation: "storage.tus.upload.part" },
    };
    try {
      await this.#connection.withContext(
        vars,
        (db) => {
          const insert = db.withSchema("storage").insertInto("objects").values(row);
          return (upsert ? insert.onConflict(overwrite({ version: "1" })) : insert).execute();
        },
        { forceRollback: true },
      );
      return "allowed";
    } catch (error) {
      if (error.code === UNIQUE_VIOLATION) return "exists";
      if (error.code === INSUFFICIENT_PRIVILEGE) return "refused";
      throw error;
    }
  }

  /** Writes an object's row, new or not. */
  async put({ bucket, key, version, owner, metadata }) {
    const written = { version, owner, owner_id: owner, metadata: JSON.stringify(metadata) };
    await this.#db
      .insertInto("objects")
      .values({ bucket_id: bucket, name: key, ...written })
      .onConflict(overwrite({ ...written, updated_at: new Date().toISOString() }))
      .execute();
  }
}

function overwrite(values) {
  return (conflict) => conflict.columns(["bucket_id", "name"]).doUpdateSet(values);
}
