/** What a run tells while it runs: `Trainer.run` yields these, and ends with `done` or throws. */
import type { Purpose } from "../gpu/tensor.ts";
import type { Phrase } from "../options/phrase.ts";

/** One line of metrics.jsonl; the names are the file's. */
export interface StepMetrics {
  /** From 1. */
  readonly step: number;
  /** Mean over the targets of the step, in nats. */
  readonly loss: number;
  readonly lr: number;
  /** Tokens trained on since the start of the run, over all its sittings. */
  readonly tokens: number;
  readonly tokens_per_second: number;
  readonly step_ms: number;
  readonly gpu_bytes: number;
  readonly gpu_peak_bytes: number;
  /** Since the start of the run, over all matrices. */
  readonly subspace_refreshes: number;
  /** Parameters whose subspaces this step refreshed, where there are any. */
  readonly refreshed?: readonly string[];
  /** Where the model was evaluated after this step. */
  readonly eval_loss?: number;
  readonly eval_perplexity?: number;
}

/** summary.json. */
export interface Summary {
  readonly final_loss: number;
  /** Before the first step, of a model that was there already. */
  readonly first_eval_loss?: number;
  readonly eval_loss?: number;
  readonly eval_perplexity?: number;
  readonly tokens: number;
  readonly tokens_per_second: number;
  readonly planned_peak_bytes: number;
  readonly gpu_peak_bytes: number;
  readonly subspace_refreshes: number;
  /** What refreshing every `update_proj_gap` steps would have come to. */
  readonly subspace_refreshes_fixed_interval: number;
  readonly adapter: string;
}

/** Before the first step: what the run will be and take. */
export interface PlanEvent {
  readonly type: "plan";
  readonly parameters: number;
  /** Of those, or of the adapters beside them, what is trained. */
  readonly trained_parameters: number;
  readonly steps: number;
  /** The step of the checkpoint that the run goes on from; 0 at its start. */
  readonly resumed_step: number;
  /** Of the run, or of the look at the first gradients before it (`rank: "auto"`) if that is more. */
  readonly planned_peak_bytes: number;
  /** Of the run. */
  readonly by_purpose: Readonly<Record<Purpose, number>>;
  readonly adapter: string;
}

export interface StepEvent extends StepMetrics {
  readonly type: "step";
}

export interface EvalEvent {
  readonly type: "eval";
  readonly step: number;
  readonly eval_loss: number;
  readonly eval_perplexity: number;
  /** Targets that were evaluated. */
  readonly tokens: number;
}

/** What the model says to a prompt of `samplePrompt`, its likeliest tokens. */
export interface SampleEvent {
  readonly type: "sample";
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly path: string;
}

export interface WarningEvent {
  readonly type: "warning";
  readonly message: string;
  /** The same where it names options, for front ends that spell them their own way. */
  readonly phrase?: Phrase;
}

/** After the plan of a fresh run with `rank: "auto"`: what the ranks became. */
export interface RankAdviceEvent {
  readonly type: "rank_advice";
  /** Of the energy of the first gradients, what each rank is to keep. */
  readonly share: number;
  readonly matrices: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly rank: number;
    /** What it keeps; below `share` where no rank that was looked at keeps so much. */
    readonly energy: number;
  }[];
  /** Optimizer state and projections with these ranks, and with the default rank for all. */
  readonly bytes: { readonly advised: number; readonly default_rank: number };
}

/** Before the run tells anything: what takes a while, and how much of it is done. */
export interface PreparationEvent {
  readonly type: "preparation";
  readonly what: "encoding examples" | "loading weights" | "looking at first gradients";
  /** 0 to 1, where the end is known. */
  readonly share?: number;
  /** Examples so far, where it is not. */
  readonly count?: number;
}

/** Told of preparations as they go on. */
export type OnPreparation = (event: PreparationEvent) => void;

/** The last event: all steps done, or stopped early and saved. */
export interface DoneEvent {
  readonly type: "done";
  readonly interrupted: boolean;
  readonly summary: Summary;
}

export type TrainingEvent =
  | PlanEvent
  | RankAdviceEvent
  | StepEvent
  | EvalEvent
  | SampleEvent
  | CheckpointEvent
  | WarningEvent
  | DoneEvent;
