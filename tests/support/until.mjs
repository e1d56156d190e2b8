/** Waits for a condition instead of a time: asks `test` again and again, and fails when that takes too long. */
export async function until(test, what, limitMs = 20_000) {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const result = await test();
    if (result) return result;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for ${what ?? test}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
