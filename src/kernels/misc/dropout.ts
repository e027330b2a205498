import code from "../../../shaders/misc/dropout.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import { UserError } from "../../options/user_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { expectShape, type Tensor } from "../../gpu/tensor.ts";
import { saltedSeed } from "../salts.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { FLAG } from "../shader.ts";

const kernels = kernelByFormat("dropout", code, {
  constants: { ...FLAT, ACCUMULATE: FLAG },
});

/** Operands of {@link dropout}. */
export interface Dropout {
  /** (N, C) float32 or bfloat16. */
  readonly x: Tensor;
  /** (N, C) overwritten or added to; another tensor than x. */
  readonly y: Tensor;
  /** Fraction of elements set to zero, in [0, 1). */
  readonly share: number;
  /** Seed of the run. */
  readonly seed: number;
  /** Key of the forward pass: each micro-batch has its own. */
  readonly step: number;
  /** Index of the tensor in its model. */
  readonly tensor: number;
  /** Adds to the existing values. */
  readonly accumulate?: boolean;
}

/**
 * y (+)= x · mask / (1 − share). The same key (seed, step, tensor) draws the same mask, which makes
 * this its own backward pass. Srivastava et al. 2014. Throws {@link ShapeError} on operands that do
 * not match and {@link UserError} on a share outside [0, 1).
 */
export function dropout(pass: KernelPass, io: Dropout): void {
  const { x, y, share, seed, step, tensor, accumulate = false } = io;
  if (!(share >= 0 && share < 1)) {
    throw new UserError(`dropout: share must be in [0, 1), got ${share}`);
  }
  expectShape("dropout", "y", y, x.shape);
  if (x.buffer === y.buffer) throw new ShapeError("dropout: y must be another tensor than x");
  const kernel = forFormat(kernels, "dropout", x, y);
  for (const range of flatRanges(pass, x)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      constants: { ACCUMULATE: accumulate ? 1 : 0 },
      operands: { x: flatView(x, range), y: flatView(y, range) },
      params: {
        octets,
        first_octet: range.start / 8,
        share,
        scale: 1 / (1 - share),
        seed: saltedSeed(seed, "dropout"),
        step: step >>> 0,
        tensor: tensor >>> 0,
      },
      workgroups: [flatWorkgroups(octets)],
    });
  }
}
