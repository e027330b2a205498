import code from "../../../shaders/optim/momentum_8bit.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { ADAM_BLOCK, adamBlocks } from "./adam_blockwise.ts";
import { flatRanges, flatView } from "../flat.ts";
import { type Momentum, momentumParameters } from "./momentum.ts";
import { blocksBy, heldOf, kernelByLanes } from "../lanes.ts";

/** Of an octet the gradient takes two loads; its codes hardly count. */
const BLOCK = { octets: ADAM_BLOCK / 8, loads: 2 };

/** With the update in a buffer of its own, and in the gradient's. */
const [apart, inPlace] = ["apart", "in_place"].map((where) =>
  kernelByLanes(`momentum_8bit.${where}`, code, {
    heldOfBlock: heldOf(BLOCK),
    variants: ["float32", `update_${where}`],
  })
);

export interface Momentum8bit extends Momentum {
  /** uint8 codes of the signed map, in the gradient's shape, overwritten. */
  readonly momentum: Tensor;
  /** float32 (blocks of 256), overwritten. */
  readonly absmax: Tensor;
}

/**
 * Like {@link momentum}, with 8-bit momentum in blocks of 256 (Dettmers et al. 2022). A state
 * of zero bytes represents zeros. Throws {@link ShapeError} on operands that do not match.
 */
export function momentum8bit(pass: KernelPass, io: Momentum8bit): void {
  const { gradient, momentum, absmax, update } = io, isInPlace = gradient === update;
  const { kernel, constants, rowsPerGroup } = blocksBy(pass, isInPlace ? inPlace : apart, BLOCK);
  expectDType("momentum8bit", "gradient", gradient, "float32");
  expectDType("momentum8bit", "momentum", momentum, "uint8");
  expectShape("momentum8bit", "momentum", momentum, gradient.shape);
  expectDType("momentum8bit", "absmax", absmax, "float32");
  expectShape("momentum8bit", "absmax", absmax, [adamBlocks(gradient)]);
  expectDType("momentum8bit", "update", update, "float32");
  expectShape("momentum8bit", "update", update, gradient.shape);
  for (const range of flatRanges(pass, gradient, ADAM_BLOCK)) {
    const elements = range.end - range.start, blocks = Math.ceil(elements / ADAM_BLOCK);
    pass.dispatch({
      kernel,
      constants,
      operands: {
        gradient: isInPlace ? undefined : flatView(gradient, range),
        update: flatView(update, range),
        momentum: flatView(momentum, range),
        absmax,
      },
      params: {
        octets: elements / 8,
        first_block: range.start / ADAM_BLOCK,
        blocks,
        ...momentumParameters(io),
      },
      workgroups: [Math.ceil(blocks / rowsPerGroup)],
    });
  }
}
