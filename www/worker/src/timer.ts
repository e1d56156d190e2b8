/** Time that passes, and may be stopped: then it is never over. */
export function timer(ms: number): { over: Promise<void>; stop(): void } {
  let id: ReturnType<typeof setTimeout>;
  const over = new Promise<void>((resolve) => {
    id = setTimeout(resolve, ms);
  });
  return { over, stop: () => clearTimeout(id) };
}

/** What comes of the work in that time; `undefined` where it is not over by then. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const late = timer(ms);
  try {
    return await Promise.race([work, late.over.then(() => undefined)]);
  } finally {
    late.stop();
  }
}

export function wait(ms: number): Promise<void> {
  return timer(ms).over;
}
