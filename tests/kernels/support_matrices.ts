/** Matrices of every format with known values, and garbage in the row padding. */
import type { Gpu } from "../../src/gpu/gpu.ts";
import { storedElements } from "../../src/numbers/layout.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { fromBfloat16, toBfloat16 } from "../oracles/bfloat16.ts";
import type { MatrixType } from "../../src/kernels/octet.ts";
import { dynamicMap } from "../oracles/optim/adam_blockwise.ts";
import { LEVELS } from "../oracles/quantise/nf4_quantize.ts";
import { randomStream } from "../support.ts";

export interface KnownMatrix {
  readonly tensor: Tensor;
  /** Logical values, row-major. */
  readonly values: Float64Array;
}

const MAP = dynamicMap(true);

/**
 * A random matrix. Groups straddle rows, of 24 elements or, by the number of rows, of 32, which
 * kernels find by a shift; scales and zero points differ from group to group. NF4 has all codes of
 * its absolute maxima. Values are of order 1.
 */
export function knownMatrix(
  gpu: Gpu,
  name: string,
  [rows, columns]: readonly [number, number],
  dtype: MatrixType,
  seed: number,
): KnownMatrix {
  const next = randomStream(seed);
  const groupSize = dtype === "int8" || dtype === "int4" ? rows % 4 < 2 ? 32 : 24 : undefined;
  const tensor = gpu.tensor({
    name,
    shape: [rows, columns],
    dtype,
    purpose: "workspace",
    groupSize,
  });
  const count = storedElements(tensor);
  const bytes = new ArrayBuffer(tensor.byteLength);
  let value: (index: number) => number;
  if (dtype === "float32") {
    const view = new Float32Array(bytes).map(() => 2 * next() - 1);
    new Float32Array(bytes).set(view);
    value = (index) => view[index];
  } else if (dtype === "bfloat16") {
    const view = new Uint16Array(bytes);
    for (let i = 0; i < count; i++) view[i] = toBfloat16(2 * next() - 1);
    value = (index) => fromBfloat16(view[index]);
  } else if (dtype === "nf4") {
    const view = new Uint8Array(bytes).map(() => Math.floor(256 * next()));
    new Uint8Array(bytes).set(view);
    const words = new Uint32Array(tensor.constants!.shape[0]).map(() => 2 ** 32 * next());
    const floats = new Float32Array(words.buffer), codes = new Uint8Array(words.buffer);
    floats[0] = 0.7;
    // A scale for each 256 blocks, then their codes.
    for (let at = 1; at < words.length; at += 65) floats[at] = 0.2 + 0.3 * next();
    gpu.write(tensor.constants!, words);
    value = (index) => {
      const block = Math.floor(index / 64), record = 1 + 65 * Math.floor(block / 256);
      const absmax = MAP[codes[4 * record + 4 + (block % 256)]] * floats[record] + floats[0];
      return LEVELS[(view[index >> 1] >> (4 * (index & 1))) & 15] * absmax;
    };
  } else {
    const view = new Uint8Array(bytes);
    for (let i = 0; i < view.length; i++) view[i] = Math.floor(256 * next());
    const levels = dtype === "int8" ? 256 : 16;
    const scales = new Float32Array(tensor.constants!.shape[0]).map(() => (1 + next()) / levels);
    // The last bits of a scale are the zero point.
    const words = new Uint32Array(scales.buffer);
    for (const [group, word] of words.entries()) {
      words[group] = word - (word % levels) + Math.floor(levels * next());
    }
    gpu.write(tensor.constants!, words);
    value = (index) => {
      const code = dtype === "int8" ? view[index] : (view[index >> 1] >> (4 * (index & 1))) & 15;
      const group = Math.floor(index / groupSize!);
      return (code - (words[group] % levels)) * scales[group];
    };
  }
  gpu.write(tensor, new Uint8Array(bytes));
  const values = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      values[row * columns + column] = value(row * tensor.stride + column);
    }
  }
  return { tensor, values };
}
