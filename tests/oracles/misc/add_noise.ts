import { randomUniform } from "./random_normal.ts";

export interface NoiseKey {
  readonly bound: number;
  readonly seed: number;
  readonly step: number;
  readonly tensor: number;
}

/** bound · (2u − 1) for each element of a (rows, columns) matrix; the counter runs over padded rows. */
export function noise(
  [rows, columns]: readonly number[],
  key: NoiseKey,
): Float64Array<ArrayBuffer> {
  const stride = Math.ceil(columns / 8) * 8, seed = (key.seed ^ 0xc2b2ae35) >>> 0;
  return Float64Array.from({ length: rows * columns }, (_, i) => {
    const place = Math.floor(i / columns) * stride + i % columns;
    const drawn = randomUniform(seed, key.step, key.tensor, Math.floor(place / 4))[place % 4];
    return key.bound * (2 * drawn - 1);
  });
}

/** x + noise */
export function addNoise(x: ArrayLike<number>, shape: readonly number[], key: NoiseKey) {
  return noise(shape, key).map((each, i) => each + x[i]);
}
