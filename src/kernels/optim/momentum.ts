import code from "../../../shaders/optim/momentum.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { flatRanges, flatView } from "../flat.ts";
import { shader } from "../shader.ts";

const WORKGROUP_SIZE = 256;

/** With the update in a buffer of its own, and in the gradient's. */
const [apart, inPlace] = ["apart", "in_place"].map((where) =>
  shader(`momentum.${where}`, code, {
    variants: ["float32", `update_${where}`],
    constants: { WORKGROUP_SIZE },
  })
);

export interface Momentum {
  /** float32. */
  readonly gradient: Tensor;
  /** float32, the shape of the gradient, overwritten. */
  readonly momentum: Tensor;
  /** float32, overwritten; the gradient itself, or in a separate buffer. */
  readonly update: Tensor;
  /** μ */
  readonly decay: number;
  /** Looks a step ahead (Nesterov). */
  readonly nesterov: boolean;
}

/**
 * momentum ← its moving average with the gradient, update ← the average, or Nesterov's look-ahead
 * (Jordan et al. 2024, "Muon"). Throws {@link ShapeError} on operands that do not match.
 */
export function momentum(pass: KernelPass, io: Momentum): void {
  const { gradient, momentum, update } = io, isInPlace = gradient === update;
  for (const [name, operand] of Object.entries({ gradient, momentum, update })) {
    expectDType("momentum", name, operand, "float32");
    expectShape("momentum", name, operand, gradient.shape);
  }
  for (const range of flatRanges(pass, gradient)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel: isInPlace ? inPlace : apart,
      operands: {
        gradient: isInPlace ? undefined : flatView(gradient, range),
        update: flatView(update, range),
        momentum: flatView(momentum, range),
      },
      params: { octets, ...momentumParameters(io) },
      workgroups: [Math.ceil(octets / WORKGROUP_SIZE)],
    });
  }
}

/** The parameters of both kernels, computed in float64. */
export function momentumParameters(
  { decay, nesterov }: Pick<Momentum, "decay" | "nesterov">,
): { fresh: number; ahead: number } {
  return { fresh: 1 - decay, ahead: nesterov ? 1 - decay : 0 };
}
