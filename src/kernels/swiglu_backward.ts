import code from "../../shaders/swiglu_backward.wgsl" with { type: "text" };
import type { KernelPass } from "../gpu/pass.ts";
import { expectShape, type Tensor } from "../gpu/tensor.ts";
import { flatRanges, flatView } from "./flat.ts";
import { forFormat, kernelByFormat } from "./format.ts";

const kernels = kernelByFormat("swiglu_backward", code);

const WORKGROUP_SIZE = 64;

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
  for (const range of flatRanges(gate)) {
    const quads = (range.end - range.start) / 4;
    pass.dispatch({
      kernel,
      constants: { WORKGROUP_SIZE },
      operands: {
        gate: flatView(gate, range),
        up: flatView(up, range),
        dh: flatView(dh, range),
      },
      params: { quads },
      workgroups: [Math.ceil(quads / WORKGROUP_SIZE)],
    });
  }
}
