/** The adapter's peak performance, to which every kernel is compared. */
import copy from "./copy.wgsl" with { type: "text" };
import multiplyAdd from "./multiply_add.wgsl" with { type: "text" };
import { defineKernel } from "../src/gpu/kernel.ts";
import { Scope } from "../src/gpu/scope.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { KernelPass } from "../src/gpu/pass.ts";
import { randomNormal } from "../src/kernels/misc/random_normal.ts";
import type { Recorded } from "./timing.ts";

/** Work that does only what it measures. */
export interface Reference {
  readonly record: Recorded;
  /** Operations (a multiply-add counted as two), or bytes read and written, of one `record`. */
  readonly amount: number;
}

export interface Peaks {
  readonly arithmetic: Reference;
  readonly copying: Reference;
  release(): void;
}

const kernel = defineKernel("multiply_add", multiplyAdd);
const copyKernel = defineKernel("copy", copy);
/** Operations per thread and iteration, as in the WGSL. */
const OPERATIONS = 12 * 4 * 2;
const WORKGROUP_SIZE = 64;
/** Bytes that a workgroup of the copy moves: 256 threads, four vectors each. */
const COPY_BYTES = 256 * 4 * 16;

export function createPeaks(gpu: Gpu): Peaks {
  const scope = new Scope(gpu);
  // A card needs thousands of workgroups to be busy, a processor only a few.
  const [groups, iterations] = gpu.capabilities.software ? [32, 4000] : [8192, 4000];
  const tensor = (name: string, shape: number[]) =>
    scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  const out = tensor("out", [groups * WORKGROUP_SIZE, 8]);
  // Larger than any cache, and random, because compressible data moves faster than a card's memory.
  // A kernel copies faster than a card's own copy command, but slower than a processor's.
  const megabytes = gpu.capabilities.software
    ? 32
    : Math.min(512, gpu.limits.maxStorageBufferBindingSize >> 20);
  const [source, target] = ["source", "target"].map((name) => tensor(name, [megabytes, 1 << 18]));
  const fill = new KernelPass(gpu);
  randomNormal(fill, { target: source, std: 1, seed: 1, tensor: 0 });
  fill.submit();
  return {
    arithmetic: {
      record: (pass) =>
        pass.dispatch({
          kernel,
          operands: { out },
          params: { iterations, factor: 0.5 },
          workgroups: [groups],
        }),
      amount: groups * WORKGROUP_SIZE * iterations * OPERATIONS,
    },
    copying: {
      record: gpu.capabilities.software
        ? (pass) => pass.copy(source, target)
        : (pass) =>
          pass.dispatch({
            kernel: copyKernel,
            operands: { source, copied: target },
            workgroups: [source.byteLength / COPY_BYTES],
          }),
      amount: 2 * source.byteLength,
    },
    release: () => scope.release(),
  };
}
