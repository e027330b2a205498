/** A recipe is all that distinguishes one kind of training run from another. */
import type { BatchSource } from "../data/batches.ts";
import type { Batch } from "../model/batch.ts";
import type { Phrase } from "../options/phrase.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { SamplingOptions } from "../inference/sampling.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { LlamaParameters } from "../model/parameters.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import type { TrainedModel, TrainingShape } from "./build.ts";
import type { DataReport, OnPreparation, OnWritten, Summary } from "./events.ts";
import type { Objective } from "./objective.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import type { PretrainOptions } from "./options.ts";

/** Options read by the trainer itself. */
export type RunOptions = Pick<
  PretrainOptions | FinetuneOptions,
  | "model"
  | "output"
  | "resume"
  | "overwriteOutput"
  | "evalEvery"
  | "saveEvery"
  | "saveMinutes"
  | "keepCheckpoints"
  | "loadBestModelAtEnd"
  | "earlyStoppingPatience"
  | "earlyStoppingThreshold"
  | "gpuMemory"
  | "shardStates"
  | "shardWeights"
  | "tune"
  | "gradientAccumulation"
  | "lr"
  | "scheduler"
  | "minLrRatio"
  | "updateProjGap"
  | "rank"
  | "embeddingOptimizer"
  | "embeddingAdam8bit"
  | "maxGradNorm"
  | "layerwise"
  | "jaggedRestartSteps"
  | "jaggedRestartWarmupSteps"
  | "momentumReset"
  | "energyShare"
  | "communicationDataType"
  | "localSteps"
  | "outerLr"
  | "outerMomentum"
  | "samplePrompt"
  | "sampleTokens"
>;

/** The data of a run, opened. */
export interface TrainingData {
  /** The batches, from the position to resume at. */
  readonly batches: BatchSource;
  /** Optimizer steps of the whole run, and of its warm-up. */
  readonly steps: number;
  /** Steps in which the rate rises. */
  readonly warmupSteps: number;
  /** Steps of a pass over the data, a fraction included; undefined if it is not known. */
  readonly stepsPerEpoch?: number;
  /** Whether anything is held out to evaluate; true by default. */
  readonly evaluates?: boolean;
  /** What of the examples is learned, if these are examples. */
  readonly report?: DataReport;
  /** Warnings about the data, for the user. */
  readonly warnings: readonly Phrase[];
}

/** A prompt for a sample between steps. */
export interface EncodedPrompt {
  /** The prompt's tokens. */
  readonly ids: readonly number[];
  /** Ids that end the continuation. */
  readonly stop: readonly number[];
  /** How to continue it; by default with the most likely tokens. */
  readonly sampling?: SamplingOptions;
}

/** What a run has come to when its model is saved. */
export interface RunResults extends
  Pick<
    Summary,
    | "final_loss"
    | "first_eval_loss"
    | "eval_loss"
    | "eval_perplexity"
    | "tokens"
    | "adapter"
    | "embedding_optimizer"
    | "ranks"
  > {
  /** Steps done. */
  readonly steps: number;
}

/** A run as {@link Trainer.open} takes it. */
export interface Recipe {
  /** What the trainer itself reads. */
  readonly options: RunOptions;
  /** The model's shape. */
  readonly config: LlamaConfig;
  /** Sizes of the run; see {@link trainingShape}. */
  readonly shape: TrainingShape;
  /** Hyperparameters of the steps; the learning rate follows its schedule. */
  readonly rates: OptimizerRates;
  /** The objective; cross-entropy by default. */
  readonly objective?: Objective;
  /** Decodes samples. */
  readonly tokenizer: Tokenizer;
  /** For the user, before the first step. */
  readonly warnings: readonly Phrase[];
  /** Whether to evaluate the model before the first step. */
  readonly evaluateFirst: boolean;
  /**
   * Opens the training data, at the position saved in a checkpoint. Checks the held-out data as
   * well, so that its faults end a run before its first step. `done` are the steps before it.
   */
  openData(
    position?: unknown,
    onPreparation?: OnPreparation,
    done?: number,
  ): Promise<TrainingData>;
  /** One pass over the held-out data; undefined if nothing is held out. */
  openEvaluation(): Promise<AsyncIterable<Batch> | undefined>;
  /**
   * Encodes a prompt in the format of the training data: as a dialogue if that is what it holds.
   */
  encodePrompt(text: string): Promise<EncodedPrompt>;
  /**
   * Writes the weights that a new run starts from. Of a `resumed` run all that is trained is restored
   * afterwards, so only the rest is needed: what is frozen, and what else the objective reads.
   */
  start(
    gpu: Gpu,
    training: TrainedModel,
    onPreparation?: OnPreparation,
    resumed?: boolean,
  ): Promise<void>;
  /**
   * What the weights that a checkpoint does not hold are read from: the path or `hf:…` of the model
   * that the run starts from, if there is one.
   */
  readonly base?: string;
  /** What its weights are, for a resume to see that they are the same: formats/weights_mark.ts. */
  markBase?(): Promise<string>;
  /**
   * Writes all of the saved model or adapter but its weights: configuration, tokenizer, card. With it
   * a checkpoint can be used as a model's folder.
   */
  describe?(
    folder: string,
    parameters: LlamaParameters,
    results: RunResults,
  ): Promise<void>;
  /** Writes the model below the output folder, with its results, and returns its path. */
  save(
    gpu: Gpu,
    training: TrainedModel,
    results: RunResults,
    onProgress?: OnWritten,
  ): Promise<string>;
}
