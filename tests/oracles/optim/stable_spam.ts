/** Stable-SPAM's AdaClip and AdaGN of a gradient, in float64, with their running means. */
export interface StableSpamMeans {
  largest: number;
  norm: number;
  square: number;
}

export function stableSpam(
  gradient: ArrayLike<number>,
  means: StableSpamMeans,
  step: number,
): Float64Array {
  let largest = 0;
  for (let i = 0; i < gradient.length; i++) largest = Math.max(largest, Math.abs(gradient[i]));
  means.largest = 0.999 * means.largest + 0.001 * largest;
  const threshold = means.largest / (1 - 0.999 ** step);
  const clipped = Float64Array.from(
    gradient,
    (value) => Math.abs(value) > threshold ? value / largest * threshold : value,
  );
  const squares = clipped.reduce((sum, value) => sum + value * value, 0), norm = Math.sqrt(squares);
  means.norm = 0.7 * means.norm + 0.3 * norm;
  means.square = 0.9 * means.square + 0.1 * squares;
  const wanted = means.norm / (1 - 0.7 ** step) /
    (Math.sqrt(means.square / (1 - 0.9 ** step)) + 1e-8);
  return norm > 0 ? clipped.map((value) => value / norm * wanted) : clipped;
}
