/** The rows of a (V, C) table that the tokens name. */
export function embedding(
  tokens: ArrayLike<number>,
  weight: ArrayLike<number>,
  columns: number,
): Float64Array {
  return Float64Array.from(
    { length: tokens.length * columns },
    (_, at) => weight[tokens[Math.floor(at / columns)] * columns + at % columns],
  );
}
