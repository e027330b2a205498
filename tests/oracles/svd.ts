/** Singular values and right singular vectors by one-sided Jacobi, float64, plain loops. */

export interface Svd {
  /** Descending. */
  values: Float64Array;
  /** Right singular vectors: row i belongs to value i; (n, n) row-major. */
  vectors: Float64Array;
}

/** Of a (rows, columns) matrix, row-major. Golub & Van Loan, section 8.6.3. */
export function svd(matrix: ArrayLike<number>, rows: number, columns: number): Svd {
  // Columns of the matrix, and of the rotations so far, kept as rows.
  const a = Array.from(
    { length: columns },
    (_, c) => Float64Array.from({ length: rows }, (_, r) => matrix[r * columns + c]),
  );
  const v = a.map((_, c) => Float64Array.from({ length: columns }, (_, r) => r === c ? 1 : 0));
  for (let sweep = 0; sweep < 30; sweep++) {
    let rotated = false;
    for (let p = 0; p < columns; p++) {
      for (let q = p + 1; q < columns; q++) {
        const alpha = dot(a[p], a[p]), beta = dot(a[q], a[q]), gamma = dot(a[p], a[q]);
        if (Math.abs(gamma) <= 1e-13 * Math.sqrt(alpha * beta)) continue;
        rotated = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const t = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const cosine = 1 / Math.sqrt(1 + t * t);
        rotate(a[p], a[q], cosine, cosine * t);
        rotate(v[p], v[q], cosine, cosine * t);
      }
    }
    if (!rotated) break;
  }
  const lengths = a.map((column) => Math.sqrt(dot(column, column)));
  const order = lengths.map((_, i) => i).sort((i, j) => lengths[j] - lengths[i]);
  const vectors = new Float64Array(columns * columns);
  order.forEach((from, to) => vectors.set(v[from], to * columns));
  return { values: Float64Array.from(order, (i) => lengths[i]), vectors };
}

export function dot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

function rotate(x: Float64Array, y: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < x.length; i++) {
    const old = x[i];
    x[i] = cosine * old - sine * y[i];
    y[i] = sine * old + cosine * y[i];
  }
}

/** c = a · bᵀ of (m, k) and (n, k), row-major. */
export function timesTransposed(a: ArrayLike<number>, b: ArrayLike<number>, k: number) {
  const m = a.length / k, n = b.length / k, c = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += a[i * k + l] * b[j * k + l];
      c[i * n + j] = sum;
    }
  }
  return c;
}

export function transposed(a: ArrayLike<number>, columns: number): Float64Array {
  const rows = a.length / columns;
  return Float64Array.from(
    { length: a.length },
    (_, i) => a[(i % rows) * columns + Math.floor(i / rows)],
  );
}
