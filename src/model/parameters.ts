/** The parameters of a decoder on the device, under their Hugging Face names. */
import { type Allocator, layOut } from "../gpu/allocator.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { DType } from "../numbers/layout.ts";
import { ShapeError } from "../numbers/shape_error.ts";
import { dealOut } from "../numbers/deal_out.ts";
import { HostMatrix } from "./host_matrix.ts";
import {
  type DecoderDescription,
  type DecoderShape,
  describeDecoder,
  type LayerPart,
  type ParameterDescription,
  type ParameterKind,
  PROJECTION_PARTS,
  type ProjectionPart,
} from "./description.ts";
import { loraOf, loraScale, type LoraShape } from "./lora_shape.ts";

/** Format of matrices. */
export type WeightType = "int8" | "nf4" | "bfloat16" | "float32";

/** Format of a matrix in host memory. */
export type OffloadedType = Exclude<WeightType, "nf4">;

/** Adapters use peft's names. */
export interface Parameter extends ParameterDescription {
  /** In its format on the device; without a buffer if `host` has it. */
  readonly weight: Tensor;
  /** Where it is, if not on the device. */
  readonly host?: HostMatrix;
  /** Where processes share the weights of layers: the one that has this. */
  readonly keeper?: number;
  /** It is another one: `weight` has a shape here, and no memory. */
  readonly elsewhere?: boolean;
  /** Of such a weight: what it is gathered in while its layer runs, memory that all layers share. */
  readonly gathered?: Tensor;
  /** Whether it receives a gradient. */
  readonly trainable: boolean;
  /** Whether it is part of what a run makes: trained, or a random matrix that adapters are merged into. */
  readonly kept: boolean;
  /** There is only the product of its adapter's factors: it has no buffer, and is not in `all`. */
  readonly isProduct?: boolean;
  /** Position in {@link LlamaParameters.all}; part of the key of this tensor's random numbers. */
  readonly index: number;
}

/** A low-rank update of a matrix (Hu et al. 2021): W x + s · B A x, with s = α/r or α/√r. */
export interface Adapter {
  /** (r, in); of the embedding (V, r), transposed, so that tokens gather its rows. */
  readonly a: Parameter;
  /** (out, r); of the embedding (C, r). */
  readonly b: Parameter;
  /** s */
  readonly scale: number;
  /** Of an adapted projection whose rows have lengths of their own. */
  readonly dora?: Dora;
}

/** The lengths of an adapted projection's rows; see dora.ts. */
export interface Dora {
  /** m (out). */
  readonly magnitude: Parameter;
  /** |W + s·B·A|, row by row: (out) float32, computed at the start of a pass. */
  readonly norm: Tensor;
  /** m over that: (out) float32. */
  readonly factor: Tensor;
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
  /** The adapter on the embedding, if any; a tied head does not take part in it. */
  readonly embeddingAdapter?: Adapter;
  /** The adapter on the head, if any; a tied embedding does not take part in it. */
  readonly headAdapter?: Adapter;
  /** Each parameter once; adapters come last, so that they do not change other indices. */
  readonly all: readonly Parameter[];
}

/**
 * Which parameters receive gradients: `body` is everything except embedding and head; these are
 * trained beside adapters where they are among peft's `modules_to_save`; `all_but_adapted` is
 * everything, adapters included, but the projections that have one.
 */
export type Trained = "all" | "body" | "adapters" | "adapters_and_embeddings" | "all_but_adapted";

/** Formats of a decoder's parameters, and which are trained. */
export interface WeightFormat {
  /** Format of the projections. */
  readonly weights: WeightType;
  /** Elements per INT8 group. */
  readonly groupSize: number;
  /** Format of embedding and head; no update rule writes `nf4`. */
  readonly embeddings: WeightType;
  /** Format of the embedding, if it is kept in host memory: it must be frozen, and not the head. */
  readonly offloadedEmbedding?: OffloadedType;
  /** Which parameters receive gradients. */
  readonly trained: Trained;
  /** Adapters, if any. */
  readonly lora?: LoraShape;
  /** Processes that share the weights of layers, and which of them this is. */
  readonly shares?: { readonly count: number; readonly own?: number };
}

export function createParameters(
  allocator: Allocator,
  config: DecoderShape,
  format: WeightFormat,
): LlamaParameters {
  const all: Parameter[] = [];
  // A product has one as well, so that all else is drawn as beside a matrix.
  let index = 0;
  const described = describeDecoder(config), keepers = keepersOf(described, format);
  const gathered = new Map<string, Tensor>();

  function add({ name, kind, shape }: ParameterDescription, part?: LayerPart): Parameter {
    const offloaded = kind === "embedding" ? format.offloadedEmbedding : undefined;
    const dtype = offloaded ?? dtypeOf(kind, format);
    const isAdapted = kind === "projection" && !!format.lora && hasAdapter(format.lora, name);
    const trainable = isTrained(kind, format.trained, isAdapted);
    if (offloaded && (trainable || config.tieWordEmbeddings)) {
      throw new ShapeError(
        `createParameters: ${name} is ${
          trainable ? "trained" : "the head as well"
        }, and only what ` +
          "is gathered from alone can be in host memory",
        "leave out offloadedEmbedding",
      );
    }
    const spec = specOf({ name, shape }, dtype, format);
    if (isAdapted && format.lora?.alone) {
      const weight = layOut(spec, () => null);
      return { name, kind, shape, weight, trainable, kept: false, isProduct: true, index: index++ };
    }
    const keeper = keepers?.get(name), elsewhere = keeper !== format.shares?.own && !!keepers;
    const kept = trainable || (isAdapted && !!format.lora?.merged);
    const own = { name, kind, shape, trainable, kept, index: index++ };
    if (keeper !== undefined && part) {
      const weight = elsewhere ? layOut(spec, () => null) : allocator.tensor(spec);
      const room = gathered.get(part) ?? allocator.tensor({ ...spec, name: `gathered.${part}` });
      gathered.set(part, room);
      const parameter = { ...own, weight, keeper, elsewhere, gathered: room };
      all.push(parameter);
      return parameter;
    }
    const host = offloaded && new HostMatrix(spec);
    const weight = host?.layout ?? allocator.tensor(spec);
    const parameter = { ...own, weight, host };
    all.push(parameter);
    return parameter;
  }

  const embedding = add(described.embedding);
  const layers = described.layers.map((modules) =>
    layerOf(modules.map(({ part, weight, bias }) => [
      part,
      weight.kind === "norm"
        ? add(weight)
        : { weight: add(weight, part), bias: bias ? add(bias) : undefined },
    ]))
  );
  const finalNorm = add(described.finalNorm);
  const head = described.head ? add(described.head) : embedding;
  const plain = { embedding, layers, finalNorm, head, all };
  const { lora } = format;
  if (!lora) return plain;

  const adapted = (linear: Linear): Linear => {
    const { name, shape: [out, inner] } = linear.weight;
    const within = (rank: number) => lora.merged ? Math.min(rank, out, inner) : rank;
    const adapter = adapterOf(name, {
      a: (rank) => ["lora_A.weight", [within(rank), inner]],
      b: (rank) => ["lora_B.weight", [out, within(rank)]],
    });
    if (!adapter) return linear;
    return { ...linear, adapter: { ...adapter, dora: doraOf(name, out) } };
  };
  function doraOf(weight: string, out: number): Dora | undefined {
    if (!lora!.dora) return undefined;
    const name = `${ADAPTER_PREFIX}${moduleOf(weight)}.${MAGNITUDE}`;
    const scratch = (label: string) =>
      allocator.tensor({
        name: `${name}.${label}`,
        shape: [out],
        dtype: "float32",
        purpose: "workspace",
      });
    return {
      magnitude: add({ name, kind: "adapter", shape: [out] }),
      norm: scratch("norm"),
      factor: scratch("factor"),
    };
  }
  function adapterOf(weight: string, factors: Factors): Adapter | undefined {
    const module = moduleOf(weight), size = loraOf(lora!, module);
    if (!size) return undefined;
    const factor = (which: keyof Factors) => {
      const [name, shape] = factors[which](size.rank);
      return add({ name: `${ADAPTER_PREFIX}${module}.${name}`, kind: "adapter", shape });
    };
    return { a: factor("a"), b: factor("b"), scale: loraScale(size, lora!) };
  }
  const { vocabSize, hiddenSize } = config;
  const unmerged = VOCABULARY_MODULES.find((module) => loraOf(lora, module));
  if (lora.merged && (unmerged || lora.dora)) {
    throw new ShapeError(
      `createParameters: plain adapters of projections are merged, and ${
        unmerged ? `${unmerged} is none` : "DoRA's have lengths"
      }`,
      "leave that out, or train adapters of a model",
    );
  }
  const unscaled = lora.dora && VOCABULARY_MODULES.find((module) => loraOf(lora, module));
  if (unscaled) {
    throw new ShapeError(
      `createParameters: DoRA is of projections, and ${unscaled} is none`,
      "leave it out of the adapted modules, or train it whole",
    );
  }
  return {
    ...plain,
    layers: layers.map((layer) => mapLinears(layer, adapted)),
    // A tied head has an adapter of its own.
    headAdapter: adapted({ weight: { ...head, name: "lm_head.weight" } }).adapter,
    embeddingAdapter: adapterOf(embedding.name, {
      a: (rank) => ["lora_embedding_A", [vocabSize, rank]],
      b: (rank) => ["lora_embedding_B", [hiddenSize, rank]],
    }),
  };
}

/** How a parameter is stored; blocks of nf4 have a size of their own. */
function specOf(
  { name, shape }: Pick<ParameterDescription, "name" | "shape">,
  dtype: DType,
  { groupSize }: WeightFormat,
) {
  const groups = dtype === "int8" ? groupSize : undefined;
  return { name, shape, dtype, purpose: "weights", groupSize: groups } as const;
}

/** By name: who has a matrix of a layer, where processes share them. */
function keepersOf(
  { layers }: DecoderDescription,
  format: WeightFormat,
): ReadonlyMap<string, number> | undefined {
  const { shares } = format;
  if (!shares) return undefined;
  const matrices = layers.flat().flatMap(({ weight }) =>
    weight.kind === "projection" ? [weight] : []
  );
  const bytes = matrices.map((matrix) => {
    const { byteLength, constants } = layOut(specOf(matrix, format.weights, format), () => null);
    return byteLength + (constants?.byteLength ?? 0);
  });
  const keepers = dealOut(bytes, shares.count);
  return new Map(matrices.map(({ name }, index) => [name, keepers[index]]));
}

/** The modules outside of layers, of which adapters are plain. */
export const VOCABULARY_MODULES = ["model.embed_tokens", "lm_head"] as const;

/** peft's name of DoRA's m. */
export const MAGNITUDE = "lora_magnitude_vector";

/** peft's prefix of the names in its files. */
export const ADAPTER_PREFIX = "base_model.model.";

/** Name and shape of each factor for a rank. */
interface Factors {
  readonly a: (rank: number) => [string, number[]];
  readonly b: (rank: number) => [string, number[]];
}

function moduleOf(weight: string): string {
  return weight.slice(0, -".weight".length);
}

function hasAdapter(lora: LoraShape, weight: string): boolean {
  return loraOf(lora, moduleOf(weight)) !== undefined;
}

/** Every adapter of a model. */
export function adaptersOf(
  { layers, headAdapter, embeddingAdapter }: LlamaParameters,
): Adapter[] {
  const own = layers.flatMap(linearsOf).flatMap(({ adapter }) => adapter ?? []);
  return [...own, ...[headAdapter ?? [], embeddingAdapter ?? []].flat()];
}

/** Safe, because the description has exactly the parts of the interface. */
function layerOf(parts: (readonly [LayerPart, Parameter | Linear])[]): LayerParameters {
  return Object.fromEntries(parts) as unknown as LayerParameters;
}

/** The projections of a layer, in execution order. */
export function linearsOf(layer: LayerParameters): Linear[] {
  return PROJECTION_PARTS.map((part) => layer[part]);
}

/**
 * The parameters that a saved model has, in its order, each with the adapter that is merged into it
 * there, if any.
 */
export function wholeParameters(
  { embedding, layers, finalNorm, head }: LlamaParameters,
): { readonly parameter: Parameter; readonly adapter?: Adapter }[] {
  const adapters = new Map(
    layers.flatMap(linearsOf).map(({ weight, adapter }) => [weight, adapter]),
  );
  const own = [embedding, ...layers.flatMap(parametersOf), finalNorm];
  return [...own, ...(head === embedding ? [] : [head])]
    .map((parameter) => ({ parameter, adapter: adapters.get(parameter) }));
}

/** Every parameter of a layer but adapters. */
export function parametersOf(layer: LayerParameters): Parameter[] {
  return Object.values(layer).flatMap((part: Parameter | Linear) =>
    "name" in part ? [part] : part.bias ? [part.weight, part.bias] : [part.weight]
  );
}

function mapLinears(layer: LayerParameters, map: (linear: Linear) => Linear): LayerParameters {
  const mapped = PROJECTION_PARTS.map((part) => [part, map(layer[part])]);
  return { ...layer, ...Object.fromEntries(mapped) as Record<ProjectionPart, Linear> };
}

function dtypeOf(kind: ParameterKind, format: WeightFormat): Tensor["dtype"] {
  const { weights, embeddings, lora } = format;
  switch (kind) {
    case "projection":
      return weights;
    case "embedding":
    case "head":
      return embeddings;
    case "adapter":
      return lora?.alone ? weights : "float32";
    default:
      return "float32"; // small, and float32 in peft as well
  }
}

function isTrained(kind: ParameterKind, trained: Trained, isAdapted: boolean): boolean {
  const whole = kind === "embedding" || kind === "head";
  switch (trained) {
    case "all":
      return true;
    case "body":
      return !whole;
    case "adapters":
      return kind === "adapter";
    case "adapters_and_embeddings":
      return kind === "adapter" || whole;
    case "all_but_adapted":
      return !isAdapted;
  }
}
