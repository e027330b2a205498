/** The leading eigenvector of a symmetric matrix, its largest element ±1: from its Jacobi SVD. */
import { svd } from "../svd.ts";

export function leadingEigenvector(matrix: ArrayLike<number>, size: number): Float64Array {
  const vector = svd(matrix, size, size).vectors.slice(0, size);
  const most = vector.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return vector.map((value) => value / most);
}
