/** Adam's step with 8-bit moments, block-wise. */
import code from "../../../shaders/optim/adam_8bit.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { storedElements } from "../../numbers/layout.ts";
import { adamParameters, type AdamRates } from "./adam.ts";
import { flatRanges, flatView } from "../flat.ts";
import { HELD, kernelByLanes, lanesFor, sharedBy, type Sharing } from "../lanes.ts";

const kernels = kernelByLanes("adam_8bit", code, { held: HELD.moments });

/** Elements that share an absolute maximum, as in bitsandbytes. */
export const ADAM_BLOCK = 256;

/** Operands of {@link adam8bit}. */
export interface Adam8bit extends AdamRates, Sharing {
  /** float32, overwritten with the update. */
  readonly gradient: Tensor;
  /** uint8 codes of the signed map, the shape of the gradient, overwritten. */
  readonly m: Tensor;
  /** uint8 codes of the unsigned map. */
  readonly v: Tensor;
  /** float32 (blocks), overwritten. */
  readonly absmaxM: Tensor;
  /** float32 (blocks), overwritten. */
  readonly absmaxV: Tensor;
}

/** Number of blocks in a tensor, its padding included. */
export function adamBlocks(tensor: Tensor): number {
  return Math.ceil(storedElements(tensor) / ADAM_BLOCK);
}

/**
 * gradient ← −lr · m̂ / (√v̂ + ε), with 8-bit moments in blocks of 256. A state of zero bytes
 * represents zeros. Dettmers et al. 2022. Throws {@link ShapeError} on operands that do not match.
 */
export function adam8bit(pass: KernelPass, io: Adam8bit): void {
  const { gradient, m, v, absmaxM, absmaxV, near } = io;
  const { lanes = lanesFor(pass.gpu, ADAM_BLOCK / 2, ADAM_BLOCK / 4) } = io;
  const { kernel, constants, rowsPerGroup } = sharedBy(pass, kernels, { lanes, near });
  expectDType("adam8bit", "gradient", gradient, "float32");
  for (const [name, operand] of Object.entries({ m, v })) {
    expectDType("adam8bit", name, operand, "uint8");
    expectShape("adam8bit", name, operand, gradient.shape);
  }
  for (const [name, operand] of Object.entries({ absmaxM, absmaxV })) {
    expectDType("adam8bit", name, operand, "float32");
    expectShape("adam8bit", name, operand, [adamBlocks(gradient)]);
  }
  for (const range of flatRanges(pass, gradient, ADAM_BLOCK)) {
    const elements = range.end - range.start;
    const blocks = Math.ceil(elements / ADAM_BLOCK);
    pass.dispatch({
      kernel,
      constants,
      operands: {
        gradient: flatView(gradient, range),
        m: flatView(m, range),
        v: flatView(v, range),
        absmax_m: absmaxM,
        absmax_v: absmaxV,
      },
      params: {
        octets: elements / 8,
        first_block: range.start / ADAM_BLOCK,
        blocks,
        ...adamParameters(io),
      },
      workgroups: [Math.ceil(blocks / rowsPerGroup)],
    });
  }
}
