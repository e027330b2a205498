import code from "../../../shaders/misc/add_bias.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges, rowsPerTiles, TILE, tiles } from "../ranges.ts";

const kernels = kernelByFormat("add_bias", code, { constants: TILE });

/** Operands of {@link addBias}. */
export interface AddBias {
  /** (N, M) float32 or bfloat16, added to. */
  readonly y: Tensor;
  /** (M) float32. */
  readonly bias: Tensor;
}

/** y[n] += bias, for every row. Throws {@link ShapeError} on operands that do not match. */
export function addBias(pass: KernelPass, { y, bias }: AddBias): void {
  expectDType("addBias", "bias", bias, "float32");
  expectShape("addBias", "bias", bias, [columnsOf(y.shape)]);
  const kernel = forFormat(kernels, "addBias", y);
  const octets = y.stride / 8;
  for (const { start, end } of ranges(rowsOf(y.shape), rowsPerTiles(pass, y))) {
    pass.dispatch({
      kernel,
      operands: { y: rowRange(y, start, end), bias },
      params: { rows: end - start, octets },
      workgroups: tiles(octets, end - start),
    });
  }
}
