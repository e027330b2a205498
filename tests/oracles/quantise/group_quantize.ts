/**
 * Group quantisation in plain loops. Each operation is rounded to float32, as on the device: in
 * float64 the codes of values halfway between two levels would differ.
 */
import { randomUniform } from "../misc/random_normal.ts";

const { fround } = Math;

export interface Quantised {
  /** A code for every stored element, row padding included. */
  codes: Uint8Array;
  /** (groups) words: the float32 of the scale, whose lowest bits are the zero point. */
  constants: Uint32Array<ArrayBuffer>;
  /** (groups) the scales before they were rounded to what ends in the zero point. */
  exactScales: Float32Array;
}

export interface GroupOptions {
  columns: number;
  groupSize: number;
  levels: number;
  rounding?: { seed: number; step: number; tensor: number };
  /** Constants to make the codes by: those of a device, whose divisions may round otherwise. */
  given?: Uint32Array;
}

/** Scales and zero points in the words of groups; `levels` is the greatest code. */
export function constantsIn(words: Uint32Array, levels: number) {
  return {
    scales: new Float32Array(Uint32Array.from(words).buffer),
    zeros: Float32Array.from(words, (word) => word % (levels + 1)),
  };
}

/** The float32 nearest to `scale` among those whose bits, as a number, leave the rest `zero`. */
function nearestScale(scale: number, zero: number, levels: number): number {
  const spacing = levels + 1, word = new Uint32Array(Float32Array.of(scale).buffer)[0];
  const near = word - (word % spacing) + zero;
  const found = Uint32Array.of(near - spacing, near, near + spacing);
  const distances = Array.from(new Float32Array(found.buffer), (each) => Math.abs(each - scale));
  return found[distances.indexOf(Math.min(...distances))];
}

export function groupQuantize(values: ArrayLike<number>, options: GroupOptions): Quantised {
  const { columns, groupSize, levels, rounding, given } = options;
  const stored = withPadding(values, columns);
  const codes = new Uint8Array(stored.length);
  const constants = new Uint32Array(Math.ceil(stored.length / groupSize));
  const exactScales = new Float32Array(constants.length);
  for (let start = 0, group = 0; start < stored.length; start += groupSize, group++) {
    const end = Math.min(start + groupSize, stored.length);
    let low = 0, high = 0;
    for (let i = start; i < end; i++) {
      low = Math.min(low, stored[i]);
      high = Math.max(high, stored[i]);
    }
    const exact = fround(Math.max(fround(high - low), fround(1e-5)) / levels);
    const middle = Math.min(Math.max(-roundHalfEven(fround(low / exact)), 0), levels);
    exactScales[group] = exact;
    constants[group] = nearestScale(exact, middle, levels);
    const word = Uint32Array.of((given ?? constants)[group]);
    const { scales: [scale], zeros: [zero] } = constantsIn(word, levels);
    for (let i = start; i < end; i++) {
      const level = fround(stored[i] / scale);
      const code = rounding ? roundByDraw(level, draw(rounding, i)) : roundHalfEven(level);
      codes[i] = Math.min(Math.max(code + zero, 0), levels);
    }
  }
  return { codes, constants, exactScales };
}

export function groupDequantize(
  { codes, constants }: Pick<Quantised, "codes" | "constants">,
  groupSize: number,
  levels: number,
): Float32Array {
  const { scales, zeros } = constantsIn(constants, levels);
  return Float32Array.from(codes, (code, i) => {
    const group = Math.floor(i / groupSize);
    return fround(code - zeros[group]) * scales[group];
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
