/** Σ_n x[n, c]·y[n, c] / norm[c] for every column, in float64; 0 where the norm is 0. */
export function columnDots(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  norm: ArrayLike<number>,
): Float64Array {
  const dots = new Float64Array(norm.length);
  for (let i = 0; i < x.length; i++) dots[i % norm.length] += x[i] * y[i];
  return dots.map((dot, c) => norm[c] ? dot / norm[c] : 0);
}
