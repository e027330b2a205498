/**
 * The single ordered list of a decoder's parameters, by which they are created, counted, and
 * recognised in files.
 */
import { elementsOf } from "../numbers/layout.ts";
import type { LlamaConfig } from "./config.ts";

/**
 * The kind of a parameter decides how it is optimised: only a `projection` is quantised and has its
 * gradient projected. An `adapter` is a factor of a low-rank update (LoRA).
 */
export type ParameterKind = "projection" | "embedding" | "head" | "norm" | "bias" | "adapter";

/** Hugging Face's modules of a layer, by role, in model order. */
export const LAYER_MODULES = {
  inputNorm: "input_layernorm",
  query: "self_attn.q_proj",
  key: "self_attn.k_proj",
  value: "self_attn.v_proj",
  output: "self_attn.o_proj",
  queryNorm: "self_attn.q_norm",
  keyNorm: "self_attn.k_norm",
  postAttentionNorm: "post_attention_layernorm",
  gate: "mlp.gate_proj",
  up: "mlp.up_proj",
  down: "mlp.down_proj",
} as const;
export type LayerPart = keyof typeof LAYER_MODULES;

/** The projections of a layer, in execution order. */
export const PROJECTION_PARTS = [
  "query",
  "key",
  "value",
  "output",
  "gate",
  "up",
  "down",
] as const satisfies readonly LayerPart[];
export type ProjectionPart = typeof PROJECTION_PARTS[number];

/** Their names in peft and in options of LoRA: the last part of their module's name. */
export type ProjectionName =
  | "q_proj"
  | "k_proj"
  | "v_proj"
  | "o_proj"
  | "gate_proj"
  | "up_proj"
  | "down_proj";

function lastOf<Name extends string>(module: `${string}.${Name}`): Name {
  return module.split(".")[1] as Name;
}

/** Every projection, in the order in which they run. */
export const PROJECTIONS: readonly ProjectionName[] = PROJECTION_PARTS.map((part) =>
  lastOf(LAYER_MODULES[part])
);

/** Modules that can have an adapter: the projections, and the two of the vocabulary. */
export type LoraTarget = ProjectionName | "embed_tokens" | "lm_head";
export const LORA_TARGETS: readonly LoraTarget[] = [...PROJECTIONS, "embed_tokens", "lm_head"];

/** The fields of a configuration that determine a decoder's parameters. */
export type DecoderShape = Pick<
  LlamaConfig,
  | "vocabSize"
  | "hiddenSize"
  | "intermediateSize"
  | "layers"
  | "heads"
  | "keyValueHeads"
  | "headSize"
  | "tieWordEmbeddings"
  | "attentionBias"
  | "outputBias"
  | "mlpBias"
  | "qkNorm"
>;

/** A parameter of a decoder. */
export interface ParameterDescription {
  /** As in a Hugging Face checkpoint. */
  readonly name: string;
  /** What it is. */
  readonly kind: ParameterKind;
  /** (out, in) of a matrix, (width) of a norm or bias. */
  readonly shape: readonly number[];
}

export interface ModuleDescription {
  readonly part: LayerPart;
  /** (out, in) of a projection, (width) of a norm. */
  readonly weight: ParameterDescription;
  readonly bias?: ParameterDescription;
}

export interface DecoderDescription {
  readonly embedding: ParameterDescription;
  readonly layers: readonly (readonly ModuleDescription[])[];
  readonly finalNorm: ParameterDescription;
  /** Undefined if tied to the embedding. */
  readonly head?: ParameterDescription;
}

export function describeDecoder(config: DecoderShape): DecoderDescription {
  const matrix = [config.vocabSize, config.hiddenSize];
  return {
    embedding: { name: "model.embed_tokens.weight", kind: "embedding", shape: matrix },
    layers: Array.from({ length: config.layers }, (_, layer) => describeLayer(config, layer)),
    finalNorm: { name: "model.norm.weight", kind: "norm", shape: [config.hiddenSize] },
    head: config.tieWordEmbeddings
      ? undefined
      : { name: "lm_head.weight", kind: "head", shape: matrix },
  };
}

/** In model order. */
function describeLayer(config: DecoderShape, layer: number): ModuleDescription[] {
  const { hiddenSize: C, intermediateSize: F, headSize: D } = config;
  const queries = config.heads * D, keys = config.keyValueHeads * D; // H·D and K·D
  const { attentionBias, outputBias, mlpBias, qkNorm } = config;
  const module = (part: LayerPart) => `model.layers.${layer}.${LAYER_MODULES[part]}`;
  const norm = (part: LayerPart, width: number): ModuleDescription => ({
    part,
    weight: { name: `${module(part)}.weight`, kind: "norm", shape: [width] },
  });
  const linear = (
    part: ProjectionPart,
    out: number,
    inner: number,
    hasBias: boolean,
  ): ModuleDescription => ({
    part,
    weight: { name: `${module(part)}.weight`, kind: "projection", shape: [out, inner] },
    bias: hasBias ? { name: `${module(part)}.bias`, kind: "bias", shape: [out] } : undefined,
  });
  return [
    norm("inputNorm", C),
    linear("query", queries, C, attentionBias),
    linear("key", keys, C, attentionBias),
    linear("value", keys, C, attentionBias),
    linear("output", C, queries, outputBias),
    ...(qkNorm ? [norm("queryNorm", D), norm("keyNorm", D)] : []),
    norm("postAttentionNorm", C),
    linear("gate", F, C, mlpBias),
    linear("up", F, C, mlpBias),
    linear("down", C, F, mlpBias),
  ];
}

/** (out, in) of the projections of a layer, the same for all layers. */
export function projectionShapes(config: DecoderShape): [number, number][] {
  return describeLayer(config, 0).filter(({ weight }) => weight.kind === "projection")
    .map(({ weight: { shape: [out, inner] } }) => [out, inner]);
}

/** All parameters, each once, in model order. */
export function describeParameters(config: DecoderShape): ParameterDescription[] {
  const { embedding, layers, finalNorm, head } = describeDecoder(config);
  const modules = layers.flat().flatMap(({ weight, bias }) => bias ? [weight, bias] : [weight]);
  return [embedding, ...modules, finalNorm, ...(head ? [head] : [])];
}

/** Number of parameters, embedding and head included (once when tied). */
export function parameterCount(config: DecoderShape): number {
  return describeParameters(config).reduce((sum, parameter) => sum + elementsOf(parameter), 0);
}
