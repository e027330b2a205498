/**
 * Group quantisation in plain loops. Each operation is rounded to float32, as on the device: in
 * float64 the codes of values halfway between two levels would differ.
 */
import { randomUniform } from "../misc/random_normal.ts";

const { fround } = Math;

export interface Quantised {
  /** A code for every stored element, row padding included. */
  codes: Uint8Array;
  /** (groups, 2) pairs of scale and zero point. */
  constants: Float32Array;
}

export interface GroupOptions {
  columns: number;
  groupSize: number;
  levels: number;
  rounding?: { seed: number; step: number; tensor: number };
}

export function groupQuantize(values: ArrayLike<number>, options: GroupOptions): Quantised {
  const { columns, groupSize, levels, rounding } = options;
  const stored = withPadding(values, columns);
  const codes = new Uint8Array(stored.length);
  const constants = new Float32Array(2 * Math.ceil(stored.length / groupSize));
  for (let start = 0, group = 0; start < stored.length; start += groupSize, group++) {
    const end = Math.min(start + groupSize, stored.length);
    let low = 0, high = 0;
    for (let i = start; i < end; i++) {
      low = Math.min(low, stored[i]);
      high = Math.max(high, stored[i]);
    }
    const scale = fround(Math.max(fround(high - low), fround(1e-5)) / levels);
    const zero = Math.min(Math.max(-roundHalfEven(fround(low / scale)), 0), levels);
    constants.set([scale, zero], 2 * group);
    for (let i = start; i < end; i++) {
      const level = fround(stored[i] / scale);
      const code = rounding ? roundByDraw(level, draw(rounding, i)) : roundHalfEven(level);
      codes[i] = Math.min(Math.max(code + zero, 0), levels);
    }
  }
  return { codes, constants };
}

export function groupDequantize({ codes, constants }: Quantised, groupSize: number): Float32Array {
  return Float32Array.from(codes, (code, i) => {
    const group = Math.floor(i / groupSize);
    return fround(code - constants[2 * group + 1]) * constants[2 * group];
  });
}

/** The logical elements of stored ones. */
export function withoutPadding<T extends Uint8Array | Float32Array>(stored: T, columns: number): T {
  const stride = Math.ceil(columns / 8) * 8;
  return stored.filter((_, i) => i % stride < columns) as T;
}

export function withPadding(values: ArrayLike<number>, columns: number): Float32Array {
  const stride = Math.ceil(columns / 8) * 8, rows = values.length / columns;
  const stored = new Float32Array(rows * stride);
  for (let i = 0; i < values.length; i++) {
    stored[Math.floor(i / columns) * stride + (i % columns)] = values[i];
  }
  return stored;
}

function draw(
  { seed, step, tensor }: { seed: number; step: number; tensor: number },
  element: number,
): number {
  return randomUniform(seed, step, tensor, Math.floor(element / 4))[element % 4];
}

function roundByDraw(level: number, random: number): number {
  const below = Math.floor(level);
  return below + (random < fround(level - below) ? 1 : 0);
}

export function roundHalfEven(value: number): number {
  const below = Math.floor(value), fraction = value - below;
  if (fraction !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
