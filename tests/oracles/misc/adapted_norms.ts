/** W + s·B·A (out, in) as it stands, in float64. */
export function adapted(
  { weight, a, b, scale }: {
    readonly weight: ArrayLike<number>;
    readonly a: ArrayLike<number>; // (R, in)
    readonly b: ArrayLike<number>; // (out, R)
    readonly scale: number;
  },
  rank: number,
): Float64Array<ArrayBuffer> {
  const inner = a.length / rank;
  return Float64Array.from(weight, (value, at) => {
    const row = Math.floor(at / inner), column = at % inner;
    for (let k = 0; k < rank; k++) value += scale * b[row * rank + k] * a[k * inner + column];
    return value;
  });
}

/** The norms of the rows of a matrix. */
export function rowNorms(matrix: ArrayLike<number>, columns: number): Float64Array<ArrayBuffer> {
  const norms = new Float64Array(matrix.length / columns);
  for (let i = 0; i < matrix.length; i++) norms[Math.floor(i / columns)] += matrix[i] ** 2;
  return norms.map(Math.sqrt);
}

/** 2s·A·Wᵀ + s²·A·Aᵀ·Bᵀ (R, out) */
export function normProducts(
  { weight, a, b, scale }: Parameters<typeof adapted>[0],
  rank: number,
): Float64Array<ArrayBuffer> {
  const inner = a.length / rank, out = b.length / rank, products = new Float64Array(rank * out);
  const moved = adapted({ weight, a, b, scale: scale / 2 }, rank);
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < out; i++) {
      for (let c = 0; c < inner; c++) {
        products[k * out + i] += 2 * scale * a[k * inner + c] * moved[i * inner + c];
      }
    }
  }
  return products;
}
