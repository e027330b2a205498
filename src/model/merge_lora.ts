/** Merges an adapter into its projection: rows of W + α/r · B·A, in float32. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { padded } from "../numbers/layout.ts";
import { rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { packTensor, unpackTensor } from "../numbers/plain.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import { createMatmulWorkspace, matmul, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import type { Adapter } from "./parameters.ts";
import { strategyFor } from "../kernels/strategy.ts";

/** Device memory for merging one projection after another. */
export interface MergeWorkspace {
  readonly matmul: MatmulWorkspace;
  readonly rows: Tensor; // a block of W, its widest
  readonly a: Tensor; // (r, in) of the widest
  readonly b: Tensor; // (out, r) of the longest
}

/** For blocks of at most `rows` rows. */
export function createMergeWorkspace(
  allocator: Allocator,
  capabilities: Capabilities,
  adapters: readonly Adapter[],
  rows: (inner: number) => number,
): MergeWorkspace {
  const most = (size: (adapter: Adapter) => number) => Math.max(...adapters.map(size));
  const scratch = (name: string, elements: number) =>
    allocator.tensor({
      name: `merge.${name}`,
      shape: [elements],
      dtype: "float32",
      purpose: "workspace",
    });
  const shapes = adapters.map(({ a: { shape: [k, n] }, b: { shape: [out] } }) => (
    { layout: "NN" as const, m: Math.min(out, rows(n)), n, k }
  ));
  return {
    matmul: createMatmulWorkspace(allocator, {
      variant: strategyFor(capabilities).matmul,
      limits: capabilities.limits,
      shapes,
    }),
    rows: scratch("rows", Math.max(...shapes.map(({ m, n }) => m * padded(n)))),
    a: scratch("a", most(({ a: { shape: [rank, inner] } }) => rank * padded(inner))),
    b: scratch("b", most(({ b: { shape: [out, rank] } }) => out * padded(rank))),
  };
}

/** Uploads the factors of a projection; they stay until the next one's. */
export function uploadFactors(
  gpu: Gpu,
  workspace: MergeWorkspace,
  { adapter, a, b }: { adapter: Adapter; a: Float32Array; b: Float32Array },
): void {
  const factorA = viewAs(workspace.a, "merge.a", adapter.a.shape);
  const factorB = viewAs(workspace.b, "merge.b", adapter.b.shape);
  gpu.write(factorA, packTensor(factorA, a));
  gpu.write(factorB, packTensor(factorB, b));
}

/**
 * Rows of W from row `start`, a multiple of 64, with those of α/r · B·A added; `values` (rows, in).
 */
export async function mergeRows(
  gpu: Gpu,
  workspace: MergeWorkspace,
  { adapter, start, values }: { adapter: Adapter; start: number; values: Float32Array },
): Promise<Float32Array<ArrayBuffer>> {
  const inner = adapter.a.shape[1], rows = values.length / inner;
  const block = viewAs(workspace.rows, "merge.rows", [rows, inner]);
  gpu.write(block, packTensor(block, values));
  const pass = new KernelPass(gpu);
  matmul(pass, workspace.matmul, {
    layout: "NN",
    a: rowRange(viewAs(workspace.b, "merge.b", adapter.b.shape), start, start + rows),
    b: viewAs(workspace.a, "merge.a", adapter.a.shape),
    c: block,
    alpha: adapter.scale,
    accumulate: true,
  });
  pass.submit();
  return unpackTensor(block, await gpu.read(block));
}
