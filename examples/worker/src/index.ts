import { createSink, isImagenCloudError } from "imagen-cloud";

export interface Env {
  SUPABASE_URL: string;
  SUPABASE_SECRET_KEY: string;
}

const CORS = {
  // Name your page's origin here, or any page may ask its visitors' browsers to send images.
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "authorization, content-type",
};

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
    const { pathname, searchParams } = new URL(request.url);
    if (request.method !== "POST" || pathname !== "/images") return answer(404, { error: "POST to /images" });
    const userId = await userOf(request, env);
    if (!userId) return answer(401, { error: "sign in first" });
    const prompt = searchParams.get("prompt") ?? "";
    try {
      return answer(201, await send(env, userId, prompt, await request.arrayBuffer()));
    } catch (error) {
      if (!isImagenCloudError(error)) throw error;
      // What the caller can mend is theirs to hear; all else may name what only you should know.
      console.error(error.message);
      const theirs = error.stage === "request" || error.code === "too_large";
      return answer(theirs ? 400 : 502, { error: theirs ? error.message : error.code });
    }
  },
};

/** Sends an image with the secret key, into the user's own folder. */
async function send(env: Env, userId: string, prompt: string, image: ArrayBuffer): Promise<object> {
  const [url, apiKey] = [env.SUPABASE_URL, env.SUPABASE_SECRET_KEY];
  const sink = await createSink({ url, apiKey, ownerUserId: userId, pathPrefix: userId, requireImage: true });
  try {
    const about = { date: new Date().toISOString().slice(0, 10), slug: crypto.randomUUID().slice(0, 8), seed: 0 };
    const { storagePath, imageId } = await sink.sync({ ...about, image, prompt, backend: "upload" });
    return { imageId, url: await sink.signedUrl(storagePath) };
  } finally {
    // An isolate lives on, and its memory is shared by all requests.
    sink.free();
  }
}

/** The secret key passes every policy, so the Worker asks Supabase whose token this is. */
async function userOf(request: Request, env: Env): Promise<string | undefined> {
  const authorization = request.headers.get("authorization");
  if (!authorization) return undefined;
  const headers = { authorization, apikey: env.SUPABASE_SECRET_KEY };
  const response = await fetch(`${env.SUPABASE_URL}/auth/v1/user`, { headers });
  return response.ok ? ((await response.json()) as { id: string }).id : undefined;
}

function answer(status: number, body: object): Response {
  return Response.json(body, { status, headers: CORS });
}
