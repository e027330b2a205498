import code from "../../shaders/swiglu.wgsl" with { type: "text" };
import type { KernelPass } from "../gpu/pass.ts";
import { expectShape, type Tensor } from "../gpu/tensor.ts";
import { flatRanges, flatView } from "./flat.ts";
import { forFormat, kernelByFormat } from "./format.ts";

const kernels = kernelByFormat("swiglu", code);

const WORKGROUP_SIZE = 64;

export interface SwiGLU {
  readonly gate: Tensor; // (N, F) float32 or bfloat16
  readonly up: Tensor; // (N, F)
  readonly h: Tensor; // (N, F) overwritten
}

/**
 * h = silu(gate) · up. Shazeer 2020, "GLU Variants Improve Transformer". Throws
 * {@link ShapeError} on operands that do not match.
 */
export function swiglu(pass: KernelPass, { gate, up, h }: SwiGLU): void {
  expectShape("swiglu", "up", up, gate.shape);
  expectShape("swiglu", "h", h, gate.shape);
  const kernel = forFormat(kernels, "swiglu", gate, up, h);
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
