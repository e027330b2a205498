/** bfloat16 on the host: the upper half of a float32. */

/**
 * The bits of the bfloat16 nearest to each number, ties to even; a NaN becomes 7fc0. A loop over the
 * bits saves minutes for a large model.
 */
export function roundToBfloat16(values: Float32Array<ArrayBuffer>, into: Uint16Array): void {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i], nan = (word & 0x7fffffff) > 0x7f800000;
    into[i] = nan ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
}

/** The numbers that bfloat16's bits stand for, exactly. */
export function widenBfloat16(halves: Uint16Array, into: Float32Array<ArrayBuffer>): void {
  const words = new Int32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < words.length; i++) words[i] = halves[i] << 16;
}
