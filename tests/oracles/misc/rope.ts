export interface RopeShape {
  readonly length: number;
  readonly heads: number;
  readonly headSize: number;
  readonly positionOffset?: number;
}

/** Angle of element i of half a head: position · theta^(−2i/D), in float64. */
export function angle(position: number, i: number, headSize: number, theta = 10_000): number {
  return position * theta ** (-2 * i / headSize);
}

/** A (positions, D) table of D/2 cosines and D/2 sines, from a first position on. */
export function ropeTable(positions: number, headSize: number, first = 0): Float64Array {
  const half = headSize / 2;
  return Float64Array.from({ length: positions * headSize }, (_, at) => {
    const a = angle(first + Math.floor(at / headSize), at % half, headSize);
    return at % headSize < half ? Math.cos(a) : Math.sin(a);
  });
}

/** Each pair (x[i], x[i + D/2]) of a head, as a complex number, times exp(i · angle). */
export function rope(
  x: ArrayLike<number>,
  { length, heads, headSize, positionOffset = 0 }: RopeShape,
): Float64Array {
  const turned = new Float64Array(x.length);
  const half = headSize / 2;
  for (let row = 0; row < x.length / (heads * headSize); row++) {
    const position = (row % length) + positionOffset;
    for (let head = 0; head < heads; head++) {
      const first = (row * heads + head) * headSize;
      for (let i = 0; i < half; i++) {
        const a = angle(position, i, headSize);
        const re = x[first + i], im = x[first + half + i];
        turned[first + i] = re * Math.cos(a) - im * Math.sin(a);
        turned[first + half + i] = re * Math.sin(a) + im * Math.cos(a);
      }
    }
  }
  return turned;
}
