/**
 * Hugging Face's configurations of the supported architectures: the defaults of each class in
 * transformers, and what it adds to LLaMA's decoder.
 */
import { LLAMA_TRAITS, type ModelType, type SlidingWindow, type Traits } from "../model/config.ts";
import type { GateActivation } from "../kernels/misc/glu.ts";
import type { Fields } from "../files/fields.ts";
import { quoted } from "../text.ts";

interface Defaults {
  readonly maxPositions: number;
  readonly tieWordEmbeddings: boolean;
  /** Undefined: the number of heads. */
  readonly keyValueHeads?: number;
  /** Undefined: the width divided by the number of heads. */
  readonly headSize?: number;
  readonly bosTokenId?: number;
  readonly eosTokenId?: number;
  readonly padTokenId?: number;
}

export interface Architecture {
  /** transformers' class of the causal language model. */
  readonly className: string;
  readonly defaults: Defaults;
  /** What this architecture has besides LLaMA's decoder. */
  traits(fields: Fields, hiddenSize: number): Partial<Traits>;
  window?(fields: Fields, layers: number): SlidingWindow | undefined;
}

/** Fields of a config.json that follow from traits alone. */
export function traitsOf(
  modelType: ModelType,
  architecture: Architecture,
  fields: Fields,
  hiddenSize: number,
): Traits {
  return { ...LLAMA_TRAITS, modelType, ...architecture.traits(fields, hiddenSize) };
}

/** transformers' names of the activations. */
const ACTIVATIONS: Readonly<Record<string, GateActivation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_pytorch_tanh: "gelu_tanh",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
};

function activation(fields: Fields, unless = "silu"): Pick<Traits, "activation"> {
  const given = fields.json.hidden_act ?? unless;
  const activation = ACTIVATIONS[String(given)];
  if (!activation) {
    const names = Object.keys(ACTIVATIONS).join(", ");
    fields.fault(`hidden_act ${quoted(given)} is not supported (${names} are)`);
  }
  return { activation };
}

/**
 * As in transformers 5, which reads `hidden_act` alone: "gelu", of the first checkpoints, is exact.
 * Between, `hidden_activation` took its place; but for the kind of GELU the two must agree.
 */
function gemmaActivation(fields: Fields): Pick<Traits, "activation"> {
  const { hidden_activation: other } = fields.json;
  if ((other ?? "gelu") !== "gelu" && other !== "gelu_pytorch_tanh") {
    fields.fault(
      `hidden_activation ${quoted(other)} is not supported (gelu_pytorch_tanh is)`,
    );
  }
  return activation(fields, "gelu_pytorch_tanh");
}

/** `attention_bias` gives q, k, v and o a bias; without it none has one. */
function attentionBias(fields: Fields): Pick<Traits, "attentionBias" | "outputBias"> {
  const bias = fields.flag("attention_bias", false);
  return { attentionBias: bias, outputBias: bias };
}

/** Qwen: a window only if enabled, in layers from `max_window_layers` on. */
function qwenWindow(fields: Fields, layers: number): SlidingWindow | undefined {
  if (!fields.flag("use_sliding_window", false)) return undefined;
  const size = fields.count("sliding_window", 4096);
  const full = fields.json.max_window_layers === 0 ? 0 : fields.count("max_window_layers", 28);
  const types = fields.json.layer_types;
  const windowed = (layer: number) =>
    Array.isArray(types) ? types[layer] === "sliding_attention" : layer >= full;
  return { size, layers: Array.from({ length: layers }, (_, layer) => windowed(layer)) };
}

export const ARCHITECTURES: Readonly<Record<ModelType, Architecture>> = {
  llama: {
    className: "LlamaForCausalLM",
    defaults: { maxPositions: 2048, tieWordEmbeddings: false, bosTokenId: 1, eosTokenId: 2 },
    traits: (fields) => ({
      ...activation(fields),
      ...attentionBias(fields),
      mlpBias: fields.flag("mlp_bias", false),
    }),
  },
  mistral: {
    className: "MistralForCausalLM",
    defaults: {
      maxPositions: 131_072,
      tieWordEmbeddings: false,
      keyValueHeads: 8,
      bosTokenId: 1,
      eosTokenId: 2,
    },
    traits: (fields) => activation(fields),
    window(fields, layers) {
      // Null means none, absent the class's default.
      if (fields.json.sliding_window === null) return undefined;
      const size = fields.count("sliding_window", 4096);
      return { size, layers: Array.from({ length: layers }, () => true) };
    },
  },
  qwen2: {
    className: "Qwen2ForCausalLM",
    defaults: { maxPositions: 32_768, tieWordEmbeddings: false, keyValueHeads: 32 },
    traits: (fields) => ({ ...activation(fields), attentionBias: true }),
    window: qwenWindow,
  },
  qwen3: {
    className: "Qwen3ForCausalLM",
    defaults: { maxPositions: 32_768, tieWordEmbeddings: false, keyValueHeads: 32, headSize: 128 },
    traits: (fields) => ({ ...activation(fields), ...attentionBias(fields), qkNorm: true }),
    window: qwenWindow,
  },
  gemma: {
    className: "GemmaForCausalLM",
    defaults: {
      maxPositions: 8192,
      tieWordEmbeddings: true,
      keyValueHeads: 16,
      headSize: 256,
      bosTokenId: 2,
      eosTokenId: 1,
      padTokenId: 0,
    },
    traits: (fields, hiddenSize) => ({
      ...gemmaActivation(fields),
      ...attentionBias(fields),
      normOffset: 1,
      embeddingScale: Math.sqrt(hiddenSize),
    }),
  },
};
