/**
 * The gradient of a scalar function by central differences in float64, to check the oracles of
 * backward kernels: (f(x + h) − f(x − h)) / 2h, wrong by about h² times the third derivative.
 */
export function centralDifferences(
  x: Float64Array,
  loss: (x: Float64Array) => number,
  h = 1e-4,
): Float64Array {
  return x.map((value, i) => {
    const moved = x.slice();
    moved[i] = value + h;
    const above = loss(moved);
    moved[i] = value - h;
    return (above - loss(moved)) / (2 * h);
  });
}

/** Σ a·b: the loss whose gradient with respect to b's source is pulled back from a. */
export function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
