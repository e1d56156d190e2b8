// The Worker's API as a Supabase Edge Function. `make edge-function` makes api.js and the .wasm beside this file.
import { createApi, init } from "./api.js";

/** Whoever deploys it under another name says so: requests come with it before `/api`. */
const { BASE_PATH = "/imagen", IMAGEN_JWT_SECRET, IMAGEN_PUBLIC_URL, ...environment } = Deno.env.toObject();

/** The key under the names that the platform sets, the new one first. No setting of one's own may begin with SUPABASE_ there. */
function serviceKey(): string | undefined {
  try {
    const { default: key } = JSON.parse(environment.SUPABASE_SECRET_KEYS ?? "{}");
    if (key) return key;
  } catch {
    // No JSON: the old name may be set all the same.
  }
  return environment.SUPABASE_SERVICE_ROLE_KEY;
}

const env = {
  ...environment,
  BASE_PATH,
  SUPABASE_SERVICE_KEY: environment.SUPABASE_SERVICE_KEY ?? serviceKey(),
  SUPABASE_JWT_SECRET: environment.SUPABASE_JWT_SECRET ?? IMAGEN_JWT_SECRET,
  // A self-hosted Supabase sets it, where SUPABASE_URL is an address of its own network.
  SUPABASE_PUBLIC_URL: environment.SUPABASE_PUBLIC_URL ?? IMAGEN_PUBLIC_URL,
};

await init(Deno.readFile(new URL("./imagen_cloud_bg.wasm", import.meta.url)));
const api = createApi({ env });

// EdgeRuntime lets work end that an answer does not wait for; plain Deno has none, and needs none.
const context = (globalThis as { EdgeRuntime?: { waitUntil(work: Promise<unknown>): void } }).EdgeRuntime;
Deno.serve((request: Request) => api(request, context));
