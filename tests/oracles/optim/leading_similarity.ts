/** |cos| of two vectors, −1 if one is zero; and the first, normalised. */
import { dot } from "../svd.ts";

export function leadingSimilarity(vector: ArrayLike<number>, leading: ArrayLike<number>) {
  const length = Math.sqrt(dot(vector, vector)), other = Math.sqrt(dot(leading, leading));
  const similarity = length && other ? Math.abs(dot(vector, leading)) / (length * other) : -1;
  return { similarity, leading: Float64Array.from(vector, (value) => length && value / length) };
}
