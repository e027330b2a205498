import code from "../../shaders/swiglu.wgsl" with { type: "text" };
import type { KernelPass } from "../gpu/pass.ts";
import { expectShape, storedElements, type Tensor } from "../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "./format.ts";
import { FLAT_ELEMENTS, FLAT_WORKGROUP_SIZE, flatRange, spans } from "./ranges.ts";

const kernels = kernelByFormat("swiglu", code);

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
  for (const [start, end] of spans(storedElements(gate), FLAT_ELEMENTS)) {
    const quads = (end - start) / 4;
    pass.dispatch({
      kernel,
      constants: { WORKGROUP_SIZE: FLAT_WORKGROUP_SIZE },
      operands: {
        gate: flatRange(gate, start, end),
        up: flatRange(up, start, end),
        h: flatRange(h, start, end),
      },
      params: { quads },
      workgroups: [Math.ceil(quads / FLAT_WORKGROUP_SIZE)],
    });
  }
}
