// What somebody would write instead of our Worker: the same two routes, users' tokens checked by jose, and nothing else.
// Bundled into Workers by `worker.mjs`.
import { createClient } from "@supabase/supabase-js";
import { jwtVerify } from "jose";

const BUCKET = "imagen-generated";
const CHECKS = { algorithms: ["HS256"], audience: "authenticated", requiredClaims: ["exp"] };

/** A Worker around what it does with an image, and how it signs a URL. */
const workerOf = (send, sign) => ({
  async fetch(request, env) {
    const token = request.headers.get("authorization")?.replace("Bearer ", "") ?? "";
    const secret = new TextEncoder().encode(env.SUPABASE_JWT_SECRET);
    const { payload } = await jwtVerify(token, secret, CHECKS);
    const url = new URL(request.url);
    if (request.method === "GET") return Response.json({ url: await sign(env, url.searchParams.get("path")) });
    const form = await request.formData();
    const fields = JSON.parse(form.get("request"));
    const storagePath = `${payload.sub}/${fields.date}/${fields.slug}-${fields.seed}.png`;
    await send(env, storagePath, form.get("image"), await rowOf(fields, storagePath, payload.sub));
    return Response.json({ storagePath }, { status: 201 });
  },
});

async function rowOf({ prompt, seed, backend }, storagePath, owner) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(prompt));
  const hash = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { storage_path: storagePath, owner_user_id: owner, prompt, prompt_hash: hash, seed, backend };
}

const keysOf = ({ SUPABASE_SERVICE_KEY: key }) => ({ apikey: key, authorization: `Bearer ${key}` });

async function insist(answering) {
  const answer = await answering;
  if (!answer.ok) throw new Error(`Supabase answered ${answer.status}`);
  return answer.json();
}

export const raw = workerOf(
  async (env, path, image, row) => {
    const headers = { ...keysOf(env), "content-type": "image/png", "x-upsert": "true" };
    await insist(
      fetch(`${env.SUPABASE_URL}/storage/v1/object/${BUCKET}/${path}`, { method: "PUT", headers, body: image }),
    );
    const rest = { ...keysOf(env), "content-type": "application/json", "content-profile": "imagen" };
    await insist(
      fetch(`${env.SUPABASE_URL}/rest/v1/images?select=id`, {
        method: "POST",
        headers: { ...rest, prefer: "return=representation" },
        body: JSON.stringify(row),
      }),
    );
  },
  async (env, path) => {
    const headers = { ...keysOf(env), "content-type": "application/json" };
    const { signedURL } = await insist(
      fetch(`${env.SUPABASE_URL}/storage/v1/object/sign/${BUCKET}/${path}`, {
        method: "POST",
        headers,
        body: JSON.stringify({ expiresIn: 3600 }),
      }),
    );
    return `${env.SUPABASE_URL}/storage/v1${signedURL}`;
  },
);

const clientOf = (env) =>
  createClient(env.SUPABASE_URL, env.SUPABASE_SERVICE_KEY, {
    db: { schema: "imagen" },
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  });

function given({ data, error }) {
  if (error) throw error;
  return data;
}

export const supabase = workerOf(
  async (env, path, image, row) => {
    const client = clientOf(env);
    const options = { upsert: true, contentType: "image/png" };
    given(await client.storage.from(BUCKET).upload(path, image, options));
    given(await client.from("images").insert(row).select("id"));
  },
  async (env, path) => given(await clientOf(env).storage.from(BUCKET).createSignedUrl(path, 3600)).signedUrl,
);
