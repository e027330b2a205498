import code from "../../../shaders/optim/muon_momentum.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { flatRanges, flatView } from "../flat.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 256;

const kernel = shader("muon_momentum", code, { constants: { WORKGROUP_SIZE } });

export interface MuonMomentum {
  /** float32. */
  readonly gradient: Tensor;
  /** float32, the shape of the gradient, overwritten. */
  readonly momentum: Tensor;
  /** float32, overwritten; in a separate buffer. */
  readonly update: Tensor;
  /** μ */
  readonly decay: number;
}

/**
 * momentum ← its moving average with the gradient, update ← Nesterov's look-ahead. Jordan et al.
 * 2024, "Muon". Throws {@link ShapeError} on operands that do not match.
 */
export function muonMomentum(pass: KernelPass, io: MuonMomentum): void {
  const { gradient, momentum, update, decay } = io;
  for (const [name, operand] of Object.entries({ gradient, momentum, update })) {
    expectDType("muonMomentum", name, operand, "float32");
    expectShape("muonMomentum", name, operand, gradient.shape);
  }
  for (const range of flatRanges(pass, gradient)) {
    const quads = (range.end - range.start) / 4;
    pass.dispatch({
      kernel,
      operands: {
        gradient: flatView(gradient, range),
        momentum: flatView(momentum, range),
        update: flatView(update, range),
      },
      params: { quads, fresh: 1 - decay },
      workgroups: [Math.ceil(quads / WORKGROUP_SIZE)],
    });
  }
}
