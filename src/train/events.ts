/** The events of a run: `Trainer.run` yields these, and ends with `done` or throws. */
import type { Purpose } from "../gpu/tensor.ts";
import type { Phrase } from "../options/phrase.ts";

/** One line of metrics.jsonl, with the field names of the file. */
export interface StepMetrics {
  /** From 1. */
  readonly step: number;
  /** Mean over the step's targets, in nats. */
  readonly loss: number;
  readonly lr: number;
  /** Tokens trained on since the start of the run, resumes included. */
  readonly tokens: number;
  readonly tokens_per_second: number;
  readonly step_ms: number;
  readonly gpu_bytes: number;
  readonly gpu_peak_bytes: number;
  /** Since the start of the run, over all matrices. */
  readonly subspace_refreshes: number;
  /** Parameters whose subspaces this step refreshed, if any. */
  readonly refreshed?: readonly string[];
  /** Present if the model was evaluated after this step. */
  readonly eval_loss?: number;
  readonly eval_perplexity?: number;
}

/** summary.json. */
export interface Summary {
  readonly final_loss: number;
  /** Before the first step; only when fine-tuning. */
  readonly first_eval_loss?: number;
  readonly eval_loss?: number;
  readonly eval_perplexity?: number;
  readonly tokens: number;
  readonly tokens_per_second: number;
  readonly planned_peak_bytes: number;
  readonly gpu_peak_bytes: number;
  readonly subspace_refreshes: number;
  /** Refreshes that a fixed interval of `update_proj_gap` steps would have needed. */
  readonly subspace_refreshes_fixed_interval: number;
  readonly adapter: string;
}

/** Before the first step: what the run will train and how much memory it needs. */
export interface PlanEvent {
  readonly type: "plan";
  readonly parameters: number;
  /** How many parameters are trained, of those or of the adapters. */
  readonly trained_parameters: number;
  readonly steps: number;
  /** The step of the checkpoint that the run resumes from; 0 for a new run. */
  readonly resumed_step: number;
  /** Of the run, or of choosing ranks before it (`rank: "auto"`) if that needs more. */
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
  /** Number of targets evaluated. */
  readonly tokens: number;
}

/** The model's greedy continuation of a prompt of `samplePrompt`. */
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
  /** The same text if it names options, for front ends that spell them their own way. */
  readonly phrase?: Phrase;
}

/** After the plan of a new run with `rank: "auto"`: the chosen ranks. */
export interface RankAdviceEvent {
  readonly type: "rank_advice";
  /** The share of the first gradients' energy that each rank must keep. */
  readonly share: number;
  readonly matrices: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly rank: number;
    /** The share it keeps; below `share` if none of the ranks examined keeps that much. */
    readonly energy: number;
  }[];
  /** Optimizer state and projections with these ranks, and with the default rank throughout. */
  readonly bytes: { readonly advised: number; readonly default_rank: number };
}

/** Progress of a slow preparation before the run's first event. */
export interface PreparationEvent {
  readonly type: "preparation";
  readonly what: "encoding examples" | "loading weights" | "looking at first gradients";
  /** 0 to 1, if the total is known. */
  readonly share?: number;
  /** Examples so far, otherwise. */
  readonly count?: number;
}

/** Called with the progress of preparations. */
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
