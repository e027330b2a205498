/** What distinguishes one kind of training run from another; the trainer does the rest. */
import type { BatchSource } from "../data/batches.ts";
import type { Batch } from "../model/batch.ts";
import type { Phrase } from "../options/phrase.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import type { Training, TrainingShape } from "./build.ts";
import type { OnPreparation } from "./events.ts";
import type { Objective } from "./objective.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import type { PretrainOptions } from "./options.ts";

/** Options that the trainer itself reads. */
export type RunOptions = Pick<
  PretrainOptions | FinetuneOptions,
  | "model"
  | "output"
  | "resume"
  | "overwriteOutput"
  | "evalEvery"
  | "saveEvery"
  | "keepCheckpoints"
  | "gpuMemory"
  | "gradientAccumulation"
  | "lr"
  | "scheduler"
  | "minLrRatio"
  | "updateProjGap"
  | "rank"
  | "energyShare"
  | "samplePrompt"
  | "sampleTokens"
>;

export interface TrainingData {
  readonly batches: BatchSource;
  /** Optimizer steps of the whole run, and those in which the rate rises. */
  readonly steps: number;
  readonly warmupSteps: number;
  /** What the user should know of the data. */
  readonly warnings: readonly Phrase[];
}

export interface EncodedPrompt {
  readonly ids: readonly number[];
  /** Ids that end what follows. */
  readonly stop: readonly number[];
}

export interface Recipe {
  readonly options: RunOptions;
  readonly config: LlamaConfig;
  readonly shape: TrainingShape;
  /** What the steps go by; the learning rate follows its schedule. */
  readonly rates: OptimizerRates;
  /** What is minimised; cross-entropy unless given. */
  readonly objective?: Objective;
  readonly tokenizer: Tokenizer;
  readonly warnings: readonly Phrase[];
  /** Whether the model is worth an evaluation before its first step. */
  readonly evaluateFirst: boolean;
  /** Opens the training data, at the place that a checkpoint noted. */
  openData(position?: unknown, onPreparation?: OnPreparation): Promise<TrainingData>;
  /** One pass over what is held out; undefined when nothing is. */
  openEvaluation(): Promise<AsyncIterable<Batch> | undefined>;
  /** A prompt as the model is used to it: as a dialogue, where it learns to lead one. */
  encodePrompt(text: string): Promise<EncodedPrompt>;
  /** Writes the weights that a fresh run starts from. */
  start(gpu: Gpu, training: Training, onPreparation?: OnPreparation): Promise<void>;
  /** Writes the result below the output folder and returns where. */
  save(gpu: Gpu, training: Training): Promise<string>;
}
