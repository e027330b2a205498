/** Shared by all attention kernels: head sizes, and ranges of sequences and of work. */
import { ShapeError } from "../../numbers/shape_error.ts";
import type { KernelPass } from "../../gpu/pass.ts";
import { bytesOf } from "../../numbers/layout.ts";
import { expectDType, expectShape, type Tensor } from "../../gpu/tensor.ts";
import { ranges } from "../ranges.ts";
import { strategyFor } from "../strategy.ts";

/** The largest head size; all are multiples of 4. */
const MOST_HEAD_SIZE = 256;

/** The constant of a kernel for heads of up to `most`; it sizes register arrays. */
export function headConstants(most = MOST_HEAD_SIZE): { readonly HEAD_QUADS: readonly number[] } {
  return { HEAD_QUADS: Array.from({ length: most / 4 }, (_, i) => i + 1) };
}

/** Heads of an attention layer. */
export interface HeadShape {
  /** Heads, H. */
  readonly heads: number;
  /** Key/value heads, K. */
  readonly keyValueHeads: number;
  /** Elements of a head, D. */
  readonly headSize: number;
}

export function expectHeads(
  operation: string,
  { heads, keyValueHeads, headSize }: HeadShape,
): void {
  if (headSize % 4 !== 0 || headSize < 4 || headSize > MOST_HEAD_SIZE) {
    throw new ShapeError(
      `${operation}: the head size must be a multiple of 4 from 4 to ${MOST_HEAD_SIZE}, got ${headSize}`,
    );
  }
  if (heads % keyValueHeads !== 0) {
    throw new ShapeError(
      `${operation}: ${keyValueHeads} key/value heads must divide ${heads} heads evenly`,
    );
  }
}

/** Throws a {@link ShapeError} unless each of these rows has a first key, or none has. */
export function expectFirstKeys(operation: string, firstKeys: Tensor | undefined, rows: number) {
  if (!firstKeys) return;
  expectDType(operation, "firstKeys", firstKeys, "uint32");
  expectShape(operation, "firstKeys", firstKeys, [rows]);
}

/**
 * The operand and the parameter of shaders/lib/attention_first_keys.wgsl. The binding must not be
 * empty: without first keys it takes another read-only operand, which the kernel then ignores.
 */
export function firstKeysOf(firstKeys: Tensor | undefined, other: Tensor) {
  return {
    operands: { first_keys: firstKeys ?? other },
    params: { has_first_keys: firstKeys ? 1 : 0 },
  };
}

/**
 * Number of sequences after which every tensor, given its bytes per sequence, is aligned for
 * binding.
 */
export function alignedSequences(...bytes: number[]): number {
  let step = 1;
  while (bytes.some((size) => (size * step) % 256 !== 0)) step *= 2;
  return step;
}

/**
 * How many sequences one dispatch can bind, given each tensor's rows per sequence; at most `most`.
 * A range must start on the adapter's alignment. Throws {@link ShapeError} if none can.
 */
export function sequencesPerRange(
  pass: KernelPass,
  batch: number,
  operands: readonly { readonly tensor: Tensor; readonly rows: number }[],
  most = Infinity,
): number {
  const limit = pass.gpu.limits.maxStorageBufferBindingSize;
  const bytes = operands.map(({ tensor, rows }) => rows * bytesOf(tensor.dtype, tensor.stride));
  const fitting = Math.min(most, Math.floor(limit / Math.max(...bytes)));
  if (fitting >= batch) return batch;
  const step = alignedSequences(...bytes);
  const range = Math.floor(fitting / step) * step;
  if (range === 0) {
    throw new ShapeError(
      `attention: ${step} sequences must fit one binding, ${fitting} do`,
      "a sequence length that is a multiple of 8 needs no more than one at a time",
    );
  }
  return range;
}

/** Workgroups per dispatch if each does at most `work` multiply-adds. */
export function unitsPerDispatch(pass: KernelPass, work: number): number {
  const { limits: { maxComputeWorkgroupsPerDimension }, capabilities } = pass.gpu;
  const inTime = Math.max(1, Math.floor(strategyFor(capabilities).attentionWork / work));
  return Math.min(maxComputeWorkgroupsPerDimension, inTime);
}

/** The granularity at which a loop over rows may be split between dispatches. */
export interface Walk {
  /** Rows per step. */
  readonly step: number;
  /** Most loop iterations that a step takes. */
  readonly rounds: number;
}

/** Rows that a thread may loop over in one dispatch. */
export function rowsPerWalk({ gpu }: KernelPass, { step, rounds }: Walk): number {
  const { loopRounds } = strategyFor(gpu.capabilities);
  return step * Math.max(1, Math.floor(loopRounds / rounds));
}

/** Splits the queries of all heads that share keys into walks of at most `rows` rows. */
export function* groupWalks(
  group: number,
  length: number,
  { step }: Pick<Walk, "step">,
  rows: number,
) {
  const members = Math.floor(rows / (step * Math.ceil(length / step)));
  for (const { start: first_member, end: end_member } of ranges(group, Math.max(1, members))) {
    for (const { start: first_query, end: end_query } of ranges(length, rows)) {
      const accumulate = first_member > 0 || first_query > 0 ? 1 : 0;
      yield { first_member, end_member, first_query, end_query, accumulate };
    }
  }
}
