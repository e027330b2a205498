/** bfloat16 on the host: the upper half of a float32. */

const one = new Float32Array(1);
const bits = new Uint32Array(one.buffer);

/** The 16 bits of the bfloat16 nearest to a number (ties to even). */
export function toBfloat16(value: number): number {
  one[0] = value;
  if (Number.isNaN(value)) return 0x7fc0;
  return (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16;
}

export function fromBfloat16(half: number): number {
  bits[0] = half << 16;
  return one[0];
}

/** Rounds numbers as {@link toBfloat16} does. A loop over the bits saves minutes for a large model. */
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
