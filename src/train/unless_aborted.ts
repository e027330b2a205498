/**
 * The promise's result, or a rejection with the signal's reason as soon as it aborts. For what may
 * never settle, such as a read of a pipe that nobody writes to, or takes too long to wait for.
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return await promise;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    promise.catch(() => {}); // of what nobody waits for
  }
}
