/**
 * The rows of each epoch, of examples that may have become more since a run began. Where examples
 * join in the middle of an epoch, those that were read are not read again in it: what was left of it
 * and the new ones are planned anew.
 */
import type { FileMark } from "../file_marks.ts";
import { RowPlan } from "./row_plan.ts";

/** A part of an epoch in which the data was the same. JSON. */
export interface Stage {
  /** Its files. */
  readonly files: readonly FileMark[];
  /** Rows of it that were used. */
  readonly row: number;
}

/** A place in the epochs. JSON. */
export interface InstructPlace {
  /** From 0. */
  readonly epoch: number;
  /** Rows of the epoch that were used. */
  readonly row: number;
  /** The files now, where they may change; positions of earlier releases lack it. */
  readonly files?: readonly FileMark[];
  /** What the epoch has read of fewer files, before the others joined. */
  readonly before?: readonly Stage[];
}

type Rows = readonly (readonly number[])[];

/** How examples are put into rows. */
export interface RowOptions {
  readonly lengths: readonly number[];
  readonly seqLen: number;
  readonly packing: boolean;
  /** Undefined keeps the order. */
  readonly seed?: number;
}

/** The rows of an epoch over all examples, and their number. */
export class Epochs {
  readonly #plan: RowPlan;

  constructor(readonly options: RowOptions) {
    this.#plan = planOf(options.lengths, options);
  }

  get rowCount(): number {
    return this.#plan.rowCount;
  }

  rows(epoch: number): Rows {
    return this.#plan.epoch(epoch, this.options.seed);
  }

  /** The rows of an epoch whose first stages had the examples given, and used so many rows. */
  joined(
    epoch: number,
    stages: readonly { readonly examples: readonly number[]; readonly row: number }[],
  ): Rows {
    const { lengths, seed } = this.options, known = new Set<number>();
    let left: number[] = [];
    const rowsOf = (examples: readonly number[]) => {
      left.push(...examples.filter((each) => !known.has(each)));
      for (const each of examples) known.add(each);
      left.sort((a, b) => a - b);
      const chosen = left, plan = planOf(chosen.map((each) => lengths[each]), this.options);
      return plan.epoch(epoch, seed).map((row) => row.map((index) => chosen[index]));
    };
    for (const { examples, row } of stages) {
      const used = new Set(rowsOf(examples).slice(0, row).flat());
      left = left.filter((each) => !used.has(each));
    }
    return rowsOf(lengths.map((_, index) => index));
  }
}

function planOf(lengths: readonly number[], { packing, seqLen }: RowOptions): RowPlan {
  return packing ? RowPlan.packed(lengths, seqLen) : RowPlan.single(lengths);
}
