/** The rows of a (V, C) table for the tokens, times a scale. */
export function embedding(
  tokens: ArrayLike<number>,
  weight: ArrayLike<number>,
  columns: number,
  scale = 1,
): Float64Array {
  return Float64Array.from(
    { length: tokens.length * columns },
    (_, at) => scale * weight[tokens[Math.floor(at / columns)] * columns + at % columns],
  );
}
