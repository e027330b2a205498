/** What the attention kernels share: geometry, and ranges of sequences and of work. */
import tile from "../../shaders/lib/attention_tile.wgsl" with { type: "text" };
import { ShapeError } from "../gpu/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { bytesOf, type Tensor } from "../gpu/tensor.ts";
import { type KernelByFormat, kernelByFormat } from "./format.ts";

/** See shaders/lib/attention_tile.wgsl. */
export interface AttentionTile {
  readonly rowLanes: number;
  readonly columnLanes: number;
  readonly rowTile: number;
  readonly columnQuads: number;
}

/** 32 × 32 blocks by 64 threads of 4 × 4: some 6 KiB of workgroup memory, registers for D = 128. */
const CARD: AttentionTile = { rowLanes: 8, columnLanes: 8, rowTile: 4, columnQuads: 1 };

export function attentionTile(_gpu: Gpu): AttentionTile {
  return CARD;
}

/** Editions of an attention kernel, made when a head size is first met: it sizes register arrays. */
export class AttentionKernels {
  readonly #made = new Map<string, KernelByFormat>();

  constructor(readonly name: string, readonly code: string) {}

  get(headSize: number, geometry: AttentionTile): KernelByFormat {
    const { rowLanes, columnLanes, rowTile, columnQuads } = geometry;
    const suffix = [headSize, rowLanes, columnLanes, rowTile, columnQuads].join("x");
    let kernels = this.#made.get(suffix);
    if (!kernels) {
      const constants = {
        HEAD_QUADS: headSize / 4,
        ROW_LANES: rowLanes,
        COLUMN_LANES: columnLanes,
        ROW_TILE: rowTile,
        COLUMN_QUADS: columnQuads,
      };
      const prelude = Object.entries(constants).map(([name, value]) =>
        `const ${name} = ${value}u;`
      );
      kernels = kernelByFormat(`${this.name}.${suffix}`, prelude.join("\n"), tile, this.code);
      this.#made.set(suffix, kernels);
    }
    return kernels;
  }
}

export function expectHeads(
  operation: string,
  { heads, keyValueHeads, headSize }: { heads: number; keyValueHeads: number; headSize: number },
): void {
  if (headSize % 4 !== 0 || headSize < 4 || headSize > 256) {
    throw new ShapeError(
      `${operation}: the head size must be a multiple of 4 from 4 to 256, got ${headSize}`,
    );
  }
  if (heads % keyValueHeads !== 0) {
    throw new ShapeError(
      `${operation}: ${keyValueHeads} key/value heads must divide ${heads} heads evenly`,
    );
  }
}

/**
 * Sequences that one dispatch can bind of tensors with so many rows a sequence. A range must start
 * on the adapter's alignment, 256 bytes at most.
 */
export function sequencesPerBinding(
  pass: KernelPass,
  operands: readonly { readonly tensor: Tensor; readonly rows: number }[],
): number {
  const limit = pass.gpu.limits.maxStorageBufferBindingSize;
  const bytes = operands.map(({ tensor, rows }) => rows * bytesOf(tensor.dtype, tensor.stride));
  let step = 1;
  while (bytes.some((size) => (size * step) % 256 !== 0)) step *= 2;
  return Math.max(1, Math.floor(limit / Math.max(...bytes) / step)) * step;
}

/** Multiply-adds that a quarter of a second is surely enough for. */
const BUDGET = { software: 2 ** 28, card: 2 ** 35 };

/** Workgroups of one dispatch, when each does at most `work` multiply-adds. */
export function unitsPerDispatch(pass: KernelPass, work: number): number {
  const budget = pass.gpu.adapter.software ? BUDGET.software : BUDGET.card;
  return Math.min(65_535, Math.max(1, Math.floor(budget / work)));
}
