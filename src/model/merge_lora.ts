/** Merges an adapter into its matrix: rows of W + s · B·A, in float32. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import { padded } from "../numbers/layout.ts";
import { rowRange, type Tensor, viewAs } from "../gpu/tensor.ts";
import { packTensor, unpackTensor } from "../numbers/plain.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import { createMatmulWorkspace, matmul, type MatmulWorkspace } from "../kernels/matmul/matmul.ts";
import { strategyFor } from "../kernels/strategy.ts";

/** W (out, in) += scale · left·right; for a projection B and A, for the embedding A and Bᵀ. */
export interface LowRankUpdate {
  readonly out: number;
  readonly inner: number;
  readonly rank: number;
  /** s: α/r or α/√r. */
  readonly scale: number;
}

/** Device memory for merging one matrix after another. */
export interface MergeWorkspace {
  readonly matmul: MatmulWorkspace;
  readonly rows: Tensor; // a block of W, its widest
  readonly right: Tensor; // (r, in) of the widest
  readonly left: Tensor; // (out, r) of the longest
}

/** For blocks of at most `rows` rows. */
export function createMergeWorkspace(
  allocator: Allocator,
  capabilities: Capabilities,
  updates: readonly LowRankUpdate[],
  rows: (inner: number) => number,
): MergeWorkspace {
  const most = (size: (update: LowRankUpdate) => number) => Math.max(8, ...updates.map(size));
  const scratch = (name: string, elements: number) =>
    allocator.tensor({
      name: `merge.${name}`,
      shape: [elements],
      dtype: "float32",
      purpose: "workspace",
    });
  const shapes = updates.map(({ out, inner: n, rank: k }) => (
    { layout: "NN" as const, m: Math.min(out, rows(n)), n, k }
  ));
  return {
    matmul: createMatmulWorkspace(allocator, {
      variant: strategyFor(capabilities).matmul,
      limits: capabilities.limits,
      shapes,
    }),
    rows: scratch("rows", most(({ out, inner }) => Math.min(out, rows(inner)) * padded(inner))),
    right: scratch("right", most(({ rank, inner }) => rank * padded(inner))),
    left: scratch("left", most(({ rank, out }) => out * padded(rank))),
  };
}

/** Uploads the factors of a matrix; they stay until the next one's. */
export function uploadFactors(
  gpu: Gpu,
  workspace: MergeWorkspace,
  update: LowRankUpdate,
  { left, right }: { left: Float32Array; right: Float32Array },
): void {
  const views = viewsOf(workspace, update);
  gpu.write(views.left, packTensor(views.left, left));
  gpu.write(views.right, packTensor(views.right, right));
}

function viewsOf(
  { left, right }: MergeWorkspace,
  { out, inner, rank }: LowRankUpdate,
): { left: Tensor; right: Tensor } {
  return {
    left: viewAs(left, "merge.left", [out, rank]),
    right: viewAs(right, "merge.right", [rank, inner]),
  };
}

/** Rows of W from row `start`, a multiple of 64, with those of the update added; `values` (rows, in). */
export async function mergeRows(
  gpu: Gpu,
  workspace: MergeWorkspace,
  { update, start, values }: { update: LowRankUpdate; start: number; values: Float32Array },
): Promise<Float32Array<ArrayBuffer>> {
  const { inner, scale: alpha } = update, rows = values.length / inner;
  const block = viewAs(workspace.rows, "merge.rows", [rows, inner]);
  gpu.write(block, packTensor(block, values));
  const { left, right: b } = viewsOf(workspace, update);
  const pass = new KernelPass(gpu), a = rowRange(left, start, start + rows);
  matmul(pass, workspace.matmul, { layout: "NN", a, b, c: block, alpha, accumulate: true });
  pass.submit();
  return unpackTensor(block, await gpu.read(block));
}

/** DoRA: each of some rows (n, in), in place, scaled to its length (n). A row of zeros stays zero. */
export function scaleRowsTo(rows: Float32Array, lengths: Float32Array): void {
  const columns = rows.length / lengths.length;
  lengths.forEach((length, index) => {
    const row = rows.subarray(index * columns, (index + 1) * columns);
    let squares = 0;
    for (let i = 0; i < columns; i++) squares += row[i] * row[i];
    const factor = squares ? length / Math.sqrt(squares) : 0;
    for (let i = 0; i < columns; i++) row[i] *= factor;
  });
}
