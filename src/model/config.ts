/**
 * The shape of a decoder of the LLaMA family: names as in Hugging Face's configurations, letters as
 * in ARCHITECTURE.md. This is all that distinguishes the architectures.
 */

import type { GateActivation } from "../kernels/misc/glu.ts";
import type { RopeScaling } from "./rope_scaling.ts";

/** Hugging Face's `model_type`. */
export const MODEL_TYPES = ["llama", "mistral", "qwen2", "qwen3", "gemma"] as const;
/** One of {@link MODEL_TYPES}. */
export type ModelType = typeof MODEL_TYPES[number];

/** What an architecture adds to LLaMA's decoder. */
export interface Traits {
  /** `model_type` of config.json. */
  readonly modelType: ModelType;
  /** Activation of the feed-forward gate. */
  readonly activation: GateActivation;
  /** Biases of the query, key and value projections. */
  readonly attentionBias: boolean;
  /** Bias of the attention's output projection. */
  readonly outputBias: boolean;
  /** Biases of the gate, up and down projections. */
  readonly mlpBias: boolean;
  /** RMSNorm over each head's query and key, before RoPE (Qwen3). */
  readonly qkNorm: boolean;
  /** Added to the weight of a norm (Gemma stores weight − 1). */
  readonly normOffset: 0 | 1;
  /** Factor applied to embeddings (Gemma: √C). */
  readonly embeddingScale: number;
}

/** In the marked layers a query sees only the last `size` keys, its own included. */
export interface SlidingWindow {
  /** Keys that a query sees. */
  readonly size: number;
  /** Which of the L layers have the window. */
  readonly layers: readonly boolean[];
}

/** The shape of a decoder: sizes, and the traits of its architecture. */
export interface LlamaConfig extends Traits {
  /** Tokens of the vocabulary, V. */
  readonly vocabSize: number;
  /** Width of the residual stream, C. */
  readonly hiddenSize: number;
  /** Width of the feed-forward part, F. */
  readonly intermediateSize: number;
  /** Layers, L. */
  readonly layers: number;
  /** Query heads, H. */
  readonly heads: number;
  /** Key/value heads, K; a divisor of H. */
  readonly keyValueHeads: number;
  /** Elements of a head, D. */
  readonly headSize: number;
  /** `max_position_embeddings`: the longest sequence, unless RoPE is scaled beyond it. */
  readonly maxPositions: number;
  /** Tokens of the sequences it was pre-trained on, if that was done here. */
  readonly trainedLength?: number;
  /** Added to the mean of squares in every norm. */
  readonly rmsNormEps: number;
  /** Base of RoPE's frequencies. */
  readonly ropeTheta: number;
  /** How they are stretched; not at all if absent. */
  readonly ropeScaling?: RopeScaling;
  /** Layers that see the latest keys only; none if absent. */
  readonly slidingWindow?: SlidingWindow;
  /** Whether the head is the embedding. */
  readonly tieWordEmbeddings: boolean;
  /** Standard deviation of the weights at initialisation. */
  readonly initializerRange: number;
  /** The token that begins a text. */
  readonly bosTokenId?: number;
  /** The token, or tokens, that end a text. */
  readonly eosTokenId?: number | readonly number[];
  /** The padding token. */
  readonly padTokenId?: number;
}

/** LLaMA itself. */
export const LLAMA_TRAITS: Traits = {
  modelType: "llama",
  activation: "silu",
  attentionBias: false,
  outputBias: false,
  mlpBias: false,
  qkNorm: false,
  normOffset: 0,
  embeddingScale: 1,
};

function preset(
  hiddenSize: number,
  intermediateSize: number,
  heads: number,
  layers: number,
  vocabSize = 32000,
  maxPositions = 1024,
): LlamaConfig {
  return {
    ...LLAMA_TRAITS,
    vocabSize,
    hiddenSize,
    intermediateSize,
    layers,
    heads,
    keyValueHeads: heads,
    headSize: hiddenSize / heads,
    maxPositions,
    rmsNormEps: 1e-6,
    ropeTheta: 10000,
    tieWordEmbeddings: false,
    initializerRange: 0.02,
  };
}

/** Names of the {@link PRESETS}; a size is about the number of parameters. */
export type PresetName = `llama_${
  | "nano"
  | "9m"
  | "20m"
  | "35m"
  | "60m"
  | "130m"
  | "250m"
  | "350m"
  | "1b"
  | "3b"
  | "7b"}`;

/**
 * The configurations of the GaLore paper's runs (Zhao et al. 2024, table 5 and its published
 * configs), and `llama_nano`, about a million parameters over bytes, for machines without a GPU.
 */
export const PRESETS: Readonly<Record<PresetName, LlamaConfig>> = {
  llama_nano: preset(128, 352, 4, 4, 257),
  llama_9m: preset(128, 352, 4, 4),
  llama_20m: preset(256, 688, 4, 4),
  llama_35m: preset(384, 1024, 8, 6),
  llama_60m: preset(512, 1376, 8, 8),
  llama_130m: preset(768, 2048, 12, 12),
  llama_250m: preset(768, 2560, 16, 24),
  llama_350m: preset(1024, 2736, 16, 24),
  llama_1b: preset(2048, 5461, 32, 24),
  llama_3b: preset(2560, 6848, 32, 32),
  llama_7b: preset(4096, 11008, 32, 32, 32000, 2048),
};
