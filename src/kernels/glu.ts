import geluTanh from "../../shaders/lib/gate_gelu_tanh.wgsl" with { type: "text" };
import silu from "../../shaders/lib/gate_silu.wgsl" with { type: "text" };
import code from "../../shaders/glu.wgsl" with { type: "text" };
import type { KernelPass } from "../gpu/pass.ts";
import { expectShape, type Tensor } from "../gpu/tensor.ts";
import { flatRanges, flatView } from "./flat.ts";
import { forFormat, kernelByFormat } from "./format.ts";

/** Of the gate: SwiGLU, or GEGLU with the tanh approximation. */
export type GateActivation = "silu" | "gelu_tanh";

const kernels = {
  silu: kernelByFormat("glu.silu", silu, code),
  gelu_tanh: kernelByFormat("glu.gelu_tanh", geluTanh, code),
};

const WORKGROUP_SIZE = 64;

export interface Glu {
  readonly activation: GateActivation;
  readonly gate: Tensor; // (N, F) float32 or bfloat16
  readonly up: Tensor; // (N, F)
  readonly h: Tensor; // (N, F) overwritten
}

/**
 * h = act(gate) · up. Shazeer 2020, "GLU Variants Improve Transformer". Throws {@link ShapeError}
 * on operands that do not match.
 */
export function glu(pass: KernelPass, { activation, gate, up, h }: Glu): void {
  expectShape("glu", "up", up, gate.shape);
  expectShape("glu", "h", h, gate.shape);
  const kernel = forFormat(kernels[activation], "glu", gate, up, h);
  for (const range of flatRanges(gate)) {
    const quads = (range.end - range.start) / 4;
    pass.dispatch({
      kernel,
      constants: { WORKGROUP_SIZE },
      operands: {
        gate: flatView(gate, range),
        up: flatView(up, range),
        h: flatView(h, range),
      },
      params: { quads },
      workgroups: [Math.ceil(quads / WORKGROUP_SIZE)],
    });
  }
}
