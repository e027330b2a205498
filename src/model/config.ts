/** The shape of a LLaMA: names as in Hugging Face's LlamaConfig, letters as in ARCHITECTURE.md. */

/** How RoPE's frequencies are changed for contexts longer than those pre-trained on. */
export type RopeScaling =
  | {
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFreqFactor: number;
    readonly highFreqFactor: number;
    readonly originalMaxPositions: number;
  }
  | { readonly type: "linear"; readonly factor: number };

export interface LlamaConfig {
  readonly vocabSize: number; // V
  readonly hiddenSize: number; // C
  readonly intermediateSize: number; // F
  readonly layers: number; // L
  readonly heads: number; // H
  readonly keyValueHeads: number; // K
  readonly headSize: number; // D
  readonly maxPositions: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
  readonly tieWordEmbeddings: boolean;
  /** Standard deviation of the weights at initialisation. */
  readonly initializerRange: number;
  readonly bosTokenId?: number;
  readonly eosTokenId?: number | readonly number[];
  readonly padTokenId?: number;
}

function preset(
  hiddenSize: number,
  intermediateSize: number,
  heads: number,
  layers: number,
  vocabSize = 32000,
  maxPositions = 1024,
): LlamaConfig {
  return {
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

/**
 * The configurations of the GaLore paper's runs (Zhao et al. 2024, table 5 and its published
 * configs), and `llama_nano`, about a million parameters over bytes, for machines without a GPU.
 */
export const PRESETS = {
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
} as const satisfies Record<string, LlamaConfig>;

export type PresetName = keyof typeof PRESETS;

/** Number of parameters, embedding and head included (once when tied). */
export function parameterCount(config: LlamaConfig): number {
  const { hiddenSize: C, intermediateSize: F, layers: L, vocabSize: V } = config;
  const attention = 2 * C * config.headSize * (config.heads + config.keyValueHeads);
  const embeddings = V * C * (config.tieWordEmbeddings ? 1 : 2);
  return L * (attention + 3 * C * F + 2 * C) + embeddings + C;
}
