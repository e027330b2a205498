/**
 * The order of a head's rows in llama.cpp's "llama" architecture. Its RoPE rotates adjacent pairs
 * (2i, 2i + 1) where Hugging Face rotates (i, i + D/2), so its converter interleaves the two halves
 * of every query and key head. Other architectures keep Hugging Face's order.
 */

/**
 * Moves rows from Hugging Face's order to llama.cpp's (`to: "gguf"`) or back (`to: "hf"`).
 * `values` hold whole heads: a multiple of `headSize` rows of `columns` elements.
 */
export function permuteHeads(
  values: Float32Array<ArrayBuffer>,
  { headSize, columns, to }: { headSize: number; columns: number; to: "gguf" | "hf" },
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  const rows = values.length / columns, half = headSize / 2;
  for (let head = 0; head < rows; head += headSize) {
    for (let i = 0; i < headSize; i++) {
      // Row i in Hugging Face's order, and its position in llama.cpp's.
      const hf = head + i, gguf = head + (i < half ? 2 * i : 2 * (i - half) + 1);
      const [from, at] = to === "gguf" ? [hf, gguf] : [gguf, hf];
      result.set(values.subarray(from * columns, (from + 1) * columns), at * columns);
    }
  }
  return result;
}
