/** bfloat16, one number at a time: the upper half of a float32. */

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
