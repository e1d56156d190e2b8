// Thousands of jobs in an outbox's database, in seconds.

/**
 * For a page: puts `count` jobs more into the closed outbox whose database has that name, and into its caches, as copies of its
 * first job under ids and paths of their own. Needs nothing from around it, so that a driver may carry it into a page.
 * @param {{ name: string, count: number }} wish
 */
export async function seedJobs({ name, count }) {
  const settled = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const database = await settled(indexedDB.open(name));
  const cache = await caches.open(name);
  const keep = (record, image) => {
    const text = new Blob([JSON.stringify(record)]);
    const copy = new Response(new Blob([text, image]), { headers: { "x-record-bytes": text.size } });
    return cache.put(`/imagen-cloud-outbox/${record.id}`, copy);
  };
  for (let left = count; left > 0; left -= 500) {
    const transaction = database.transaction(["jobs", "images", "settings"], "readwrite");
    const [jobs, images, settings] = ["jobs", "images", "settings"].map((store) => transaction.objectStore(store));
    const [first] = await settled(jobs.getAll(undefined, 1));
    const image = await settled(images.get(first.id));
    const totals = await settled(settings.get("totals"));
    const copies = Array.from({ length: Math.min(left, 500) }, (_, index) => {
      const [id, seq] = [crypto.randomUUID(), totals.last + 1 + index];
      const storagePath = first.storagePath.replace(/-\d+\.png$/, `-${1e7 + seq}.png`);
      const text = first.text.replaceAll(first.id, id).replaceAll(first.storagePath, storagePath);
      return { ...first, id, storagePath, text, seq, due: [0, seq] };
    });
    for (const record of copies) {
      jobs.add(record);
      images.add(image, record.id);
    }
    const bytes = totals.bytes + copies.length * first.size;
    const [all, waiting, last] = ["count", "waiting", "last"].map((total) => totals[total] + copies.length);
    settings.put({ count: all, bytes, waiting, last }, "totals");
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    await Promise.all(copies.map((record) => keep(record, image)));
  }
  database.close();
}
