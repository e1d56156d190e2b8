/** What is waited for, but not for ever: rejects after `ms`. @template T @param {number} ms @param {Promise<T>} waiting @returns {Promise<T>} */
export function within(ms, waiting) {
  let timer;
  const patience = new Promise((_, reject) => {
    timer = setTimeout(reject, ms, new Error(`no answer within ${ms / 1000} s`));
  });
  return Promise.race([waiting, patience]).finally(() => clearTimeout(timer));
}
