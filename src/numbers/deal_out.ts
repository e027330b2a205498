/** How things of different sizes are dealt out to several holders. */

/**
 * The holder of each, so that all hold about as many bytes: the largest first, each to whoever has the
 * least so far. The first holder has the most, unless some are `settled`.
 */
export function dealOut(
  bytes: readonly number[],
  count: number,
  settled: readonly (number | undefined)[] = [],
): number[] {
  const loads = Array<number>(count).fill(0), holders = Array<number>(bytes.length).fill(0);
  const give = (index: number, holder: number) => {
    holders[index] = holder;
    loads[holder] += bytes[index];
  };
  for (const [index, holder] of settled.entries()) if (holder !== undefined) give(index, holder);
  for (const index of [...bytes.keys()].sort((a, b) => bytes[b] - bytes[a] || a - b)) {
    if (settled[index] === undefined) give(index, loads.indexOf(Math.min(...loads)));
  }
  if (settled.some((holder) => holder !== undefined)) return holders;
  const byLoad = [...loads.keys()].sort((a, b) => loads[b] - loads[a] || a - b);
  return holders.map((holder) => byLoad.indexOf(holder));
}
