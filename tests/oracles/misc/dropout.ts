import { randomUniform } from "./random_normal.ts";

export interface MaskKey {
  readonly share: number;
  readonly seed: number;
  readonly step: number;
  readonly tensor: number;
}

/** 1 where an element of a (rows, columns) matrix is kept; the counter runs over padded rows. */
export function dropoutMask([rows, columns]: readonly number[], key: MaskKey): Uint8Array {
  const stride = Math.ceil(columns / 8) * 8, seed = (key.seed ^ 0x85ebca6b) >>> 0;
  return Uint8Array.from({ length: rows * columns }, (_, i) => {
    const place = Math.floor(i / columns) * stride + i % columns;
    const drawn = randomUniform(seed, key.step, key.tensor, Math.floor(place / 4))[place % 4];
    return drawn >= Math.fround(key.share) ? 1 : 0;
  });
}

/** x · mask / (1 − share): a float32 product, which any adapter rounds correctly. */
export function dropout(x: Float32Array, shape: readonly number[], key: MaskKey): Float32Array {
  const mask = dropoutMask(shape, key), scale = Math.fround(1 / (1 - key.share));
  return Float32Array.from(x, (value, i) => mask[i] ? value * scale : 0);
}
