/**
 * compare.json: what a comparison has found so far, written after each of its runs. Like the events
 * of a run it is JSON that other programs read, in snake_case.
 *
 * @module
 */
import type { Purpose } from "../gpu/tensor.ts";
import type { MethodName } from "../train/methods.ts";
import type { ComparedKind } from "./options.ts";

export const COMPARE_FILE = "compare.json";
export const COMPARE_TEXT = "compare.md";
/** Plots, by the names of their files: each as SVG and twice as PNG. */
export const PLOTS = ["loss-steps", "loss-memory", "memory"] as const;
/** Of the layout of the file. */
export const COMPARE_VERSION = 2;

/** Mean of some runs, and their spread. */
export interface Spread {
  /** Over the runs that have a value. */
  readonly mean: number;
  /** Standard deviation of a sample; absent of a single run. */
  readonly sd?: number;
  /** Number of runs. */
  readonly n: number;
}

/** How a run ended. */
export type RunStatus =
  /** All steps are done. */
  | "done"
  /** Its loss ended above where it began, or was not finite. */
  | "diverged"
  /** It needs more memory than there is; planned again at the next sitting. */
  | "does_not_fit"
  /** The driver refused it memory, which others may have held: tried again at the next sitting. */
  | "out_of_memory";

/** Why a run is made: to try a rate, or to count. */
export type RunPurpose = "sweep" | "run";

/** What a run's figures depend on beside its options. */
export interface MadeWith {
  /** Name of the adapter. */
  readonly adapter: string;
  /** Version of the program. */
  readonly program: string;
  /** What the weights of the base are, if there is one. */
  readonly base_mark?: string;
  /** What the model is beside its weights: configuration and tokenizer. Old runs have none. */
  readonly model_mark?: string;
  /** What the data is: names and sizes of files, samples of their contents, how records are read. */
  readonly data_mark: string;
}

/** A run that has ended. */
export interface RunRecord {
  /** As in `methods`. */
  readonly method: string;
  /** To try a rate, or to count. */
  readonly purpose: RunPurpose;
  /** Of weights, data order and rounding. */
  readonly seed: number;
  /** Peak learning rate. */
  readonly lr: number;
  /** Optimizer steps, as planned. */
  readonly steps: number;
  /** Its output, below that of the comparison. */
  readonly folder: string;
  /** How it ended. */
  readonly status: RunStatus;
  /** What ended it, if not its last step. */
  readonly message?: string;
  /** What it was given beside method, seed and rate. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Of the first step, in nats: equal for all methods whose weights have one format. */
  readonly first_loss?: number;
  /** Of the last step, in nats. */
  readonly final_loss?: number;
  /** Mean over the last tenth of the steps, in nats. */
  readonly tail_loss?: number;
  /** On held-out data at the end, in nats. */
  readonly eval_loss?: number;
  /** e to the power of it. */
  readonly eval_perplexity?: number;
  /** Tokens trained on. */
  readonly tokens?: number;
  /** GPU memory as planned. */
  readonly planned_peak_bytes?: number;
  /** GPU memory that was allocated at most. */
  readonly gpu_peak_bytes?: number;
  /** As planned, by purpose. */
  readonly by_purpose?: Readonly<Record<Purpose, number>>;
  /** Over all matrices. */
  readonly subspace_refreshes?: number;
  /** Refreshes that a fixed interval would have needed. */
  readonly subspace_refreshes_fixed_interval?: number;
  /** Matrices with a subspace: what a refresh of all is divided by. */
  readonly subspaces?: number;
  /** Of all its steps, without evaluations, saving and preparation. */
  readonly seconds: number;
  /** What else it depends on. */
  readonly made_with: MadeWith;
}

/** Speed of a method in one of the windows in which all took turns. */
export interface SpeedRecord {
  /** As in `methods`. */
  readonly method: string;
  /** From 1. */
  readonly round: number;
  /** Of steps that refresh no subspace. */
  readonly tokens_per_second: number;
  /** Milliseconds that a step takes longer if it refreshes every subspace. */
  readonly refresh_ms: number;
}

/** A method and what it came to. */
export interface MethodRecord {
  /** As given, with its own options. */
  readonly name: string;
  /** The method's name. */
  readonly optimizer: MethodName;
  /** Its title, for people. */
  readonly title: string;
  /** The rate of its runs. */
  readonly lr?: number;
  /** Whether it was given, the best of those tried, or a multiple of the method's usual one. */
  readonly lr_from: "given" | "sweep" | "usual";
  /** Steps of a sweep's run. */
  readonly sweep: readonly RunRecord[];
  /** One for each seed that is done. */
  readonly runs: readonly RunRecord[];
  /** Of the last step, in nats. */
  readonly final_loss?: Spread;
  /** Mean over the last tenth of the steps, in nats. */
  readonly tail_loss?: Spread;
  /** On held-out data, in nats. */
  readonly eval_loss?: Spread;
  /** e to the power of that mean. */
  readonly eval_perplexity?: number;
  /** Of `eval_loss`, against the first method, seed by seed. */
  readonly difference?: Spread;
  /** GPU memory as planned; the most of its runs. */
  readonly planned_peak_bytes?: number;
  /** GPU memory that was allocated at most. */
  readonly gpu_peak_bytes?: number;
  /** As planned, by purpose. */
  readonly by_purpose?: Readonly<Record<Purpose, number>>;
  /** Median of the windows. */
  readonly tokens_per_second?: number;
  /** Median of the windows. */
  readonly refresh_ms?: number;
  /** With the refreshes that its runs made; absent where none is made. */
  readonly tokens_per_second_with_refreshes?: number;
  /** Over all matrices, of a run. */
  readonly subspace_refreshes?: Spread;
  /** Refreshes that a fixed interval would have needed. */
  readonly subspace_refreshes_fixed_interval?: number;
}

/** The file. */
export interface CompareRecord {
  /** Of the layout: {@link COMPARE_VERSION}. */
  readonly version: number;
  /** Version of the program. */
  readonly program: string;
  /** What the runs are. */
  readonly kind: ComparedKind;
  /** Whether all runs and measurements are done. */
  readonly complete: boolean;
  /** Name of the adapter. */
  readonly adapter: string;
  /** Operating system and processor. */
  readonly system: string;
  /** Version of Deno. */
  readonly deno: string;
  /** Parameters of the model. */
  readonly parameters?: number;
  /** What was given for all runs. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Of each run. */
  readonly steps: number;
  /** Of each step: sequences, those of all micro-batches together, and the tokens of each. */
  readonly batch: { readonly sequences: number; readonly tokens: number };
  /** Tokens of each run. */
  readonly tokens?: number;
  /** Of weights, data and rounding. */
  readonly seeds: readonly number[];
  /** How rates were tried. */
  readonly lr_sweep: {
    readonly multiples: readonly number[];
    readonly seed: number;
    readonly steps: number;
  };
  /** In the order given. */
  readonly methods: readonly MethodRecord[];
  /**
   * Every run that was made, also for other methods, seeds and rates than were asked for last: those of
   * `methods` are chosen from them.
   */
  readonly runs: readonly RunRecord[];
  /** Their folders, and those of runs in progress. */
  readonly folders: readonly string[];
  /** The windows of which `methods` has medians: whole rounds of one sitting. */
  readonly speeds: readonly SpeedRecord[];
  /** Of the steps of the runs of `methods`, over all sittings. */
  readonly seconds: number;
}

/** Mean and standard deviation; undefined of nothing. */
export function spreadOf(values: readonly (number | undefined)[]): Spread | undefined {
  const known = values.filter((value): value is number => value !== undefined);
  const n = known.length;
  if (!n) return undefined;
  const mean = known.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, n };
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, sd: Math.sqrt(squares / (n - 1)), n };
}
