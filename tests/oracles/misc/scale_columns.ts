/** factor ∘ y (+ residual) for every row, in float64; y is not changed. */
export function scaleColumns(
  y: ArrayLike<number>,
  factor: ArrayLike<number>,
  residual?: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(
    y,
    (value, i) => factor[i % factor.length] * value + (residual?.[i] ?? 0),
  );
}
