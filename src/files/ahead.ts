/** Work that is begun before its result is asked for, so that waiting for one hides the others'. */

/** How far ahead to go. */
export interface Ahead<T> {
  /** What the result of an item takes of the host's memory. */
  readonly bytes: (item: T) => number;
  /** The most that results may take which are begun and not yet asked for; one is always begun. */
  readonly most: number;
}

/** The results of `begin`, in the order of the items. */
export async function* ahead<T, R>(
  items: Iterable<T>,
  begin: (item: T) => Promise<R>,
  { bytes, most }: Ahead<T>,
): AsyncGenerator<R> {
  const rest = items[Symbol.iterator](), begun: { result: Promise<R>; size: number }[] = [];
  let next = rest.next(), held = 0;
  const beginMore = () => {
    while (!next.done) {
      const size = bytes(next.value);
      if (begun.length && held + size > most) return;
      const result = begin(next.value);
      // Reported when its turn comes, if it does.
      result.catch(() => {});
      begun.push({ result, size });
      held += size;
      next = rest.next();
    }
  };
  beginMore();
  while (begun.length) {
    const { result, size } = begun.shift()!, value = await result;
    held -= size;
    beginMore();
    yield value;
  }
}
