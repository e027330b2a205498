/**
 * Fira's limiter on vectors: an update is scaled down if its norm exceeds gamma times the norm that
 * the last one was scaled to.
 */
export function limitGrowth(
  updates: readonly (readonly number[])[],
  gamma: number,
): { readonly updates: number[][]; readonly norms: number[] } {
  const norms: number[] = [];
  const limited = updates.map((update) => {
    const norm = Math.hypot(...update), last = norms.at(-1);
    const limiter = last ? Math.max(norm / last, gamma) / gamma : 1;
    norms.push(norm / limiter);
    return update.map((value) => value / limiter);
  });
  return { updates: limited, norms };
}
