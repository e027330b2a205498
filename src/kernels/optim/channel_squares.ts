import columnsCode from "../../../shaders/optim/column_squares.wgsl" with { type: "text" };
import rowsCode from "../../../shaders/optim/row_squares.wgsl" with { type: "text" };
import type { KernelPass } from "../../gpu/pass.ts";
import { elementRange, expectDType, expectShape, rowRange, type Tensor } from "../../gpu/tensor.ts";
import { columnsOf, rowsOf } from "../../numbers/layout.ts";
import { COLUMN_LANES, HELD, heldBy, kernelByLanes, lanesFor, sharedBy } from "../lanes.ts";
import { ranges, rowsOfGroups, rowsPerBinding } from "../ranges.ts";
import { shader } from "../shader.ts";
import { LOOP_ROUNDS, strategyFor } from "../strategy.ts";

const rowKernels = kernelByLanes("row_squares", rowsCode, { held: HELD.loop });
const columnKernel = shader("column_squares", columnsCode, {
  constants: { ...COLUMN_LANES, HELD: HELD.loop },
});

/** Whether rows or columns are the channels. */
export type Channels = "rows" | "columns";

/** Operands of {@link channelSquares}. */
export interface ChannelSquares {
  /** (R, C) float32, its padding zero. */
  readonly x: Tensor;
  readonly channels: Channels;
  /** (R) or (C) float32, overwritten. */
  readonly out: Tensor;
}

/** The number of a matrix's channels. */
export function channelsOf(shape: readonly number[], channels: Channels): number {
  return channels === "rows" ? rowsOf(shape) : columnsOf(shape);
}

/**
 * out[i] = the sum of the squares of row, or column, i of a matrix: ‖x_i‖². In a fixed order. Throws
 * {@link ShapeError} on operands that do not match.
 */
export function channelSquares(pass: KernelPass, io: ChannelSquares): void {
  const { x, channels, out } = io;
  expectDType("channelSquares", "x", x, "float32");
  expectDType("channelSquares", "out", out, "float32");
  expectShape("channelSquares", "out", out, [channelsOf(x.shape, channels)]);
  if (channels === "rows") rowSquares(pass, io);
  else columnSquares(pass, io);
}

function rowSquares(pass: KernelPass, { x, out }: ChannelSquares): void {
  const quads = x.stride / 4;
  const { kernel, constants, rowsPerGroup } = sharedBy(
    pass,
    rowKernels,
    lanesFor(pass.gpu, quads, quads),
  );
  const most = Math.min(rowsOfGroups(pass, rowsPerGroup), rowsPerBinding(pass, x));
  for (const { start, end } of ranges(rowsOf(x.shape), most)) {
    pass.dispatch({
      kernel,
      constants,
      operands: { x: rowRange(x, start, end), out: elementRange(out, start, end) },
      params: { rows: end - start, row_quads: quads },
      workgroups: [Math.ceil((end - start) / rowsPerGroup)],
    });
  }
}

function columnSquares(pass: KernelPass, { x, out }: ChannelSquares): void {
  const { columnLanes: lanes, columnWorkgroup: size } = strategyFor(pass.gpu.capabilities);
  const octets = x.stride / 8;
  for (
    const { start, end } of ranges(rowsOf(x.shape), Math.min(rowsPerBinding(pass, x), LOOP_ROUNDS))
  ) {
    pass.dispatch({
      kernel: columnKernel,
      constants: { LANES: lanes, WORKGROUP_SIZE: size, ...heldBy(pass.gpu, columnKernel) },
      operands: { x: rowRange(x, start, end), out },
      params: { rows: end - start, octets, accumulate: start > 0 ? 1 : 0 },
      workgroups: [Math.ceil((octets * lanes) / size)],
    });
  }
}
