/** Converts between a model's configuration and the metadata of a GGUF file. */
import { UserError } from "../../options/user_error.ts";
import { LLAMA_TRAITS, type LlamaConfig, type Traits } from "../../model/config.ts";
import type { GateActivation } from "../../kernels/misc/glu.ts";
import type { GgufTensor } from "./header.ts";
import type { Metadata } from "./metadata.ts";
import { type KeyValues, value } from "./values.ts";

/** llama.cpp's names of the architectures; Mistral's models are "llama" too. */
export const GGUF_ARCHITECTURES = ["llama", "qwen2", "qwen3", "gemma"] as const;
export type GgufArchitecture = typeof GGUF_ARCHITECTURES[number];

export function architectureOf(metadata: Metadata): GgufArchitecture {
  const name = metadata.string("general.architecture");
  const known = GGUF_ARCHITECTURES.find((each) => each === name);
  if (known) return known;
  throw new UserError(
    `${metadata.path}: architecture ${name} is not supported`,
    `${GGUF_ARCHITECTURES.join(", ")} are (Mistral's files say llama)`,
  );
}

/**
 * The configuration, except for RoPE's scaling. Throws a {@link UserError} that names the key.
 */
export function readGgufConfig(
  metadata: Metadata,
  tensors: ReadonlyMap<string, GgufTensor>,
): LlamaConfig {
  const architecture = architectureOf(metadata);
  const key = (name: string) => `${architecture}.${name}`;
  const count = (name: string, fallback?: number) => metadata.count(key(name), fallback);
  const ofLayers = (name: string, fallback?: number) => metadata.countOfLayers(key(name), fallback);
  const fault = (message: string) => new UserError(`${metadata.path}: ${message}`);
  refuseUnsupported(metadata, architecture);
  const hiddenSize = count("embedding_length"), heads = ofLayers("attention.head_count");
  const keyValueHeads = ofLayers("attention.head_count_kv", heads), layers = count("block_count");
  const headSize = count("attention.key_length", hiddenSize / heads);
  for (const name of ["attention.value_length", "rope.dimension_count"]) {
    const size = count(name, headSize);
    if (size === headSize) continue;
    throw fault(`${key(name)} ${size} other than the head's ${headSize} is not supported`);
  }
  if (heads % keyValueHeads !== 0) {
    throw fault(`${keyValueHeads} key-value heads must divide ${heads} heads`);
  }
  const embedding = tensors.get("token_embd.weight");
  if (!embedding) throw fault("has no tensor token_embd.weight");
  const slidingWindow = slidingWindowOf(metadata, architecture, layers);
  return {
    ...traitsFromGguf(architecture, hiddenSize, (name) => tensors.has(`blk.0.${name}`)),
    // Only the window distinguishes Mistral from LLaMA.
    ...(architecture === "llama" && slidingWindow ? { modelType: "mistral" } : {}),
    vocabSize: embedding.shape[0],
    hiddenSize,
    intermediateSize: ofLayers("feed_forward_length"),
    layers,
    heads,
    keyValueHeads,
    headSize,
    maxPositions: count("context_length"),
    rmsNormEps: metadata.positive(key("attention.layer_norm_rms_epsilon")),
    ropeTheta: metadata.positive(key("rope.freq_base"), 10000),
    ...(slidingWindow ? { slidingWindow } : {}),
    tieWordEmbeddings: !tensors.has("output.weight"),
    initializerRange: 0.02,
    ...tokenIds(metadata),
  };
}

/** Keys of llama.cpp that would change what is computed, and their values that do not. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  expert_count: [0, 1],
  logit_scale: [0, 1],
  residual_scale: [0, 1],
  embedding_scale: [0, 1],
  attn_logit_softcapping: [0],
  final_logit_softcapping: [0],
  use_parallel_residual: [false],
  "attention.scale": [0],
  "attention.causal": [true],
  "attention.clamp_kqv": [0],
  "attention.max_alibi_bias": [0],
};

/** Refuses files that are no models, and features that are not supported here. */
function refuseUnsupported(metadata: Metadata, architecture: GgufArchitecture): void {
  const type = metadata.string("general.type", "model");
  if (type !== "model") {
    throw new UserError(`${metadata.path}: is not a model: its general.type is ${type}`);
  }
  for (const [name, neutral] of Object.entries(NEUTRAL)) {
    const key = `${architecture}.${name}`;
    if (!metadata.has(key) || neutral.includes(metadata.values[key])) continue;
    throw new UserError(
      `${metadata.path}: ${key} ${metadata.values[key]} is not supported`,
      `only ${neutral.join(" or ")} is`,
    );
  }
}

function traitsFromGguf(
  architecture: GgufArchitecture,
  hiddenSize: number,
  has: (tensor: string) => boolean,
): Traits {
  return {
    ...LLAMA_TRAITS,
    modelType: architecture,
    attentionBias: has("attn_q.bias"),
    outputBias: has("attn_output.bias"),
    mlpBias: has("ffn_up.bias"),
    qkNorm: has("attn_q_norm.weight"),
    activation: activationOf(architecture),
    ...(architecture === "gemma" ? { normOffset: 1, embeddingScale: Math.sqrt(hiddenSize) } : {}),
  };
}

function slidingWindowOf(
  metadata: Metadata,
  architecture: GgufArchitecture,
  layers: number,
): LlamaConfig["slidingWindow"] {
  const key = `${architecture}.attention.sliding_window`;
  // Some converters write 0 for "none".
  if (!metadata.has(key) || Number(metadata.values[key]) === 0) return undefined;
  const pattern = metadata.has(`${key}_pattern`)
    ? metadata.flags(`${key}_pattern`)
    : Array<boolean>(layers).fill(true);
  if (pattern.length !== layers) {
    throw new UserError(
      `${metadata.path}: ${key}_pattern lists ${pattern.length} layers of ${layers}`,
    );
  }
  return { size: metadata.count(key), layers: pattern };
}

function tokenIds(
  metadata: Metadata,
): Pick<LlamaConfig, "bosTokenId" | "eosTokenId" | "padTokenId"> {
  const id = (name: string) => metadata.tokenId(`tokenizer.ggml.${name}_token_id`);
  const ends = [...new Set(["eos", "eot", "eom"].map(id).filter((each) => each !== undefined))];
  return {
    bosTokenId: id("bos"),
    eosTokenId: ends.length > 1 ? ends : ends[0],
    padTokenId: id("padding"),
  };
}

/** What llama.cpp computes for an architecture; files do not say. */
export function activationOf(architecture: GgufArchitecture): GateActivation {
  return architecture === "gemma" ? "gelu_tanh" : "silu";
}

/** llama.cpp's architecture for a configuration; Mistral is "llama" with a window. */
export function architectureFor(config: LlamaConfig): GgufArchitecture {
  return config.modelType === "mistral" ? "llama" : config.modelType;
}

/** Whether the rows of query and key heads are interleaved in files of this architecture. */
export function interleavesHeads(architecture: GgufArchitecture): boolean {
  return architecture === "llama";
}

/**
 * The metadata that {@link readGgufConfig} reads, without the token ids. `rope` is that of RoPE's
 * scaling, without the architecture in its keys.
 */
export function configMetadata(config: LlamaConfig, rope: KeyValues): KeyValues {
  const architecture = architectureFor(config);
  const { slidingWindow, headSize } = config;
  const own: KeyValues = {
    context_length: value.uint32(config.maxPositions),
    block_count: value.uint32(config.layers),
    embedding_length: value.uint32(config.hiddenSize),
    feed_forward_length: value.uint32(config.intermediateSize),
    "attention.head_count": value.uint32(config.heads),
    "attention.head_count_kv": value.uint32(config.keyValueHeads),
    "attention.key_length": value.uint32(headSize),
    "attention.value_length": value.uint32(headSize),
    "attention.layer_norm_rms_epsilon": value.float32(config.rmsNormEps),
    "rope.dimension_count": value.uint32(headSize),
    "rope.freq_base": value.float32(config.ropeTheta),
    vocab_size: value.uint32(config.vocabSize),
    ...rope,
  };
  if (slidingWindow?.layers.some((windowed) => windowed)) {
    own["attention.sliding_window"] = value.uint32(slidingWindow.size);
    if (!slidingWindow.layers.every((windowed) => windowed)) {
      own["attention.sliding_window_pattern"] = value.flags(slidingWindow.layers);
    }
  }
  return {
    "general.architecture": value.string(architecture),
    "general.type": value.string("model"),
    ...Object.fromEntries(
      Object.entries(own).map(([name, each]) => [`${architecture}.${name}`, each]),
    ),
  };
}
