import type { SyncRequest } from "imagen-cloud";

/** What the form has, as a request. Whoever has images made by a model names the model and its seed here. */
export function requestOf(form: FormData): SyncRequest {
  const [image, prompt] = [form.get("image") as File, form.get("prompt") as string];
  return { image, prompt, seed: 0, backend: "upload" };
}
