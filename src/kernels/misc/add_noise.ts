import code from "../../../shaders/misc/add_noise.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { columnsOf } from "../../numbers/layout.ts";
import { saltedSeed } from "../salts.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { forFormat, kernelByFormat } from "../format.ts";

const kernels = kernelByFormat("add_noise", code, { constants: FLAT });

/** Operands of {@link addNoise}. */
export interface AddNoise {
  /** (N, C) float32 or bfloat16, added to. */
  readonly y: Tensor;
  /** Largest absolute value of the noise. */
  readonly bound: number;
  /** Seed of the run. */
  readonly seed: number;
  /** Key of the forward pass: each micro-batch has its own. */
  readonly step: number;
  /** Index of the tensor in its model. */
  readonly tensor: number;
}

/**
 * y += noise, uniform in ±bound. The same key (seed, step, tensor) draws the same noise. Jain et al.
 * 2023 (arXiv 2310.05914). Throws {@link ShapeError} on a tensor of another format.
 */
export function addNoise(pass: KernelPass, { y, bound, seed, step, tensor }: AddNoise): void {
  const kernel = forFormat(kernels, "addNoise", y);
  for (const range of flatRanges(pass, y)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      workgroups: [flatWorkgroups(octets)],
      operands: { y: flatView(y, range) },
      params: {
        octets,
        first_octet: range.start / 8,
        row_octets: y.stride / 8,
        columns: columnsOf(y.shape),
        bound,
        seed: saltedSeed(seed, "noise"),
        step: step >>> 0,
        tensor: tensor >>> 0,
      },
    });
  }
}
