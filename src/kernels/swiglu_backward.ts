import code from "../../shaders/swiglu_backward.wgsl" with { type: "text" };
import type { KernelPass } from "../gpu/pass.ts";
import { expectShape, storedElements, type Tensor } from "../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "./format.ts";
import { FLAT_ELEMENTS, FLAT_WORKGROUP_SIZE, flatRange, spans } from "./ranges.ts";

const kernels = kernelByFormat("swiglu_backward", code);

export interface SwiGLUBackward {
  gate: Tensor; // (N, F) becomes dgate
  up: Tensor; // (N, F) becomes dup
  dh: Tensor; // (N, F) becomes h
}

/**
 * The gradients of h = silu(gate) · up, in place of their operands, and h itself in place of dh.
 * Throws {@link ShapeError} on operands that do not match.
 */
export function swigluBackward(pass: KernelPass, { gate, up, dh }: SwiGLUBackward): void {
  expectShape("swigluBackward", "up", up, gate.shape);
  expectShape("swigluBackward", "dh", dh, gate.shape);
  const kernel = forFormat(kernels, "swigluBackward", gate, up, dh);
  for (const [start, end] of spans(storedElements(gate), FLAT_ELEMENTS)) {
    const quads = (end - start) / 4;
    pass.dispatch({
      kernel,
      constants: { WORKGROUP_SIZE: FLAT_WORKGROUP_SIZE },
      operands: {
        gate: flatRange(gate, start, end),
        up: flatRange(up, start, end),
        dh: flatRange(dh, start, end),
      },
      params: { quads },
      workgroups: [Math.ceil(quads / FLAT_WORKGROUP_SIZE)],
    });
  }
}
