/** weight = decay · weight + update, rounded to float32 after each operation. */
import { fromBfloat16 } from "../bfloat16.ts";
import { randomBits } from "../misc/random_normal.ts";

const { fround } = Math;

export function applyUpdate(
  weight: Float32Array,
  update: Float32Array,
  decay: number,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(weight, (value, i) => fround(fround(fround(decay) * value) + update[i]));
}

/** Stochastic rounding to bfloat16: adds 16 random bits below, then truncates. */
export function roundBfloat16(
  value: number,
  { seed, step, tensor }: { seed: number; step: number; tensor: number },
  element: number,
): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0];
  const draw = randomBits(seed, step, tensor, Math.floor(element / 4))[element % 4] >>> 16;
  return fromBfloat16((bits + draw) >>> 16);
}
