/** A benchmark case: operands of one shape, and the work recorded with them. */
import type { Allocator } from "../src/gpu/allocator.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { KernelPass } from "../src/gpu/pass.ts";
import type { DType } from "../src/numbers/layout.ts";
import type { Tensor } from "../src/gpu/tensor.ts";

export interface BenchCase {
  readonly name: string;
  readonly shape: string;
  /** Allocates the operands; the case states whether arithmetic or memory bounds it. */
  prepare(bench: Bench): Prepared;
}

export interface Prepared {
  /** The work to time. */
  readonly record: (pass: KernelPass) => void;
  /** Operations; a multiply-add counts as two. */
  readonly flops?: number;
  /** Bytes that must be read and written at least once. */
  readonly bytes?: number;
}

/** Sizes of a model and its batch, with the usual letters. */
export interface Sizes {
  readonly B: number;
  readonly T: number;
  readonly C: number;
  readonly H: number;
  readonly D: number;
  readonly F: number;
  readonly V: number;
  readonly R: number;
}

/** llama_60m on a processor, llama_1b on a card. */
export function sizesFor(software: boolean): Sizes {
  return software
    ? { B: 4, T: 256, C: 512, H: 8, D: 64, F: 1376, V: 32000, R: 128 }
    : { B: 8, T: 1024, C: 2048, H: 32, D: 64, F: 5461, V: 32000, R: 512 };
}

/** The bits of a word that are random, and those that are set. */
interface Bits {
  readonly random: number;
  readonly fixed: number;
}

/** 0.007 to 0.03, both as float32 and as bfloat16. */
const MAGNITUDES: Bits = { random: 0x00ff00ff, fixed: 0x3c003c00 };
const NUMBERS: Bits = { random: 0x80ff80ff, fixed: 0x3c003c00 };
const CODES: Bits = { random: 0xffffffff, fixed: 0 };

/** Allocates operands, which are released with their case. */
export class Bench {
  constructor(readonly gpu: Gpu, readonly allocator: Allocator) {}

  /** Filled with ordinary values in every format: small numbers, and codes over the whole range. */
  tensor(name: string, shape: readonly number[], dtype: DType = "float32"): Tensor {
    const groupSize = dtype === "int8" || dtype === "int4" ? 256 : undefined;
    const tensor = this.allocator.tensor({ name, shape, dtype, groupSize, purpose: "workspace" });
    this.#fill(tensor, dtype === "float32" || dtype === "bfloat16" ? NUMBERS : CODES);
    if (tensor.constants) this.#fill(tensor.constants, NUMBERS);
    return tensor;
  }

  /** float32, none of them negative. */
  magnitudes(name: string, shape: readonly number[]): Tensor {
    const tensor = this.allocator.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
    this.#fill(tensor, MAGNITUDES);
    return tensor;
  }

  /** Scattered integers below `end`. */
  integers(name: string, count: number, end: number): Tensor {
    const tensor = this.allocator.tensor({
      name,
      shape: [count],
      dtype: "uint32",
      purpose: "workspace",
    });
    this.gpu.write(tensor, Uint32Array.from({ length: count }, (_, i) => scattered(i) % end));
    return tensor;
  }

  #fill(tensor: Tensor, { random, fixed }: Bits): void {
    const count = tensor.byteLength / 4;
    const words = Uint32Array.from({ length: count }, (_, i) => (scattered(i) & random) | fixed);
    this.gpu.write(tensor, words);
  }
}

/**
 * A hash of a counter (MurmurHash3's finaliser): cards compress regular data, which would make
 * their memory look faster than it is.
 */
function scattered(index: number): number {
  let bits = Math.imul(index + 1, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** Bytes of tensors, their constants included. */
export function bytesIn(...tensors: readonly Tensor[]): number {
  return tensors.reduce(
    (sum, tensor) => sum + tensor.byteLength + (tensor.constants?.byteLength ?? 0),
    0,
  );
}
