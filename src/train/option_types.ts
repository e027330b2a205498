/**
 * Options as types, for editors. Written by `deno task options` from the schemas of the options:
 * change those, not this file.
 *
 * @module
 */

import type { MethodName } from "./methods.ts";

/** What decides the memory of a training run, as `memoryOptions.parse` returns it. */
export interface MemoryOptions {
  /** A preset, a config.json, or a model to fine-tune. */
  readonly model: string;
  /**
   * Format of activations and of weights that are not quantised; float32 is exact and twice as
   * large.
   * @default bfloat16
   */
  readonly dtype: "bfloat16" | "float32";
  /**
   * Keep one activation a layer and recompute the rest: less memory, a third more arithmetic.
   * @default false
   */
  readonly activationCheckpointing: boolean;
  /**
   * Sequences that go through the model at once.
   * @default 16
   */
  readonly batchSize: number;
  /**
   * Batches whose gradients are added up, in the low-rank space where there is one, for a step.
   * @default 1
   */
  readonly gradientAccumulation: number;
  /**
   * Tokens of a sequence.
   * @default 256
   */
  readonly seqLen: number;
  /**
   * Which optimizer, or lora or qlora.
   * @default q_galore_adamw8bit
   */
  readonly optimizer: MethodName;
  /**
   * Rank of the space that gradients are projected to; a smaller matrix gets less.
   * @default a quarter of the model's width
   */
  readonly rank?: number | "auto";
  /**
   * INT8 weights: of the attention and feed-forward projections.
   * @default on with q_galore_adamw8bit
   */
  readonly weightQuant: boolean;
  /**
   * INT4 projection matrices.
   * @default on with q_galore_adamw8bit
   */
  readonly projQuant: boolean;
  /**
   * 8-bit moments for embedding and head too: six bytes less for each of their weights, and a
   * higher loss where the vocabulary is large.
   * @default false
   */
  readonly embeddingAdam8bit: boolean;
  /**
   * Weights that share a scale and a zero point.
   * @default 256
   */
  readonly weightGroupSize: number;
  /**
   * Elements of a projection matrix that share a scale and a zero point.
   * @default 256
   */
  readonly projGroupSize: number;
  /**
   * Plan fine-tuning instead of pre-training.
   * @default on with lora and qlora
   */
  readonly finetune: boolean;
  /**
   * Train embedding and head too: moments and a gradient for every row of the vocabulary.
   * @default false
   */
  readonly trainEmbeddings: boolean;
  /**
   * INT8 embedding and head, where they are not trained.
   * @default on with q_galore_adamw8bit
   */
  readonly embeddingQuant: boolean;
  /**
   * Rank of the adapters.
   * @default 8
   */
  readonly loraRank: number;
  /**
   * Alpha: updates are scaled by alpha / rank.
   * @default twice `loraRank`
   */
  readonly loraAlpha: number;
  /**
   * Share of the adapters' inputs that is left out at random.
   * @default 0
   */
  readonly loraDropout: number;
  /**
   * Projections that get an adapter: all, or some of q_proj, k_proj, v_proj, o_proj, gate_proj,
   * up_proj, down_proj.
   * @default all
   */
  readonly loraTarget:
    ("all" | "q_proj" | "k_proj" | "v_proj" | "o_proj" | "gate_proj" | "up_proj" | "down_proj")[];
}

/** Options of a pre-training run, as `pretrainOptions.parse` returns them. */
export interface PretrainOptions {
  /** A preset's name, or a config.json as Hugging Face writes it, or a folder that holds one. */
  readonly model: string;
  /**
   * Format of activations and of weights that are not quantised; float32 is exact and twice as
   * large.
   * @default bfloat16
   */
  readonly dtype: "bfloat16" | "float32";
  /**
   * Keep one activation a layer and recompute the rest: less memory, a third more arithmetic.
   * @default false
   */
  readonly activationCheckpointing: boolean;
  /**
   * Sequences that go through the model at once.
   * @default 16
   */
  readonly batchSize: number;
  /**
   * Batches whose gradients are added up, in the low-rank space where there is one, for a step.
   * @default 1
   */
  readonly gradientAccumulation: number;
  /**
   * Tokens of a sequence.
   * @default 256
   */
  readonly seqLen: number;
  /**
   * Which optimizer; GaLore's train in a low-rank space, Q-GaLore's in INT8 as well.
   * @default q_galore_adamw8bit
   */
  readonly optimizer: MethodName;
  /**
   * Rank of the space that gradients are projected to; a smaller matrix gets less; auto: of each
   * matrix, the least that keeps `energyShare` of its first gradients.
   * @default a quarter of the model's width
   */
  readonly rank?: number | "auto";
  /**
   * INT8 weights: of the attention and feed-forward projections.
   * @default on with q_galore_adamw8bit
   */
  readonly weightQuant: boolean;
  /**
   * INT4 projection matrices.
   * @default on with q_galore_adamw8bit
   */
  readonly projQuant: boolean;
  /**
   * 8-bit moments for embedding and head too: six bytes less for each of their weights, and a
   * higher loss where the vocabulary is large.
   * @default false
   */
  readonly embeddingAdam8bit: boolean;
  /**
   * Weights that share a scale and a zero point.
   * @default 256
   */
  readonly weightGroupSize: number;
  /**
   * Elements of a projection matrix that share a scale and a zero point.
   * @default 256
   */
  readonly projGroupSize: number;
  /**
   * What `rank: "auto"` keeps of a gradient's energy.
   * @default 0.9
   */
  readonly energyShare: number;
  /** Text to train on: .txt, .jsonl or .parquet files, folders of them, hf:… */
  readonly data: string[];
  /** Text to evaluate on; then nothing is held back. */
  readonly evalData?: string[];
  /**
   * Share of `data` held back for evaluation where there is no `evalData`.
   * @default 0.01
   */
  readonly evalShare: number;
  /**
   * `bytes`, a tokenizer.json, a folder that holds one, or hf:…
   * @default bytes
   */
  readonly tokenizer: string;
  /**
   * Field of a JSON line or Parquet row that holds the text.
   * @default text
   */
  readonly textField: string;
  /**
   * Packed: documents end to end, no token wasted; padded: one document a sequence.
   * @default packed
   */
  readonly packing: "packed" | "padded";
  /**
   * Sequences that are mixed at a time; 0 keeps the order of the files.
   * @default 1000
   */
  readonly shuffleBuffer: number;
  /**
   * Factor of the low-rank update (alpha in the GaLore paper).
   * @default 0.25
   */
  readonly galoreScale: number;
  /**
   * Steps between two refreshes of a matrix's subspace, until it settles.
   * @default 200
   */
  readonly updateProjGap: number;
  /**
   * Mean similarity of successive subspaces from which on they count as settled.
   * @default 0.4
   */
  readonly cosThreshold: number;
  /**
   * A settled subspace is refreshed this many times less often; 1: at fixed intervals.
   * @default 2
   */
  readonly gammaProj: number;
  /**
   * Similarities that the mean is taken over.
   * @default 5
   */
  readonly queueSize: number;
  /**
   * Round updated INT8 weights stochastically, so that small updates count on average.
   * @default on with INT8 weights
   */
  readonly stochasticRound: boolean;
  /**
   * Learning rate at its highest.
   * @default 0.01 with q_galore_adamw8bit, galore_adamw, galore_adamw8bit; 0.001 with adamw,
   * adamw8bit, muon, muon8bit
   */
  readonly lr: number;
  /**
   * Decay of Adam's first moment.
   * @default 0.9
   */
  readonly beta1: number;
  /**
   * Decay of Adam's second moment.
   * @default 0.999
   */
  readonly beta2: number;
  /**
   * Added to Adam's denominator.
   * @default 1e-8
   */
  readonly adamEps: number;
  /**
   * Decoupled weight decay, times the rate.
   * @default 0
   */
  readonly weightDecay: number;
  /**
   * Optimizer steps of the whole run.
   * @default 10000
   */
  readonly steps: number;
  /**
   * Steps in which the rate rises from zero.
   * @default a tenth of `steps`
   */
  readonly warmupSteps: number;
  /**
   * How the rate falls after the warm-up.
   * @default cosine
   */
  readonly scheduler: "cosine" | "linear" | "constant";
  /**
   * The rate at the end, as a share of `lr`.
   * @default 0.1
   */
  readonly minLrRatio: number;
  /**
   * Of initialisation, order of the data and stochastic rounding.
   * @default 42
   */
  readonly seed: number;
  /** Folder for metrics, checkpoints and the trained model. */
  readonly output: string;
  /**
   * Steps between evaluations; 0: at the end only.
   * @default 1000
   */
  readonly evalEvery: number;
  /**
   * Steps between checkpoints; 0: at the end only.
   * @default 1000
   */
  readonly saveEvery: number;
  /**
   * A text for the model to go on with, or to answer, at each evaluation: how it learns to write.
   */
  readonly samplePrompt?: string[];
  /**
   * Tokens of such a sample, at most.
   * @default 48
   */
  readonly sampleTokens: number;
  /**
   * Checkpoints to keep, the newest.
   * @default 2
   */
  readonly keepCheckpoints: number;
  /**
   * GiB of GPU memory that the run may take; one that needs more is refused before it starts.
   * @default free memory with a software adapter, else no limit
   */
  readonly gpuMemory?: number;
  /**
   * Where `output` holds a run already, remove its checkpoints and start anew.
   * @default false
   */
  readonly overwriteOutput: boolean;
  /** Continue from a checkpoint; `auto`: from the newest whole one of `output`, if any. */
  readonly resume?: string;
}

/** Options of a fine-tuning run, as `finetuneOptions.parse` returns them. */
export interface FinetuneOptions {
  /** The model to start from: a folder in Hugging Face's layout, a .gguf file, or hf:org/name. */
  readonly model: string;
  /**
   * Format of activations and of weights that are not quantised; float32 is exact and twice as
   * large.
   * @default bfloat16
   */
  readonly dtype: "bfloat16" | "float32";
  /**
   * Keep one activation a layer and recompute the rest: less memory, a third more arithmetic.
   * @default false
   */
  readonly activationCheckpointing: boolean;
  /**
   * Sequences that go through the model at once.
   * @default 4
   */
  readonly batchSize: number;
  /**
   * Batches whose gradients are added up, in the low-rank space where there is one, for a step.
   * @default 1
   */
  readonly gradientAccumulation: number;
  /**
   * Tokens of a sequence; longer examples are cut.
   * @default 512
   */
  readonly seqLen: number;
  /**
   * How to train: all projections in a low-rank space (GaLore, Q-GaLore), in full, or adapters.
   * @default q_galore_adamw8bit
   */
  readonly optimizer: MethodName;
  /**
   * Rank of the space that gradients are projected to; a smaller matrix gets less; auto: of each
   * matrix, the least that keeps `energyShare` of its first gradients.
   * @default a quarter of the model's width
   */
  readonly rank?: number | "auto";
  /**
   * INT8 weights: of the attention and feed-forward projections.
   * @default on with q_galore_adamw8bit
   */
  readonly weightQuant: boolean;
  /**
   * INT4 projection matrices.
   * @default on with q_galore_adamw8bit
   */
  readonly projQuant: boolean;
  /**
   * 8-bit moments for embedding and head too: six bytes less for each of their weights, and a
   * higher loss where the vocabulary is large.
   * @default false
   */
  readonly embeddingAdam8bit: boolean;
  /**
   * Weights that share a scale and a zero point.
   * @default 256
   */
  readonly weightGroupSize: number;
  /**
   * Elements of a projection matrix that share a scale and a zero point.
   * @default 256
   */
  readonly projGroupSize: number;
  /**
   * Examples: .jsonl, .json or .parquet files (Alpaca, ShareGPT, messages, prompt and completion),
   * folders of them, hf:…; or .txt files, to continue pre-training on.
   */
  readonly data?: string[];
  /** Data sets named in the dataset_info.json of `datasetDir`. */
  readonly dataset?: string[];
  /**
   * Folder of the dataset_info.json.
   * @default data
   */
  readonly datasetDir: string;
  /** Examples to evaluate on; then nothing is held back. */
  readonly evalData?: string[];
  /** The same by names of the dataset_info.json. */
  readonly evalDataset?: string[];
  /**
   * Share of the examples held back for evaluation where nothing is named to evaluate on; 0: none.
   * @default 0.05
   */
  readonly evalShare: number;
  /** Use no more than the first n examples. */
  readonly maxSamples?: number;
  /**
   * Layout of the examples.
   * @default auto
   */
  readonly dataFormat: "auto" | "alpaca" | "sharegpt" | "openai" | "prompt_completion" | "text";
  /**
   * Chat template: the tokenizer's own, or one of alpaca, chatml, gemma, llama2, llama3, mistral,
   * qwen, vicuna, zephyr.
   * @default default
   */
  readonly template: string;
  /**
   * Train on all tokens instead of the assistant's alone.
   * @default false
   */
  readonly trainOnPrompt: boolean;
  /**
   * Several examples a sequence; none attends to another.
   * @default true
   */
  readonly packing: boolean;
  /** A tokenizer to use instead of the model's. */
  readonly tokenizer?: string;
  /**
   * Field of a JSON line or Parquet row that holds the text.
   * @default text
   */
  readonly textField: string;
  /** Show the first n examples with their trained tokens marked, and stop. */
  readonly preview?: number;
  /**
   * Factor of the low-rank update (alpha in the GaLore paper).
   * @default 0.25
   */
  readonly galoreScale: number;
  /**
   * Steps between two refreshes of a matrix's subspace, until it settles.
   * @default 200
   */
  readonly updateProjGap: number;
  /**
   * Mean similarity of successive subspaces from which on they count as settled.
   * @default 0.4
   */
  readonly cosThreshold: number;
  /**
   * A settled subspace is refreshed this many times less often; 1: at fixed intervals.
   * @default 2
   */
  readonly gammaProj: number;
  /**
   * Similarities that the mean is taken over.
   * @default 5
   */
  readonly queueSize: number;
  /**
   * Round updated weights stochastically, so that small updates count on average.
   * @default on with INT8 or bfloat16 weights
   */
  readonly stochasticRound: boolean;
  /**
   * Learning rate at its highest.
   * @default 0.0001 with q_galore_adamw8bit, galore_adamw, galore_adamw8bit; 0.00002 with adamw,
   * adamw8bit, muon, muon8bit; 0.0002 with lora, qlora
   */
  readonly lr: number;
  /**
   * Decay of Adam's first moment.
   * @default 0.9
   */
  readonly beta1: number;
  /**
   * Decay of Adam's second moment.
   * @default 0.999
   */
  readonly beta2: number;
  /**
   * Added to Adam's denominator.
   * @default 1e-8
   */
  readonly adamEps: number;
  /**
   * Decoupled weight decay, times the rate.
   * @default 0
   */
  readonly weightDecay: number;
  /**
   * What `rank: "auto"` keeps of a gradient's energy.
   * @default 0.9
   */
  readonly energyShare: number;
  /**
   * Train embedding and head too: moments and a gradient for every row of the vocabulary.
   * @default false
   */
  readonly trainEmbeddings: boolean;
  /**
   * INT8 embedding and head, where they are not trained.
   * @default on with q_galore_adamw8bit
   */
  readonly embeddingQuant: boolean;
  /**
   * Rank of the adapters.
   * @default 8
   */
  readonly loraRank: number;
  /**
   * Alpha: updates are scaled by alpha / rank.
   * @default twice `loraRank`
   */
  readonly loraAlpha: number;
  /**
   * Share of the adapters' inputs that is left out at random.
   * @default 0
   */
  readonly loraDropout: number;
  /**
   * Projections that get an adapter: all, or some of q_proj, k_proj, v_proj, o_proj, gate_proj,
   * up_proj, down_proj.
   * @default all
   */
  readonly loraTarget:
    ("all" | "q_proj" | "k_proj" | "v_proj" | "o_proj" | "gate_proj" | "up_proj" | "down_proj")[];
  /**
   * Passes over the examples.
   * @default 3
   */
  readonly epochs: number;
  /** Optimizer steps, instead of `epochs`. */
  readonly steps?: number;
  /**
   * Share of the steps in which the rate rises.
   * @default 0.03
   */
  readonly warmupRatio: number;
  /**
   * The same in steps.
   * @default `warmupRatio` of the steps
   */
  readonly warmupSteps?: number;
  /**
   * How the rate falls after the warm-up.
   * @default cosine
   */
  readonly scheduler: "cosine" | "linear" | "constant";
  /**
   * The rate at the end, as a share of `lr`.
   * @default 0.1
   */
  readonly minLrRatio: number;
  /**
   * Of initialisation, order of the data and stochastic rounding.
   * @default 42
   */
  readonly seed: number;
  /** Folder for metrics, checkpoints and the trained model. */
  readonly output: string;
  /**
   * Steps between evaluations; 0: before the first step and after the last only.
   * @default 0
   */
  readonly evalEvery: number;
  /**
   * Steps between checkpoints; 0: at the end only.
   * @default 500
   */
  readonly saveEvery: number;
  /**
   * A text for the model to go on with, or to answer, at each evaluation: how it learns to write.
   */
  readonly samplePrompt?: string[];
  /**
   * Tokens of such a sample, at most.
   * @default 48
   */
  readonly sampleTokens: number;
  /**
   * Checkpoints to keep, the newest.
   * @default 2
   */
  readonly keepCheckpoints: number;
  /**
   * GiB of GPU memory that the run may take; one that needs more is refused before it starts.
   * @default free memory with a software adapter, else no limit
   */
  readonly gpuMemory?: number;
  /**
   * Where `output` holds a run already, remove its checkpoints and start anew.
   * @default false
   */
  readonly overwriteOutput: boolean;
  /** Continue from a checkpoint; `auto`: from the newest whole one of `output`, if any. */
  readonly resume?: string;
}
