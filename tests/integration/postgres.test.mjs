import { startPostgres } from "../support/postgres.mjs";
import { describeIntegration } from "./behaviour.mjs";

describeIntegration("Debian's PostgreSQL", async () => {
  const { url, close } = await startPostgres();
  return { databaseUrl: url, close };
});
