/** The parameters of a decoder on the device, under their Hugging Face names. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Tensor } from "../gpu/tensor.ts";
import {
  type DecoderShape,
  describeDecoder,
  type LayerPart,
  type ParameterDescription,
  type ParameterKind,
  PROJECTION_PARTS,
  type ProjectionName,
  type ProjectionPart,
} from "./description.ts";

/** Format of the projection matrices. */
export type WeightType = "int8" | "nf4" | "bfloat16" | "float32";

/** Adapters use peft's names. */
export interface Parameter extends ParameterDescription {
  /** In its format on the device. */
  readonly weight: Tensor;
  /** Whether it receives a gradient. */
  readonly trainable: boolean;
  /** Position in {@link LlamaParameters.all}; part of the key of this tensor's random numbers. */
  readonly index: number;
}

/** A low-rank update of a projection (Hu et al. 2021): W x + α/r · B A x. */
export interface Adapter {
  /** (r, in). */
  readonly a: Parameter;
  /** (out, r). */
  readonly b: Parameter;
  /** α/r */
  readonly scale: number;
}

/** y = W x (+ bias) (+ the adapter's part) */
export interface Linear {
  /** (out, in). */
  readonly weight: Parameter;
  /** (out). */
  readonly bias?: Parameter;
  /** The adapter on it, if any. */
  readonly adapter?: Adapter;
}

/** Parameters of a decoder layer. */
export interface LayerParameters {
  /** (C). */
  readonly inputNorm: Parameter;
  /** (H·D, C). */
  readonly query: Linear;
  /** (K·D, C). */
  readonly key: Linear;
  /** (K·D, C). */
  readonly value: Linear;
  /** (D). */
  readonly queryNorm?: Parameter;
  /** (D). */
  readonly keyNorm?: Parameter;
  /** (C, H·D). */
  readonly output: Linear;
  /** (C). */
  readonly postAttentionNorm: Parameter;
  /** (F, C). */
  readonly gate: Linear;
  /** (F, C). */
  readonly up: Linear;
  /** (C, F). */
  readonly down: Linear;
}

/** Parameters of a decoder. */
export interface LlamaParameters {
  /** (V, C). */
  readonly embedding: Parameter;
  /** First to last. */
  readonly layers: readonly LayerParameters[];
  /** (C). */
  readonly finalNorm: Parameter;
  /** (V, C); the embedding itself when tied. */
  readonly head: Parameter;
  /** Each parameter once; adapters come last, so that they do not change other indices. */
  readonly all: readonly Parameter[];
}

/** LoRA's shape, under peft's names. */
export interface LoraShape {
  /** Rank, r. */
  readonly rank: number;
  /** α: an update is scaled by α/r. */
  readonly alpha: number;
  /** Projections that get an adapter. */
  readonly targets: readonly ProjectionName[];
}

/** Which parameters receive gradients: `body` is everything except embedding and head. */
export type Trained = "all" | "body" | "adapters";

/** Formats of a decoder's parameters, and which are trained. */
export interface WeightFormat {
  /** Format of the projections. */
  readonly weights: WeightType;
  /** Elements per INT8 group. */
  readonly groupSize: number;
  /** Format of embedding and head; INT8 only where they are not trained. */
  readonly embeddings: "int8" | "bfloat16" | "float32";
  /** Which parameters receive gradients. */
  readonly trained: Trained;
  /** Adapters, if any. */
  readonly lora?: LoraShape;
}

export function createParameters(
  allocator: Allocator,
  config: DecoderShape,
  format: WeightFormat,
): LlamaParameters {
  const all: Parameter[] = [];

  function add({ name, kind, shape }: ParameterDescription): Parameter {
    const dtype = dtypeOf(kind, format);
    const groupSize = dtype === "int8" ? format.groupSize : undefined;
    const weight = allocator.tensor({ name, shape, dtype, purpose: "weights", groupSize });
    const trainable = isTrained(kind, format.trained);
    const parameter = { name, kind, shape, weight, trainable, index: all.length };
    all.push(parameter);
    return parameter;
  }

  const described = describeDecoder(config);
  const embedding = add(described.embedding);
  const layers = described.layers.map((modules) =>
    layerOf(modules.map(({ part, weight, bias }) => [
      part,
      weight.kind === "norm"
        ? add(weight)
        : { weight: add(weight), bias: bias ? add(bias) : undefined },
    ]))
  );
  const finalNorm = add(described.finalNorm);
  const head = described.head ? add(described.head) : embedding;
  const { lora } = format;
  if (!lora) return { embedding, layers, finalNorm, head, all };

  const adapted = (linear: Linear): Linear => {
    const { name, shape: [out, inner] } = linear.weight;
    const module = name.slice(0, -".weight".length);
    if (!lora.targets.some((target) => module.endsWith(target))) return linear;
    const rank = lora.rank;
    const factor = (which: string, shape: readonly number[]) =>
      add({ name: `base_model.model.${module}.lora_${which}.weight`, kind: "adapter", shape });
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

/** Safe, because the description has exactly the parts of the interface. */
function layerOf(parts: (readonly [LayerPart, Parameter | Linear])[]): LayerParameters {
  return Object.fromEntries(parts) as unknown as LayerParameters;
}

/** The projections of a layer, in execution order. */
export function linearsOf(layer: LayerParameters): Linear[] {
  return PROJECTION_PARTS.map((part) => layer[part]);
}

function mapLinears(layer: LayerParameters, map: (linear: Linear) => Linear): LayerParameters {
  const mapped = PROJECTION_PARTS.map((part) => [part, map(layer[part])]);
  return { ...layer, ...Object.fromEntries(mapped) as Record<ProjectionPart, Linear> };
}

function dtypeOf(kind: ParameterKind, { weights, embeddings }: WeightFormat): Tensor["dtype"] {
  switch (kind) {
    case "projection":
      return weights;
    case "embedding":
    case "head":
      return embeddings;
    default:
      return "float32"; // small, and float32 in peft as well
  }
}

function isTrained(kind: ParameterKind, trained: Trained): boolean {
  if (trained === "adapters") return kind === "adapter";
  return trained === "all" || (kind !== "embedding" && kind !== "head");
}
