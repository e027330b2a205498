/** c = alpha · Σ_p parts[p] [+ c] [+ residual], for `elements` numbers each, in float64. */
export function matmulParts(
  parts: ArrayLike<number>,
  elements: number,
  { alpha = 1, c, residual }: {
    alpha?: number;
    c?: ArrayLike<number>;
    residual?: ArrayLike<number>;
  } = {},
): Float64Array {
  return Float64Array.from({ length: elements }, (_, i) => {
    let sum = 0;
    for (let at = i; at < parts.length; at += elements) sum += parts[at];
    return alpha * sum + (c ? c[i] : 0) + (residual ? residual[i] : 0);
  });
}
