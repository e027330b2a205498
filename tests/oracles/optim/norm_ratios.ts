/** scale · √over / (max(√under, least) + eps), and 0 where `under` is 0. */
export function normRatios(
  over: ArrayLike<number>,
  under: ArrayLike<number>,
  { scale, least = 0, eps = 0 }: { scale: number; least?: number; eps?: number },
): Float64Array {
  return Float64Array.from(
    over,
    (value, i) =>
      under[i] ? scale * Math.sqrt(value) / (Math.max(Math.sqrt(under[i]), least) + eps) : 0,
  );
}
