import code from "../../../shaders/misc/glu_backward.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectShape, type Tensor } from "../../gpu/tensor.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import type { GateActivation } from "./glu.ts";

const define = (activation: GateActivation) =>
  kernelByFormat(`glu_backward.${activation}`, code, {
    variants: [`gate_${activation}`],
    constants: FLAT,
  });
const kernels = {
  silu: define("silu"),
  gelu: define("gelu"),
  gelu_tanh: define("gelu_tanh"),
};

/** Operands of {@link gluBackward}. */
export interface GluBackward {
  /** As in the forward pass. */
  readonly activation: GateActivation;
  /** (N, F), overwritten with dgate. */
  readonly gate: Tensor;
  /** (N, F), overwritten with dup. */
  readonly up: Tensor;
  /** (N, F), overwritten with h. */
  readonly dh: Tensor;
}

/**
 * The gradients of h = act(gate) · up, in place of their operands, and h itself in place of dh.
 * Throws {@link ShapeError} on operands that do not match.
 */
export function gluBackward(pass: KernelPass, { activation, gate, up, dh }: GluBackward): void {
  expectShape("gluBackward", "up", up, gate.shape);
  expectShape("gluBackward", "dh", dh, gate.shape);
  const kernel = forFormat(kernels[activation], "gluBackward", gate, up, dh);
  for (const range of flatRanges(pass, gate)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      operands: {
        gate: flatView(gate, range),
        up: flatView(up, range),
        dh: flatView(dh, range),
      },
      params: { octets },
      workgroups: [flatWorkgroups(octets)],
    });
  }
}
