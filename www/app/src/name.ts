/** `a lighthouse at dusk` and an image's id become `a-lighthouse-at-dusk-1a2b3c4d`: readable, and never taken yet. */
export function slugFor(prompt: string, imageId: string): string {
  const words = prompt
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 48)
    .replace(/^-+|-+$/g, "");
  return `${words || "untitled"}-${imageId.slice(0, 8)}`;
}

/** What a file's name says it shows. */
export function wordsOf({ name }: File): string {
  const words = name.replace(/\.\w+$/, "").replace(/[-_]+/g, " ");
  return words.trim() || "untitled";
}

/** Today where the user is, `YYYY-MM-DD`. */
export function today(now = new Date()): string {
  const [month, day] = [now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${now.getFullYear()}-${month}-${day}`;
}

export function megabytes(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1_000))} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** `prompt`, short enough for a sentence. */
export function quoted(prompt: string): string {
  return `“${prompt.length > 60 ? `${prompt.slice(0, 59).trimEnd()}…` : prompt}”`;
}
