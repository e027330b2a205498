/** s·(a·I + b·s²·A + c·s⁴·A²) in float64, with s = 1 / max(√trace A, ε), or 1. */
export function newtonSchulz(
  gram: ArrayLike<number>,
  size: number,
  { normalise, coefficients: [a, b, c], eps }: {
    readonly normalise: boolean;
    readonly coefficients: readonly [number, number, number];
    readonly eps: number;
  },
): Float64Array {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += gram[i * size + i];
  const s = normalise ? 1 / Math.max(Math.sqrt(trace), eps) : 1;
  return Float64Array.from({ length: size * size }, (_, at) => {
    const i = Math.floor(at / size), j = at % size;
    let square = 0;
    for (let k = 0; k < size; k++) square += gram[i * size + k] * gram[k * size + j];
    return s * ((i === j ? a : 0) + b * s ** 2 * gram[at] + c * s ** 4 * square);
  });
}

/** Five rounds of the iteration on X (m, n), wide or tall, in float64. */
export function orthogonalised(
  x: ArrayLike<number>,
  [m, n]: readonly [number, number],
  options: Omit<Parameters<typeof newtonSchulz>[2], "normalise">,
): Float64Array {
  // Works on the wide orientation: a tall X is transposed and transposed back.
  const [rows, columns] = m > n ? [n, m] : [m, n];
  const place = (i: number, j: number) => m > n ? j * n + i : i * n + j;
  const at = (values: ArrayLike<number>, i: number, j: number) => values[place(i, j)];
  let now = Float64Array.from(x);
  for (let round = 0; round < 5; round++) {
    const gram = Float64Array.from({ length: rows * rows }, (_, place) => {
      const i = Math.floor(place / rows), j = place % rows;
      let sum = 0;
      for (let k = 0; k < columns; k++) sum += at(now, i, k) * at(now, j, k);
      return sum;
    });
    const polynomial = newtonSchulz(gram, rows, { ...options, normalise: round === 0 });
    const next = new Float64Array(now.length);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let k = 0; k < rows; k++) sum += polynomial[i * rows + k] * at(now, k, j);
        next[place(i, j)] = sum;
      }
    }
    now = next;
  }
  return now;
}
