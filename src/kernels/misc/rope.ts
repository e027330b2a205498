import code from "../../../shaders/misc/rope.wgsl" with { type: "text" };
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { forFormat, type KernelByFormat, kernelByFormat } from "../format.ts";
import { FLAT, flatWorkgroups } from "../flat.ts";
import { ranges, rowsPerDispatch } from "../ranges.ts";
import { strategyFor } from "../strategy.ts";
import { shader } from "../shader.ts";

const constants = FLAT;
const inEights = kernelByFormat("rope", code, { variants: ["parts_of_eight"], constants });
/** For heads whose half is not a multiple of eight, such as 40. */
const inFours = kernelByFormat("rope_in_fours", code, { variants: ["parts_of_four"], constants });
/** For heads whose half is not a multiple of four, such as 100 (OpenLLaMA 3B). */
const inTwos: KernelByFormat = {
  float32: shader("rope_in_twos.float32", code, {
    variants: ["parts_of_two_float32"],
    constants,
  }),
  bfloat16: shader("rope_in_twos.bfloat16", code, {
    variants: ["parts_of_two_bfloat16"],
    constants,
  }),
};

/** Operands of {@link rope}. */
export interface Rope {
  /** (B·T, heads·D) float32 or bfloat16, turned in place. */
  readonly x: Tensor;
  /** (Tmax, D) float32: for each position D/2 cosines, then D/2 sines, with any factor. */
  readonly table: Tensor;
  /** D, a multiple of 4. */
  readonly headSize: number;
  /** T: row n holds the token at position n mod T, plus the offset. */
  readonly length: number;
  /** Position of the first row of each sequence; 0 by default. */
  readonly positionOffset?: number;
  /** Rotates the other way, for the backward pass. */
  readonly inverse?: boolean;
}

/**
 * Rotary position embedding on the halves of each head: x·cos + rotate_half(x)·sin. Su et al. 2021,
 * equation 34, in Hugging Face's order. Throws {@link ShapeError} on operands that do not match.
 */
export function rope(
  pass: KernelPass,
  { x, table, headSize, length, positionOffset = 0, inverse = false }: Rope,
): void {
  const rows = rowsOf(x.shape), columns = columnsOf(x.shape);
  if (headSize % 4 !== 0 || columns % headSize !== 0) {
    throw new ShapeError(
      `rope: the head size must be a multiple of 4 that divides ${columns}, got ${headSize}`,
    );
  }
  if (rows % length !== 0) {
    throw new ShapeError(`rope: ${rows} rows are not a whole number of sequences of ${length}`);
  }
  expectDType("rope", "table", table, "float32");
  const positions = rowsOf(table.shape);
  expectShape("rope", "table", table, [positions, headSize]);
  if (positionOffset + length > positions) {
    throw new ShapeError(
      `rope: the table has ${positions} positions, ${positionOffset + length} are needed`,
      "was it made for a shorter context?",
    );
  }
  const part = headSize % 16 === 0 ? 8 : headSize % 8 === 0 ? 4 : 2;
  const kernel = forFormat({ 8: inEights, 4: inFours, 2: inTwos }[part], "rope", x);
  const heads = columns / headSize;
  const together = Math.min(heads, strategyFor(pass.gpu.capabilities).headsTogether);
  const row_threads = Math.ceil(heads / together) * headSize / 2 / part;
  for (const { start, end } of ranges(rows, rowsPerDispatch(pass, row_threads, x))) {
    const threads = (end - start) * row_threads;
    pass.dispatch({
      workgroups: [flatWorkgroups(threads)],
      kernel,
      operands: { x: rowRange(x, start, end), table },
      params: {
        threads,
        row: start,
        length,
        offset: positionOffset,
        row_threads,
        together,
        heads,
        parts: x.stride / part,
        head_parts: headSize / part,
        table_parts: table.stride / part,
        direction: inverse ? -1 : 1,
      },
    });
  }
}
