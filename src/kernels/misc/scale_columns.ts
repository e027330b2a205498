import code from "../../../shaders/misc/scale_columns.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { forFormat, kernelByFormat } from "../format.ts";
import { ranges, rowsPerTiles, TILE, tiles } from "../ranges.ts";
import { FLAG } from "../shader.ts";

const kernels = kernelByFormat("scale_columns", code, { constants: { ...TILE, RESIDUAL: FLAG } });

/** Operands of {@link scaleColumns}. */
export interface ScaleColumns {
  /** (N, C) float32 or bfloat16, in place. */
  readonly y: Tensor;
  /** (C) float32. */
  readonly factor: Tensor;
  /** (N, C) in the format of y, added afterwards; another tensor. */
  readonly residual?: Tensor;
}

/**
 * y[n] = factor ∘ y[n] (+ residual[n]), for every row. Throws {@link ShapeError} on operands that do
 * not match.
 */
export function scaleColumns(pass: KernelPass, { y, factor, residual }: ScaleColumns): void {
  expectDType("scaleColumns", "factor", factor, "float32");
  expectShape("scaleColumns", "factor", factor, [columnsOf(y.shape)]);
  if (residual) {
    expectDType("scaleColumns", "residual", residual, y.dtype);
    expectShape("scaleColumns", "residual", residual, y.shape);
  }
  const kernel = forFormat(kernels, "scaleColumns", y);
  const octets = y.stride / 8;
  for (const { start, end } of ranges(rowsOf(y.shape), rowsPerTiles(pass, y))) {
    pass.dispatch({
      kernel,
      constants: { RESIDUAL: residual ? 1 : 0 },
      operands: {
        y: rowRange(y, start, end),
        factor,
        // Without a residual its binding still needs a buffer.
        residual: residual ? rowRange(residual, start, end) : factor,
      },
      params: { rows: end - start, octets },
      workgroups: tiles(octets, end - start),
    });
  }
}
