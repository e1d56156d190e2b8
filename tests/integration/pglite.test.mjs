import { describeIntegration } from "./behaviour.mjs";

describeIntegration("PGlite", async () => ({ databaseUrl: "", close: async () => {} }));
