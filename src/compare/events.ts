/** What a comparison yields, and how it is ended and watched. */
import type { TrainingEvent } from "../train/events.ts";
import type { Preparing, Running } from "../train/trainer.ts";
import type { CompareRecord, RunPurpose, RunRecord, SpeedRecord } from "./record.ts";

/** A run that begins. */
export interface ComparedRun {
  /** As in `methods`. */
  readonly method: string;
  /** A rate that is tried, or a run that counts. */
  readonly purpose: RunPurpose;
  /** Of weights, data and rounding. */
  readonly seed: number;
  /** Peak learning rate. */
  readonly lr: number;
  /** Optimizer steps. */
  readonly steps: number;
  /** Its output folder, below that of the comparison. */
  readonly folder: string;
}

/** What `compare` yields. */
export type CompareEvent =
  /** First: what will be done, or is done already. */
  | { readonly type: "comparison"; readonly runs: readonly ComparedRun[]; readonly done: number }
  /** A run begins, after `done` others and before `left`; what follows is of it. */
  | {
    readonly type: "run";
    readonly run: ComparedRun;
    readonly done: number;
    readonly left: readonly ComparedRun[];
  }
  /** An event of the run that began last. */
  | { readonly type: "run_event"; readonly folder: string; readonly event: TrainingEvent }
  /** A run has ended. */
  | { readonly type: "run_done"; readonly run: RunRecord }
  /** A window of the measurement of speeds begins. */
  | {
    readonly type: "measuring";
    readonly method: string;
    readonly round: number;
    readonly rounds: number;
  }
  /** It has ended. */
  | ({ readonly type: "speed" } & SpeedRecord)
  /** Last: everything so far, as in compare.json. */
  | {
    readonly type: "compared";
    readonly interrupted: boolean;
    readonly output: string;
    /** Plots that could not be drawn, each with the reason, for people. */
    readonly missing: readonly string[];
    readonly record: CompareRecord;
  };

/** How a comparison is ended and watched. */
export interface Comparing extends Running, Pick<Preparing, "onPreparation"> {
  /**
   * The measurement of speeds: in each round every method has a window of steps, of as many
   * milliseconds; 3 and 1500 by default.
   */
  readonly speeds?: { readonly rounds: number; readonly milliseconds: number };
}
