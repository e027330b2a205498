/** scale · Σ x, or scale · Σ x², in float64. */
export function sum(x: ArrayLike<number>, scale = 1, squared = false): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += squared ? x[i] * x[i] : x[i];
  return scale * total;
}
