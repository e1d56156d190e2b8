import type { SyncRequest } from "imagen-cloud";

/** What the form has, as a request. Whoever has images made by a model names the model and its seed here. */
export function requestOf(form: FormData): SyncRequest {
  const [image, prompt] = [form.get("image") as File, form.get("prompt") as string];
  const about = { date: new Date().toISOString().slice(0, 10), slug: crypto.randomUUID().slice(0, 8), seed: 0 };
  return { ...about, image, prompt, backend: "upload" };
}
