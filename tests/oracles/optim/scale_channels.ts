/** alpha · factor · x, with a factor of each row or column, or one. */
export function scaleChannels(
  x: ArrayLike<number>,
  columns: number,
  channels: "rows" | "columns" | "all",
  factors: ArrayLike<number>,
  alpha: number,
): Float64Array {
  return Float64Array.from(x, (value, i) => {
    const channel = { rows: Math.floor(i / columns), columns: i % columns, all: 0 }[channels];
    return alpha * factors[channel] * value;
  });
}
