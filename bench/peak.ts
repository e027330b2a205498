/** What the adapter can do at most: the measures that every kernel is held against. */
import multiplyAdd from "./multiply_add.wgsl" with { type: "text" };
import { defineKernel } from "../src/gpu/kernel.ts";
import { Scope } from "../src/gpu/scope.ts";
import type { Stopwatch } from "./timing.ts";

export interface Peak {
  /** Billions of operations a second, a multiply-add counted as two. */
  readonly gflops: number;
  /** Billions of bytes a second, read and written, of a copy by the device. */
  readonly gbps: number;
}

const kernel = defineKernel("multiply_add", multiplyAdd);
/** Operations of a thread in an iteration, as in the WGSL. */
const OPERATIONS = 12 * 4 * 2;
const WORKGROUP_SIZE = 64;

export async function measurePeak(watch: Stopwatch): Promise<Peak> {
  const { gpu } = watch;
  const scope = new Scope(gpu);
  // A card needs thousands of workgroups to be busy, a processor a few.
  const [groups, iterations] = gpu.adapter.software ? [32, 4000] : [8192, 4000];
  const tensor = (name: string, shape: number[]) =>
    scope.tensor({ name, shape, dtype: "float32", purpose: "workspace" });
  const out = tensor("out", [groups * WORKGROUP_SIZE, 8]);
  const arithmetic = await watch.milliseconds((pass) =>
    pass.dispatch({
      kernel,
      operands: { out },
      params: { iterations, factor: 0.5 },
      workgroups: [groups],
    })
  );
  const megabytes = gpu.adapter.software ? 32 : 256;
  const [source, target] = ["source", "target"].map((name) => tensor(name, [megabytes, 1 << 18]));
  const copying = await watch.milliseconds((pass) => pass.copy(source, target));
  scope.release();
  return {
    gflops: groups * WORKGROUP_SIZE * iterations * OPERATIONS / arithmetic / 1e6,
    gbps: 2 * source.byteLength / copying / 1e6,
  };
}
