/** The blocks of rows in which gradients are taken and updates are computed. */
import { padded, rowsOf } from "../numbers/layout.ts";
import { rowStep } from "../gpu/tensor.ts";
import { type Range, ranges } from "../kernels/ranges.ts";
import type { Parameter } from "../model/parameters.ts";
import { productElements } from "./gradient_route.ts";
import { BLOCKS, type GradientBlocks, type OptimizerShape } from "./optimizer_shape.ts";
import type { ParameterState } from "./parameter_state.ts";
import { BLOCK_ROWS } from "./rules/rule.ts";

/** Bytes of a gradient of this shape. */
export function storedBytes(shape: readonly number[]): number {
  return 4 * rowsOf(shape) * padded(shape[shape.length - 1]);
}

export function isTokenTable({ kind }: Parameter): boolean {
  return kind === "embedding" || kind === "head";
}

/** Bytes that a block of a token table's gradient may take. */
export function roomOfBlocks(
  states: readonly ParameterState[],
  { blocks = BLOCKS }: OptimizerShape,
): number {
  const others = states.filter(({ parameter }) => !isTokenTable(parameter));
  return Math.max(blocks.block, ...others.map(gradientBytes));
}

/** Bytes of the gradient scratch memory that a parameter takes, unless its gradient is accumulated. */
export function gradientBytes(
  { parameter: { shape }, projector, route, blockRows, updateRows }: ParameterState,
): number {
  const rows = blockRows ?? updateRows, taken = storedBytes(rows ? [rows, shape[1]] : shape);
  return projector && route ? Math.max(taken, 4 * productElements(projector, route)) : taken;
}

/** Rows of an update of a projected matrix whose gradient is not formed: whole groups of its weight. */
export function updateRowsOf(
  { shape, weight }: Parameter,
  blocks: GradientBlocks,
): number | undefined {
  const { update = blocks.block } = blocks, step = rowStep(weight);
  const rows = Math.max(1, Math.floor(update / storedBytes([1, shape[1]]) / step)) * step;
  return rows < shape[0] ? rows : undefined;
}

/** The blocks of rows in which a parameter is updated. */
export function updateBlocks(
  { parameter: { shape }, blockRows, updateRows }: ParameterState,
): Range[] {
  const rows = rowsOf(shape);
  return ranges(rows, blockRows ?? updateRows ?? rows);
}

/** The blocks of rows in which its gradient is taken; one: the whole. */
export function gradientBlocks({ parameter: { shape }, blockRows }: ParameterState): Range[] {
  const rows = rowsOf(shape);
  return ranges(rows, blockRows ?? rows);
}

/** How many they are; a plan may be asked for more rows than a list can hold. */
export function gradientBlockCount({ parameter: { shape }, blockRows }: ParameterState): number {
  return blockRows ? Math.ceil(rowsOf(shape) / blockRows) : 1;
}

/** Rows of a gradient that are taken at a time, if not all. */
export function blockRowsOf(
  { parameter, rule, accumulated, accumulatedInt8 }: ParameterState,
  { blocks = BLOCKS }: OptimizerShape,
  room: number,
): number | undefined {
  const { shape, weight } = parameter, bytes = storedBytes(shape);
  // A block of an INT8 weight must be whole groups, which those of most sizes are.
  if (BLOCK_ROWS % rowStep(weight) !== 0) return;
  if (accumulatedInt8 && BLOCK_ROWS % rowStep(accumulatedInt8) !== 0) return;
  // What is accumulated exists whole anyway.
  if (!isTokenTable(parameter) || !rule.rows || accumulated || bytes <= blocks.whole) return;
  const rows = Math.max(1, Math.floor(room / storedBytes([1, shape[1]]) / BLOCK_ROWS)) * BLOCK_ROWS;
  return rows < shape[0] ? rows : undefined;
}
