import code from "../../../shaders/misc/random_normal.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf } from "../../numbers/layout.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { FLAG } from "../shader.ts";

const kernels = kernelByFormat("random_normal", code, { constants: { ...FLAT, PADDED: FLAG } });

/** Rounding uses steps from 0: initial values must not use the same bits. */
const INITIALISATION = 0xffffffff;

/** Operands of {@link randomNormal}. */
export interface RandomNormal {
  /** float32 or bfloat16, overwritten; the padding stays zero. */
  readonly target: Tensor;
  /** Row of the tensor that the first of target is; 0 by default. Blocks of rows have its bits. */
  readonly firstRow?: number;
  /** Standard deviation. */
  readonly std: number;
  /** Seed of the run. */
  readonly seed: number;
  /** Of what is drawn more than once, which time; those of a model's initial values by default. */
  readonly step?: number;
  /** Index of the tensor in its model, so that tensors with the same seed differ. */
  readonly tensor: number;
}

/**
 * target = std · N(0, 1), the same bits for the same seed, step and tensor. Box & Muller 1958 over PCG4D.
 * Throws {@link ShapeError} on another format.
 */
export function randomNormal(pass: KernelPass, io: RandomNormal): void {
  const { target, firstRow = 0, std, seed, step = INITIALISATION, tensor } = io;
  const first = firstRow * target.stride;
  const kernel = forFormat(kernels, "randomNormal", target);
  const columns = columnsOf(target.shape);
  for (const range of flatRanges(pass, target)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      constants: { PADDED: columns < target.stride ? 1 : 0 },
      operands: { target_values: flatView(target, range) },
      params: {
        octets,
        first_octet: (first + range.start) / 8,
        row_quads: target.stride / 4,
        columns,
        deviation: std,
        seed: seed >>> 0,
        step: step >>> 0,
        tensor: tensor >>> 0,
      },
      workgroups: [flatWorkgroups(octets)],
    });
  }
}
