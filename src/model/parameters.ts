/** The parameters of a LLaMA on the device, under their Hugging Face names. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { LlamaConfig } from "./config.ts";

/** Format of the projection matrices; embedding and head are never quantised. */
export type WeightType = "int8" | "bfloat16" | "float32";

/**
 * What a parameter is, which decides how it is optimised: only a `projection` is quantised and has
 * its gradient projected.
 */
export type ParameterKind = "projection" | "embedding" | "head" | "norm";

export interface Parameter {
  /** As in a Hugging Face checkpoint. */
  readonly name: string;
  readonly kind: ParameterKind;
  readonly shape: readonly number[];
  readonly weight: Tensor;
  /** Position in {@link LlamaParameters.all}: keys the random numbers of this tensor. */
  readonly index: number;
}

export interface LayerParameters {
  readonly inputNorm: Parameter; // (C)
  readonly query: Parameter; // (H·D, C)
  readonly key: Parameter; // (K·D, C)
  readonly value: Parameter; // (K·D, C)
  readonly output: Parameter; // (C, H·D)
  readonly postAttentionNorm: Parameter; // (C)
  readonly gate: Parameter; // (F, C)
  readonly up: Parameter; // (F, C)
  readonly down: Parameter; // (C, F)
}

export interface LlamaParameters {
  readonly embedding: Parameter; // (V, C)
  readonly layers: readonly LayerParameters[];
  readonly finalNorm: Parameter; // (C)
  /** (V, C); the embedding itself when tied. */
  readonly head: Parameter;
  /** Each parameter once. */
  readonly all: readonly Parameter[];
}

export interface WeightFormat {
  readonly weights: WeightType;
  /** Elements of an INT8 group. */
  readonly groupSize: number;
  /** Format of embedding and head. */
  readonly embeddings: "bfloat16" | "float32";
}

export function createParameters(
  allocator: Allocator,
  config: LlamaConfig,
  format: WeightFormat,
): LlamaParameters {
  const { vocabSize: V, hiddenSize: C, intermediateSize: F } = config;
  const queries = config.heads * config.headSize, keys = config.keyValueHeads * config.headSize;
  const all: Parameter[] = [];

  function add(kind: ParameterKind, name: string, shape: readonly number[]): Parameter {
    const dtype = kind === "norm"
      ? "float32"
      : kind === "projection"
      ? format.weights
      : format.embeddings;
    const groupSize = dtype === "int8" ? format.groupSize : undefined;
    const weight = allocator.tensor({ name, shape, dtype, purpose: "weights", groupSize });
    const parameter = { name, kind, shape, weight, index: all.length };
    all.push(parameter);
    return parameter;
  }

  const embedding = add("embedding", "model.embed_tokens.weight", [V, C]);
  const layers = Array.from({ length: config.layers }, (_, layer): LayerParameters => {
    const prefix = `model.layers.${layer}`;
    const projection = (name: string, rows: number, columns: number) =>
      add("projection", `${prefix}.${name}.weight`, [rows, columns]);
    return {
      inputNorm: add("norm", `${prefix}.input_layernorm.weight`, [C]),
      query: projection("self_attn.q_proj", queries, C),
      key: projection("self_attn.k_proj", keys, C),
      value: projection("self_attn.v_proj", keys, C),
      output: projection("self_attn.o_proj", C, queries),
      postAttentionNorm: add("norm", `${prefix}.post_attention_layernorm.weight`, [C]),
      gate: projection("mlp.gate_proj", F, C),
      up: projection("mlp.up_proj", F, C),
      down: projection("mlp.down_proj", C, F),
    };
  });
  const finalNorm = add("norm", "model.norm.weight", [C]);
  const head = config.tieWordEmbeddings ? embedding : add("head", "lm_head.weight", [V, C]);
  return { embedding, layers, finalNorm, head, all };
}
