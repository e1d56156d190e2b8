/** Time that passes, and may be stopped: then it is never over. */
export function timer(ms: number): { over: Promise<void>; stop(): void } {
  let id: ReturnType<typeof setTimeout>;
  const over = new Promise<void>((resolve) => {
    id = setTimeout(resolve, ms);
  });
  return { over, stop: () => clearTimeout(id) };
}

export function wait(ms: number): Promise<void> {
  return timer(ms).over;
}
