/** The parameters of a decoder on the device, under their Hugging Face names. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { LlamaConfig } from "./config.ts";

/** Format of the projection matrices. */
export type WeightType = "int8" | "nf4" | "bfloat16" | "float32";

/**
 * What a parameter is, which decides how it is optimised: only a `projection` is quantised and has
 * its gradient projected. An `adapter` is a factor of a low-rank update (LoRA).
 */
export type ParameterKind = "projection" | "embedding" | "head" | "norm" | "bias" | "adapter";

export interface Parameter {
  /** As in a Hugging Face checkpoint; an adapter's as in one of peft. */
  readonly name: string;
  readonly kind: ParameterKind;
  readonly shape: readonly number[];
  readonly weight: Tensor;
  /** Whether it gets a gradient. */
  readonly trainable: boolean;
  /** Position in {@link LlamaParameters.all}: keys the random numbers of this tensor. */
  readonly index: number;
}

/** A low-rank update of a projection (Hu et al. 2021): W x + α/r · B A x. */
export interface Adapter {
  readonly a: Parameter; // (r, in)
  readonly b: Parameter; // (out, r)
  /** α/r */
  readonly scale: number;
}

/** y = W x (+ bias) (+ the adapter's part) */
export interface Linear {
  readonly weight: Parameter; // (out, in)
  readonly bias?: Parameter; // (out)
  readonly adapter?: Adapter;
}

export interface LayerParameters {
  readonly inputNorm: Parameter; // (C)
  readonly query: Linear; // (H·D, C)
  readonly key: Linear; // (K·D, C)
  readonly value: Linear; // (K·D, C)
  readonly queryNorm?: Parameter; // (D)
  readonly keyNorm?: Parameter; // (D)
  readonly output: Linear; // (C, H·D)
  readonly postAttentionNorm: Parameter; // (C)
  readonly gate: Linear; // (F, C)
  readonly up: Linear; // (F, C)
  readonly down: Linear; // (C, F)
}

export interface LlamaParameters {
  readonly embedding: Parameter; // (V, C)
  readonly layers: readonly LayerParameters[];
  readonly finalNorm: Parameter; // (C)
  /** (V, C); the embedding itself when tied. */
  readonly head: Parameter;
  /** Each parameter once; adapters come last, so that they change no other's index. */
  readonly all: readonly Parameter[];
}

/** Projections by the last part of their module's name. */
export const PROJECTIONS = [
  "q_proj",
  "k_proj",
  "v_proj",
  "o_proj",
  "gate_proj",
  "up_proj",
  "down_proj",
] as const;
export type ProjectionName = typeof PROJECTIONS[number];

/** LoRA's shape, under peft's names. */
export interface LoraShape {
  readonly rank: number; // r
  readonly alpha: number;
  readonly targets: readonly ProjectionName[];
}

/** Which parameters get gradients: `body` is everything but embedding and head. */
export type Trained = "all" | "body" | "adapters";

export interface WeightFormat {
  readonly weights: WeightType;
  /** Elements of an INT8 group. */
  readonly groupSize: number;
  /** Format of embedding and head; INT8 only where they are not trained. */
  readonly embeddings: "int8" | "bfloat16" | "float32";
  readonly trained: Trained;
  readonly lora?: LoraShape;
}

export function createParameters(
  allocator: Allocator,
  config: LlamaConfig,
  format: WeightFormat,
): LlamaParameters {
  const { vocabSize: V, hiddenSize: C, intermediateSize: F, headSize: D } = config;
  const queries = config.heads * D, keys = config.keyValueHeads * D;
  const all: Parameter[] = [];
  const targets: Linear[] = [];

  function add(kind: ParameterKind, name: string, shape: readonly number[]): Parameter {
    const dtype = dtypeOf(kind, format);
    const groupSize = dtype === "int8" ? format.groupSize : undefined;
    const weight = allocator.tensor({ name, shape, dtype, purpose: "weights", groupSize });
    const trainable = isTrained(kind, format.trained);
    const parameter = { name, kind, shape, weight, trainable, index: all.length };
    all.push(parameter);
    return parameter;
  }

  function linear(module: string, shape: readonly [number, number], hasBias: boolean): Linear {
    const target: Linear = {
      weight: add("projection", `${module}.weight`, shape),
      bias: hasBias ? add("bias", `${module}.bias`, [shape[0]]) : undefined,
    };
    targets.push(target);
    return target;
  }

  const embedding = add("embedding", "model.embed_tokens.weight", [V, C]);
  const layers = Array.from({ length: config.layers }, (_, layer): LayerParameters => {
    const prefix = `model.layers.${layer}`;
    const norm = (name: string, size: number) => add("norm", `${prefix}.${name}.weight`, [size]);
    const { attentionBias, outputBias, mlpBias, qkNorm } = config;
    return {
      inputNorm: norm("input_layernorm", C),
      query: linear(`${prefix}.self_attn.q_proj`, [queries, C], attentionBias),
      key: linear(`${prefix}.self_attn.k_proj`, [keys, C], attentionBias),
      value: linear(`${prefix}.self_attn.v_proj`, [keys, C], attentionBias),
      output: linear(`${prefix}.self_attn.o_proj`, [C, queries], outputBias),
      queryNorm: qkNorm ? norm("self_attn.q_norm", D) : undefined,
      keyNorm: qkNorm ? norm("self_attn.k_norm", D) : undefined,
      postAttentionNorm: norm("post_attention_layernorm", C),
      gate: linear(`${prefix}.mlp.gate_proj`, [F, C], mlpBias),
      up: linear(`${prefix}.mlp.up_proj`, [F, C], mlpBias),
      down: linear(`${prefix}.mlp.down_proj`, [C, F], mlpBias),
    };
  });
  const finalNorm = add("norm", "model.norm.weight", [C]);
  const head = config.tieWordEmbeddings ? embedding : add("head", "lm_head.weight", [V, C]);
  const { lora } = format;
  if (!lora) return { embedding, layers, finalNorm, head, all };

  const adapted = (linear: Linear): Linear => {
    const { name, shape: [out, inner] } = linear.weight;
    const module = name.slice(0, -".weight".length);
    if (!lora.targets.some((target) => module.endsWith(target))) return linear;
    const rank = lora.rank;
    const factor = (which: string, shape: readonly number[]) =>
      add("adapter", `base_model.model.${module}.lora_${which}.weight`, shape);
    const a = factor("A", [rank, inner]), b = factor("B", [out, rank]);
    return { ...linear, adapter: { a, b, scale: lora.alpha / rank } };
  };
  return {
    embedding,
    layers: layers.map((layer) => mapLinears(layer, adapted)),
    finalNorm,
    head,
    all,
  };
}

/** The projections of a layer, in the order in which they run. */
export function linearsOf(layer: LayerParameters): Linear[] {
  const { query, key, value, output, gate, up, down } = layer;
  return [query, key, value, output, gate, up, down];
}

function mapLinears(layer: LayerParameters, map: (linear: Linear) => Linear): LayerParameters {
  return {
    ...layer,
    query: map(layer.query),
    key: map(layer.key),
    value: map(layer.value),
    output: map(layer.output),
    gate: map(layer.gate),
    up: map(layer.up),
    down: map(layer.down),
  };
}

function dtypeOf(kind: ParameterKind, { weights, embeddings }: WeightFormat): Tensor["dtype"] {
  switch (kind) {
    case "projection":
      return weights;
    case "embedding":
    case "head":
      return embeddings;
    default:
      return "float32"; // small, and peft keeps adapters in float32 as well
  }
}

function isTrained(kind: ParameterKind, trained: Trained): boolean {
  if (trained === "adapters") return kind === "adapter";
  return trained === "all" || (kind !== "embedding" && kind !== "head");
}
