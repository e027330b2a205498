/**
 * The events of a run: `Trainer.run` yields these, and ends with `done`, or with `failed` and an error.
 *
 * An event is the JSON object that `--json` prints and metrics.jsonl keeps, whose names other
 * programs rely on. So its fields are in snake_case, unlike all other names of the library: they
 * need no second declaration, and no translation that could fall behind.
 *
 * @module
 */
import type { Finding } from "../data/instruct/findings.ts";
import type { Purpose } from "../gpu/tensor.ts";
import type { Phrase } from "../options/phrase.ts";
import type { EmbeddingOptimizer } from "./method_fields.ts";

/** One line of metrics.jsonl, with the field names of the file. */
export interface StepMetrics {
  /** From 1. */
  readonly step: number;
  /** Mean over the step's targets, in nats. */
  readonly loss: number;
  /**
   * With `maxGradNorm`: the norm, before clipping, of all gradients together, as updates take them: of
   * a projected matrix the low-rank one.
   */
  readonly grad_norm?: number;
  /** Learning rate of the step. */
  readonly lr: number;
  /** Tokens trained on since the start of the run, resumes included. */
  readonly tokens: number;
  /** Throughput, over all steps whose losses were read together. */
  readonly tokens_per_second: number;
  /** Milliseconds, averaged likewise. */
  readonly step_ms: number;
  /** GPU memory allocated now. */
  readonly gpu_bytes: number;
  /** The most that was allocated at once. */
  readonly gpu_peak_bytes: number;
  /** Since the start of the run, over all matrices. */
  readonly subspace_refreshes: number;
  /** Parameters whose subspaces this step refreshed, if any. */
  readonly refreshed?: readonly string[];
  /** Present and true if the step began by merging adapters into their matrices: ReLoRA. */
  readonly restarted?: true;
  /** Present if the model was evaluated after this step; mean over the targets, in nats. */
  readonly eval_loss?: number;
  /** e to the power of `eval_loss`. */
  readonly eval_perplexity?: number;
}

/** summary.json. */
export interface Summary {
  /** Of the first step, in nats. */
  readonly first_loss?: number;
  /** Of the last step, in nats. */
  readonly final_loss: number;
  /** Present and true if the loss ended above where it began: the run has diverged. */
  readonly diverged?: boolean;
  /** Before the first step; only when fine-tuning. */
  readonly first_eval_loss?: number;
  /** Of the last evaluation, if there was any; with `loadBestModelAtEnd`, of the saved model's. */
  readonly eval_loss?: number;
  /** e to the power of `eval_loss`. */
  readonly eval_perplexity?: number;
  /** The evaluation with the lowest loss, where evaluations choose the model or end the run. */
  readonly best_step?: number;
  /** The lowest loss of an evaluation, likewise. */
  readonly best_eval_loss?: number;
  /** The step at which early stopping ended the run, if it did. */
  readonly stopped_early_at?: number;
  /** Tokens trained on, resumes included. */
  readonly tokens: number;
  /** Average throughput. */
  readonly tokens_per_second: number;
  /** GPU memory as planned before the start. */
  readonly planned_peak_bytes: number;
  /** GPU memory that was allocated at most. */
  readonly gpu_peak_bytes: number;
  /** Update rule of embedding and head, a value of `embeddingOptimizer`, where they are trained. */
  readonly embedding_optimizer?: EmbeddingOptimizer;
  /** Over all matrices. */
  readonly subspace_refreshes: number;
  /** Refreshes that a fixed interval of `update_proj_gap` steps would have needed. */
  readonly subspace_refreshes_fixed_interval: number;
  /** Name of the adapter. */
  readonly adapter: string;
  /** Processes that trained it together, where they were several. */
  readonly ranks?: number;
  /** What was learned of which examples; absent for runs on text. */
  readonly data?: DataReport;
}

/** What of a data set of examples is learned, and what is not. */
export interface DataReport {
  /** Records read. */
  readonly records: number;
  /** Examples to train on. */
  readonly examples: number;
  /** Examples held out for evaluation. */
  readonly held_out: number;
  /** Examples left out because they cannot be used as they are (`skipUnusable`). */
  readonly unusable: number;
  /** Examples truncated to a sequence. */
  readonly truncated: number;
  /** Tokens of the examples to train on. */
  readonly tokens: number;
  /** Of these, the tokens that the loss counts. */
  readonly trained_tokens: number;
  /** Examples that are not learned as they stand, by kind. */
  readonly findings: readonly DataFinding[];
  /** What else is to be known, such as fields that are not used. */
  readonly notes: readonly string[];
}

/** Examples of one kind. */
export interface DataFinding extends Pick<Finding, "kind" | "effect" | "count" | "first"> {
  /** All of it for people, with the first places. */
  readonly message: string;
}

/** Before the first step of a run on examples: what of them is learned. */
export interface DataEvent extends DataReport {
  /** Tells events apart. */
  readonly type: "data";
}

/** Before the first step: what the run will train and how much memory it needs. */
export interface PlanEvent {
  /** Tells events apart. */
  readonly type: "plan";
  /** Parameters of the model. */
  readonly parameters: number;
  /** How many parameters are trained, of those or of the adapters. */
  readonly trained_parameters: number;
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** The step of the checkpoint that the run resumes from; 0 for a new run. */
  readonly resumed_step: number;
  /** The folder of that checkpoint. */
  readonly resumed_from?: string;
  /** When it was saved, ISO 8601. */
  readonly resumed_saved_at?: string;
  /** Of the run, or of choosing ranks before it (`rank: "auto"`) if that needs more. */
  readonly planned_peak_bytes: number;
  /** What the driver is asked for by it, in blocks; absent in events of earlier versions. */
  readonly allocated_bytes?: number;
  /** Bytes of GPU memory that the run is held to; absent where it is unknown how many a card has. */
  readonly memory_limit?: number;
  /** Of the run. */
  readonly by_purpose: Readonly<Record<Purpose, number>>;
  /** Name of the adapter. */
  readonly adapter: string;
  /** Processes that train together, each with a card and the memory planned; absent for one. */
  readonly ranks?: number;
  /** Bytes that each of them sends in a step, on average; refreshes of subspaces send more. */
  readonly exchanged_bytes?: number;
  /** With `localSteps`: that number; what is exchanged once in so many steps is counted in each. */
  readonly local_steps?: number;
  /** Bytes of host memory for what ranks last met in, and the momentum of the outer step. */
  readonly outer_bytes?: number;
}

/** After a step, once its loss has been read. */
export interface StepEvent extends StepMetrics {
  /** Tells events apart. */
  readonly type: "step";
}

/** After an evaluation on held-out data. */
export interface EvalEvent {
  /** Tells events apart. */
  readonly type: "eval";
  /** Steps done. */
  readonly step: number;
  /** Mean over the targets, in nats. */
  readonly eval_loss: number;
  /** e to the power of the loss. */
  readonly eval_perplexity: number;
  /** Number of targets evaluated. */
  readonly tokens: number;
}

/** The model's greedy continuation of a prompt of `samplePrompt`. */
export interface SampleEvent {
  /** Tells events apart. */
  readonly type: "sample";
  /** Steps done. */
  readonly step: number;
  /** As given. */
  readonly prompt: string;
  /** What the model continues it with. */
  readonly text: string;
}

/** After a checkpoint was written. */
export interface CheckpointEvent {
  /** Tells events apart. */
  readonly type: "checkpoint";
  /** Steps done. */
  readonly step: number;
  /** Its folder. */
  readonly path: string;
}

/** Something that the user should know; the run continues. */
export interface WarningEvent {
  /** Tells events apart. */
  readonly type: "warning";
  /** For people. */
  readonly message: string;
  /** The same text if it names options, for front ends that spell them their own way. */
  readonly phrase?: Phrase;
}

/** After the plan of a new run with `rank: "auto"`: the chosen ranks. */
export interface RankAdviceEvent {
  /** Tells events apart. */
  readonly type: "rank_advice";
  /** The share of the first gradients' energy that each rank must keep. */
  readonly share: number;
  /** One entry for each projected matrix. */
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
  /** Tells events apart. */
  readonly type: "preparation";
  /** The preparation. */
  readonly what:
    | "reading data"
    | "encoding examples"
    | "initialising weights"
    | "loading weights"
    | "checking a checkpoint"
    | "restoring a checkpoint"
    | "looking at first gradients"
    | "timing kernels";
  /** 0 to 1, if the total is known. */
  readonly share?: number;
  /** Examples so far, or items of data, or chunks of a stream of bytes. */
  readonly count?: number;
}

/** Called with the progress of preparations. */
export type OnPreparation = (event: PreparationEvent) => void;

/** What takes time in a run. */
export type RunPhase =
  | "compiling kernels"
  | "training"
  | "outer step"
  | "evaluating"
  | "generating samples"
  | "saving a checkpoint"
  | "checking the best model"
  | "loading the best model"
  | "saving the model";

/**
 * What a run is doing: not one of its events, but the argument of {@link OnProgress}. `done` of
 * `total` is the share of the phase, where it is known.
 */
export interface ProgressEvent {
  /** Tells it apart from events. */
  readonly type: "progress";
  /** The phase that begins or continues. */
  readonly phase: RunPhase;
  /** The step in progress when training, otherwise the last one done. */
  readonly step: number;
  /** Of a step that takes seconds: what the GPU has reached; a refresh is part of the way back. */
  readonly part?: "forward" | "backward" | "refresh";
  /**
   * The layer it has passed, or whose subspaces it refreshes, from 1, in the order of the pass; absent
   * of refreshes after all passes.
   */
  readonly layer?: number;
  /** Layers of the model. */
  readonly layers?: number;
  /** Subspaces that the step has refreshed. */
  readonly subspace?: number;
  /** Subspaces that the step refreshes. */
  readonly subspaces?: number;
  /** Kernels, layers and refreshes of a step, batches, samples, or bytes that are saved or read. */
  readonly done?: number;
  /** How many there are. */
  readonly total?: number;
  /** Seconds that the rest of a step will take; absent until each kind of work was timed. */
  readonly seconds_left?: number;
}

/** Called with the bytes that are written of a model, and with all that will be. */
export type OnWritten = (written: number, bytes: number) => void;

/** Called at each phase of a run and, where it takes long, as it proceeds; must return at once. */
export type OnProgress = (event: ProgressEvent) => void;

/** What of a run is on disk. */
export interface Saved {
  /** Folder of the newest checkpoint, that of a resumed run included. */
  readonly checkpoint?: string;
  /** Steps done at that checkpoint. */
  readonly checkpoint_step?: number;
  /** Folder of the model, once the run has ended. */
  readonly model?: string;
  /** Folder of the adapter, with a method that trains one. */
  readonly adapter?: string;
}

/** The last event: all steps done, or stopped early and saved. */
export interface DoneEvent {
  /** Tells events apart. */
  readonly type: "done";
  /** Whether it was stopped before its last step. */
  readonly interrupted: boolean;
  /** Steps done. */
  readonly step: number;
  /** What is on disk now; a run stopped before its first step has saved nothing. */
  readonly saved: Saved;
  /** As in summary.json. */
  readonly summary: Summary;
}

/** The last event of a run that fails: what could be saved before the error is thrown. */
export interface FailedEvent {
  /** Tells events apart. */
  readonly type: "failed";
  /** Steps done; those after `saved.checkpoint_step` are lost. */
  readonly step: number;
  /** What is on disk now. */
  readonly saved: Saved;
}

/** What `Trainer.run` yields, distinguished by `type`. */
export type TrainingEvent =
  | PlanEvent
  | DataEvent
  | RankAdviceEvent
  | StepEvent
  | EvalEvent
  | SampleEvent
  | CheckpointEvent
  | WarningEvent
  | DoneEvent
  | FailedEvent;
