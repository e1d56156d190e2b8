/** Aborts what a server keeps waiting for longer than `ms`. */
export function endIn(ms: number): AbortSignal {
  const abort = new AbortController();
  setTimeout(() => abort.abort(new DOMException("The server took too long.", "TimeoutError")), ms);
  return abort.signal;
}
