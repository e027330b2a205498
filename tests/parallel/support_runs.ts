/** Runs that several processes share, and what each of them reports. */
import type { PretrainInput } from "../../src/train/options.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { inRanks, type Ranks } from "./support.ts";

export interface RankRun {
  readonly options: PretrainInput;
  /** Rank 0 does it by itself, with kernels that are compiled already. */
  readonly alone?: boolean;
  /** What single ranks do otherwise. */
  readonly ofRank?: Readonly<Record<number, PretrainInput>>;
  /** Bytes of gradients with whose sums it begins while the backward pass goes on, if not the usual ones. */
  readonly leastBytes?: number;
  /** Rank 0 leaves at its first event, or finds then that it cannot write its figures. */
  readonly leaves?: boolean;
  readonly breaks?: boolean;
  /** Whoever fails catches it and goes on. */
  readonly catches?: boolean;
  /** The rank that kills itself once a checkpoint exists, asks for a stop, or receives another sum. */
  readonly dies?: number;
  readonly stops?: number;
  readonly drifts?: number;
}

export interface RankReport {
  /** Bytes sent in each sum of values, and each that shares were given in. */
  readonly sums: readonly number[];
  /** Of all that a checkpoint holds, by rank, at each comparison. */
  readonly checksums: readonly (readonly string[])[];
  readonly events: readonly TrainingEvent[];
  /** Bytes of GPU memory at the peak of the run, and as it was planned. */
  readonly memory?: { readonly planned: number; readonly peak: number };
  /** At the end. */
  readonly step?: number;
  readonly error?: string;
}

/** The runs one after the other; the first error is the end. */
export function trainInRanks(size: number, runs: readonly RankRun[]): Promise<Ranks<RankReport>> {
  return inRanks(size, "train.ts", [JSON.stringify(runs)]);
}
