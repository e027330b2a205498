import code from "../../shaders/sum_rows.wgsl" with { type: "text" };
import { defineKernel } from "../gpu/kernel.ts";
import type { KernelPass } from "../gpu/pass.ts";
import {
  columnsOf,
  expectDType,
  expectShape,
  rowRange,
  rowsOf,
  type Tensor,
} from "../gpu/tensor.ts";
import { LOOP_ROUNDS, rowsPerBinding, spans } from "./ranges.ts";

const kernel = defineKernel("sum_rows", code);

const WORKGROUP_SIZE = 64;

export interface SumRows {
  readonly x: Tensor; // (G, C) float32
  readonly out: Tensor; // (C) float32
  /** Adds to what is there. */
  readonly accumulate?: boolean;
}

/** out[c] (+)= Σ_g x[g, c], in order. Throws {@link ShapeError} on operands that do not match. */
export function sumRows(pass: KernelPass, { x, out, accumulate = false }: SumRows): void {
  expectDType("sumRows", "x", x, "float32");
  expectDType("sumRows", "out", out, "float32");
  expectShape("sumRows", "out", out, [columnsOf(x.shape)]);
  const quads = x.stride / 4;
  const most = Math.min(rowsPerBinding(pass, x), LOOP_ROUNDS);
  for (const [start, end] of spans(rowsOf(x.shape), most)) {
    pass.dispatch({
      kernel,
      constants: { WORKGROUP_SIZE },
      operands: { x: rowRange(x, start, end), out },
      params: { rows: end - start, quads, accumulate: accumulate || start > 0 ? 1 : 0 },
      workgroups: [Math.ceil(quads / WORKGROUP_SIZE)],
    });
  }
}
