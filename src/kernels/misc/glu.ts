import code from "../../../shaders/misc/glu.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectShape, type Tensor } from "../../gpu/tensor.ts";
import { FLAT, flatRanges, flatView, flatWorkgroups } from "../flat.ts";
import { forFormat, kernelByFormat } from "../format.ts";

/** Activation of the gate: SwiGLU, or GEGLU, exact or with the tanh approximation (Shazeer 2020). */
export type GateActivation = "silu" | "gelu" | "gelu_tanh";

const define = (activation: GateActivation) =>
  kernelByFormat(`glu.${activation}`, code, {
    variants: [`gate_${activation}`],
    constants: FLAT,
  });
const kernels = {
  silu: define("silu"),
  gelu: define("gelu"),
  gelu_tanh: define("gelu_tanh"),
};

/** Operands of {@link glu}. */
export interface Glu {
  /** Activation of the gate. */
  readonly activation: GateActivation;
  /** (N, F) float32 or bfloat16. */
  readonly gate: Tensor;
  /** (N, F). */
  readonly up: Tensor;
  /** (N, F) overwritten. */
  readonly h: Tensor;
}

/**
 * h = act(gate) · up. Shazeer 2020, "GLU Variants Improve Transformer". Throws {@link ShapeError}
 * on operands that do not match.
 */
export function glu(pass: KernelPass, { activation, gate, up, h }: Glu): void {
  expectShape("glu", "up", up, gate.shape);
  expectShape("glu", "h", h, gate.shape);
  const kernel = forFormat(kernels[activation], "glu", gate, up, h);
  for (const range of flatRanges(pass, gate)) {
    const octets = (range.end - range.start) / 8;
    pass.dispatch({
      kernel,
      operands: {
        gate: flatView(gate, range),
        up: flatView(up, range),
        h: flatView(h, range),
      },
      params: { octets },
      workgroups: [flatWorkgroups(octets)],
    });
  }
}
