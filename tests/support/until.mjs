/**
 * Waits for a condition instead of a time: asks `test` again and again, and fails when that takes too long. Between two
 * questions it rests three times as long as one takes, so that waiting leaves the processor to what is waited for.
 */
export async function until(test, what, limitMs = 60_000) {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const asked = performance.now();
    const result = await test();
    if (result) return result;
    const now = performance.now();
    if (now > deadline) throw new Error(`waited ${limitMs} ms in vain for ${what ?? test}`);
    await new Promise((resolve) => setTimeout(resolve, Math.max(10, 3 * (now - asked))));
  }
}
