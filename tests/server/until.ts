/** Waiting in tests. */

/** Milliseconds; reached only by what never comes, however busy the machine. */
const LIMIT = 120_000, POLL = 10;

/** Resolves to the first value of `look` that is neither undefined nor false. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
): Promise<Exclude<T, undefined | false>> {
  for (const start = performance.now();;) {
    const found = await look();
    if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    if (performance.now() - start > LIMIT) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}
