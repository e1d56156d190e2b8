import { defineEnvVars } from "@sveltejs/kit/env";

/** Only what is public reaches the page. */
export const variables = defineEnvVars({
  SUPABASE_URL: { public: true },
  SUPABASE_KEY: { public: true },
  SUPABASE_SECRET_KEY: {},
});
