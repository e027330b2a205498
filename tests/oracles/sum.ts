/** scale · Σ x in float64. */
export function sum(x: ArrayLike<number>, scale = 1): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i];
  return scale * total;
}
