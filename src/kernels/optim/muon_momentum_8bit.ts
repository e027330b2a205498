import code from "../../../shaders/optim/muon_momentum_8bit.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { ADAM_BLOCK, adamBlocks } from "./adam_blockwise.ts";
import { flatRanges, flatView } from "../flat.ts";
import { blocksBy, heldOf, kernelByLanes } from "../lanes.ts";

/** Of an octet the gradient takes two loads; its codes hardly count. */
const BLOCK = { octets: ADAM_BLOCK / 8, loads: 2 };

const kernels = kernelByLanes("muon_momentum_8bit", code, { heldOfBlock: heldOf(BLOCK) });

export interface MuonMomentum8bit {
  /** float32. */
  readonly gradient: Tensor;
  /** uint8 codes of the signed map, in the gradient's shape, overwritten. */
  readonly momentum: Tensor;
  /** float32 (blocks of 256), overwritten. */
  readonly absmax: Tensor;
  /** float32, overwritten; in a separate buffer. */
  readonly update: Tensor;
  /** μ */
  readonly decay: number;
}

/**
 * Like {@link muonMomentum}, with 8-bit momentum in blocks of 256 (Dettmers et al. 2022). A state
 * of zero bytes represents zeros. Throws {@link ShapeError} on operands that do not match.
 */
export function muonMomentum8bit(pass: KernelPass, io: MuonMomentum8bit): void {
  const { gradient, momentum, absmax, update, decay } = io;
  const { kernel, constants, rowsPerGroup } = blocksBy(pass, kernels, BLOCK);
  expectDType("muonMomentum8bit", "gradient", gradient, "float32");
  expectDType("muonMomentum8bit", "momentum", momentum, "uint8");
  expectShape("muonMomentum8bit", "momentum", momentum, gradient.shape);
  expectDType("muonMomentum8bit", "absmax", absmax, "float32");
  expectShape("muonMomentum8bit", "absmax", absmax, [adamBlocks(gradient)]);
  expectDType("muonMomentum8bit", "update", update, "float32");
  expectShape("muonMomentum8bit", "update", update, gradient.shape);
  for (const range of flatRanges(pass, gradient, ADAM_BLOCK)) {
    const elements = range.end - range.start, blocks = Math.ceil(elements / ADAM_BLOCK);
    pass.dispatch({
      kernel,
      constants,
      operands: {
        gradient: flatView(gradient, range),
        momentum: flatView(momentum, range),
        absmax,
        update: flatView(update, range),
      },
      params: {
        octets: elements / 8,
        first_block: range.start / ADAM_BLOCK,
        blocks,
        fresh: 1 - decay,
      },
      workgroups: [Math.ceil(blocks / rowsPerGroup)],
    });
  }
}
