/** scale · √over / (√under + eps), and 0 where `under` is 0. */
export function normRatios(
  over: ArrayLike<number>,
  under: ArrayLike<number>,
  scale: number,
  eps: number,
): Float64Array {
  return Float64Array.from(
    over,
    (value, i) => under[i] ? scale * Math.sqrt(value) / (Math.sqrt(under[i]) + eps) : 0,
  );
}
