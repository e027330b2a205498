/**
 * The constants of an int8 or int4 group, in one word: the float32 of its scale, whose lowest bits,
 * as many as a code has, are the zero point. shaders/lib/group_constants.wgsl reads and writes it.
 */

/** What codes are relative to: value = (code − zero) · scale. */
export interface GroupConstants {
  /** A step from one code to the next. */
  readonly scale: number;
  /** The code of zero. */
  readonly zero: number;
}

const floats = new Float32Array(1), words = new Uint32Array(floats.buffer);

/** The constants in a word; `levels` is the greatest code, 255 or 15. */
export function unpackConstants(word: number, levels: number): GroupConstants {
  words[0] = word;
  return { scale: floats[0], zero: word & levels };
}

/** The word whose scale is the nearest to this one. */
export function packConstants({ scale, zero }: GroupConstants, levels: number): number {
  floats[0] = scale;
  return (((words[0] - zero + (levels + 1) / 2) & ~levels) | zero) >>> 0;
}

/**
 * The words of constants that are pairs of float32, scale and zero point, as checkpoints had them
 * up to format 2. A scale moves by at most 2^-16 of itself. Zero points of eight bits serve int4
 * too, whose four are the lowest of them.
 */
export function packPairs(pairs: Float32Array): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: pairs.length / 2 }, (_, group) => {
    const [scale, zero] = pairs.subarray(2 * group, 2 * group + 2);
    return packConstants({ scale, zero }, 255);
  });
}
