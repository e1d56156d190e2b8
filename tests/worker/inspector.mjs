// Looks into the Worker's isolate by the DevTools protocol.

/** @param {URL} address of `startWorker({ inspect: true }).inspector()` */
export async function inspect(address) {
  const [{ webSocketDebuggerUrl }] = await (await fetch(`http://${address.host}/json`)).json();
  // Pages of other origins, and programs that name none, are turned away.
  const socket = new WebSocket(webSocketDebuggerUrl, { headers: { origin: "http://localhost" } });
  const waiting = new Map();
  socket.onmessage = ({ data }) => {
    const { id, result, error } = JSON.parse(data);
    const { resolve, reject } = waiting.get(id) ?? {};
    waiting.delete(id);
    if (error) reject?.(new Error(error.message));
    else resolve?.(result);
  };
  socket.onclose = () => {
    for (const { reject } of waiting.values()) reject(new Error("the inspector hung up"));
  };
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  let last = 0;
  const call = (method) =>
    new Promise((resolve, reject) => {
      if (socket.readyState !== WebSocket.OPEN) return reject(new Error("the inspector hung up"));
      last += 1;
      waiting.set(last, { resolve, reject });
      socket.send(JSON.stringify({ id: last, method }));
    });
  return {
    /** Bytes that live after a collection: JavaScript's objects, and what their buffers hold. Needs a busy isolate. */
    async liveBytes() {
      await call("HeapProfiler.collectGarbage");
      const { usedSize, backingStorageSize } = await call("Runtime.getHeapUsage");
      return { heap: usedSize, buffers: backingStorageSize };
    },
    close: () => socket.close(),
  };
}
