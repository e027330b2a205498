/**
 * The training methods, one row each. Everything that depends on the method reads its row: options
 * and their help, config files, memory plans, the server, its OpenAPI document and the dashboard.
 *
 * @module
 */
import type { RulesByKind } from "../optim/optimizer_shape.ts";

/** A training method. */
export interface Method {
  /** Display name. */
  readonly title: string;
  /** What it does, in a sentence or two. */
  readonly about: string;
  /** What it makes, where that needs saying. */
  readonly result?: string;
  /** All weights; or small adapters beside frozen matrices; or two factors in place of each matrix. */
  readonly trains: "weights" | "adapters" | "factors";
  /** Format of the projection matrices; `dtype` is that of the activations. */
  readonly weights: "dtype" | "int8" | "nf4";
  /** Whether adapters are merged into their matrices and begin anew, again and again: ReLoRA. */
  readonly restarts?: true;
  /** The format of GaLore's projection matrices; absent with full-rank gradients. */
  readonly projection?: "int4" | "float32";
  /** Of APOLLO's methods, which measure gradients in a space of low rank. */
  readonly apollo?: ApolloDefaults;
  /** The update rule of each kind of parameter. */
  readonly rules: RulesByKind;
  /** Default learning rates of each kind of run. */
  readonly lr: DefaultRates;
  /** Other names that `optimizer` accepts. */
  readonly aliases: readonly string[];
  /** The values of transformers' `optim` that mean this method. */
  readonly optim: readonly string[];
  /** The keys that select it in a LLaMA-Factory file, together with `optim`. */
  readonly llamaFactory: LlamaFactoryKeys;
}

/** APOLLO's defaults, as in its paper and transformers' documentation. */
export interface ApolloDefaults {
  /** Rank of its space; a quarter of the model's width if absent. */
  readonly rank?: number;
  /** α: updates are scaled by its root. */
  readonly scale: number;
}

/** Peak learning rates, by what a run does. */
export interface DefaultRates {
  /** Pre-training from random weights; a method without it needs those of a model. */
  readonly pretrain?: number;
  /**
   * Pre-training of a model that is trained already. A tenth of the rate from random weights: for
   * AdamW that is the 1e-4 with which Llemma continued Code Llama 7B (Azerbayev et al. 2023,
   * section 2.2). For adapters the 1e-4 of LLaMA-Factory's `llama3_lora_pretrain.yaml`.
   */
  readonly continue?: number;
  /** Fine-tuning on examples. Without these two a method starts from random weights only. */
  readonly finetune?: number;
}

/** What names a method in a LLaMA-Factory file. */
export interface LlamaFactoryKeys {
  /** As LLaMA-Factory has it. */
  readonly finetuning_type: "full" | "lora";
  /** The key that is true in such a file, if any. */
  readonly switch?: "use_galore" | "use_apollo" | "use_muon";
  /** The value of `apollo_scale_type`, if it is not the default, channel. */
  readonly scaleType?: "tensor";
  /** As LLaMA-Factory has it. */
  readonly quantization_bit?: 4;
  /** LLaMA-Factory has no such method: the keys must agree, and our own `optimizer` selects it. */
  readonly byOwnName?: true;
}

/**
 * 8-bit second moments of an embedding stop growing, since most rows are rarely seen, and updates
 * remain too large: bitsandbytes and transformers keep 32 bits as well.
 */
const ADAM_8BIT = { matrices: "adam8bit", embeddings: "adam", others: "adam8bit" } as const;
/**
 * Second moments factored over rows and columns do not stall: after 200 steps of llama_9m with a
 * vocabulary of 4,096 the held-out loss is 0.04 to 0.08 below that with float32 moments, for each of
 * three seeds (docs/memory.md).
 */
const FACTORED = { ...ADAM_8BIT, embeddings: "adam_factored" } as const;
const ADAM = { matrices: "adam", embeddings: "adam", others: "adam" } as const;
/** From random weights as in APOLLO's experiments. */
const APOLLO_RATES = { pretrain: 0.01, continue: 0.001, finetune: 1e-4 } as const;
/**
 * APOLLO's experiments have 0.01 for Mini too, but in 100 steps of llama_nano, 4 x 64 tokens of
 * examples/data, means of two seeds, it ends with a held-out loss of 2.99, 2.70, 2.67 and 2.89 at
 * rates of 0.001, 0.002, 0.003 and 0.005, and of 3.19 (one seed) at 0.01; with INT8 weights 2.67, 2.65
 * and 2.86 at 0.002, 0.003 and 0.005.
 */
const APOLLO_MINI_RATES = { pretrain: 0.003, continue: 3e-4, finetune: 1e-4 } as const;

/**
 * Of the low-rank baselines: in 200 steps of llama_nano, 4 x 128 bytes of C4, one seed, rank 32, they
 * end with a held-out loss of 2.61, 2.51 and 2.67 (`lora`), 2.63, 2.54 and 2.65 (`relora`, three
 * restarts) and 2.74, 2.67 and 2.76 (`low_rank`) at rates of 0.001, 0.002 and 0.003; `lora` of 2.81 at
 * 0.0005 and 3.17 at 0.01.
 */
const LOW_RANK_RATE = 0.002;

/** The methods by the name that `optimizer` takes; the first is the default. */
export const METHODS = {
  q_galore_adamw8bit: {
    title: "Q-GaLore",
    about: "Trains every weight, stored in INT8, with low-rank gradients. Where these are " +
      "accumulated in float32, needs the least memory of the methods that train the whole model.",
    trains: "weights",
    weights: "int8",
    projection: "int4",
    rules: FACTORED,
    lr: { pretrain: 0.01, continue: 0.001, finetune: 1e-4 },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "full", switch: "use_galore", byOwnName: true },
  },
  galore_adamw: {
    title: "GaLore",
    about: "Trains every weight in bfloat16 with low-rank gradients.",
    trains: "weights",
    weights: "dtype",
    projection: "float32",
    rules: ADAM,
    lr: { pretrain: 0.01, continue: 0.001, finetune: 1e-4 },
    aliases: [],
    optim: ["galore_adamw", "galore_adamw_layerwise"],
    llamaFactory: { finetuning_type: "full", switch: "use_galore" },
  },
  galore_adamw8bit: {
    title: "GaLore 8-bit",
    about: "Trains every weight in bfloat16 with low-rank gradients and 8-bit moments.",
    trains: "weights",
    weights: "dtype",
    projection: "float32",
    rules: ADAM_8BIT,
    lr: { pretrain: 0.01, continue: 0.001, finetune: 1e-4 },
    aliases: ["galore_adamw_8bit"],
    optim: ["galore_adamw_8bit", "galore_adamw_8bit_layerwise"],
    llamaFactory: { finetuning_type: "full", switch: "use_galore" },
  },
  adamw: {
    title: "AdamW",
    about: "Trains every weight with full-rank gradients. Needs the most memory.",
    trains: "weights",
    weights: "dtype",
    rules: ADAM,
    lr: { pretrain: 0.001, continue: 1e-4, finetune: 2e-5 },
    aliases: [],
    // Paging and fusing change where moments are stored, not their values.
    optim: ["adamw_torch", "adamw_torch_fused", "adamw_hf", "paged_adamw", "paged_adamw_32bit"],
    llamaFactory: { finetuning_type: "full" },
  },
  adamw8bit: {
    title: "AdamW 8-bit",
    about: "Trains every weight with full-rank gradients and 8-bit moments.",
    trains: "weights",
    weights: "dtype",
    rules: ADAM_8BIT,
    lr: { pretrain: 0.001, continue: 1e-4, finetune: 2e-5 },
    aliases: [],
    optim: ["adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit"],
    llamaFactory: { finetuning_type: "full" },
  },
  apollo: {
    title: "APOLLO",
    about:
      "Trains every weight with full-rank gradients, of which each channel is scaled as Adam " +
      "would in a low-rank space. Needs no more optimizer memory than GaLore, and no projections.",
    trains: "weights",
    weights: "dtype",
    apollo: { scale: 1 },
    rules: { ...ADAM, matrices: "apollo" },
    lr: APOLLO_RATES,
    aliases: [],
    optim: ["apollo_adamw", "apollo_adamw_layerwise"],
    llamaFactory: { finetuning_type: "full", switch: "use_apollo" },
  },
  apollo_mini: {
    title: "APOLLO-Mini",
    about: "Trains every weight with full-rank gradients, of which each matrix is scaled as Adam " +
      "would in a space of rank 1. Needs almost no optimizer memory.",
    trains: "weights",
    weights: "dtype",
    apollo: { rank: 1, scale: 128 },
    rules: { ...ADAM, matrices: "apollo_mini" },
    lr: APOLLO_MINI_RATES,
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "full", switch: "use_apollo", scaleType: "tensor" },
  },
  q_apollo: {
    title: "Q-APOLLO",
    about: "APOLLO with weights in INT8 and 8-bit moments.",
    trains: "weights",
    weights: "int8",
    apollo: { scale: 1 },
    rules: { ...FACTORED, matrices: "apollo8bit" },
    lr: APOLLO_RATES,
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "full", switch: "use_apollo", byOwnName: true },
  },
  q_apollo_mini: {
    title: "Q-APOLLO-Mini",
    about: "APOLLO-Mini with weights in INT8. Needs the least memory of the methods that train " +
      "the whole model, unless gradients are accumulated.",
    trains: "weights",
    weights: "int8",
    apollo: { rank: 1, scale: 128 },
    rules: { ...FACTORED, matrices: "apollo_mini8bit" },
    lr: APOLLO_MINI_RATES,
    aliases: [],
    optim: [],
    llamaFactory: {
      finetuning_type: "full",
      switch: "use_apollo",
      scaleType: "tensor",
      byOwnName: true,
    },
  },
  scale: {
    title: "SCALE",
    about: "Trains every weight with full-rank gradients that are divided by their norms, and " +
      "momentum in the head alone. Needs almost no optimizer memory.",
    trains: "weights",
    weights: "dtype",
    rules: {
      matrices: "scale",
      embeddings: "scale_embedding",
      head: "scale_head",
      others: "adam",
    },
    lr: { pretrain: 0.001, continue: 1e-4, finetune: 2e-5 },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "full", byOwnName: true },
  },
  scale8bit: {
    title: "SCALE 8-bit",
    about: "SCALE with 8-bit momentum in the head.",
    trains: "weights",
    weights: "dtype",
    rules: {
      matrices: "scale",
      embeddings: "scale_embedding",
      head: "scale_head8bit",
      others: "adam8bit",
    },
    lr: { pretrain: 0.001, continue: 1e-4, finetune: 2e-5 },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "full", byOwnName: true },
  },
  muon: {
    title: "Muon",
    about:
      "Trains every weight with full-rank gradients: matrices by orthogonalised momentum, which " +
      "takes half of AdamW's optimizer memory, and the rest by AdamW.",
    trains: "weights",
    weights: "dtype",
    rules: { matrices: "muon", embeddings: "adam", others: "adam" },
    lr: { pretrain: 0.001, continue: 1e-4, finetune: 2e-5 },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "full", switch: "use_muon" },
  },
  muon8bit: {
    title: "Muon 8-bit",
    about:
      "Trains every weight with full-rank gradients: matrices by orthogonalised 8-bit momentum, " +
      "the rest by AdamW.",
    trains: "weights",
    weights: "dtype",
    rules: { matrices: "muon8bit", embeddings: "adam", others: "adam8bit" },
    lr: { pretrain: 0.001, continue: 1e-4, finetune: 2e-5 },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "full", switch: "use_muon" },
  },
  lora: {
    title: "LoRA",
    about: "Trains small adapters next to frozen weights.",
    result: "The result is an adapter; from random weights a whole model, of which all but the " +
      "adapted matrices are trained as well.",
    trains: "adapters",
    weights: "dtype",
    rules: ADAM,
    lr: { pretrain: LOW_RANK_RATE, continue: 1e-4, finetune: 2e-4 },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "lora" },
  },
  qlora: {
    title: "QLoRA",
    about: "Trains small adapters next to weights frozen in 4 bits. Needs the least memory of all.",
    result: "The result is an adapter.",
    trains: "adapters",
    weights: "nf4",
    rules: ADAM,
    lr: { continue: 1e-4, finetune: 2e-4 },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "lora", quantization_bit: 4 },
  },
  relora: {
    title: "ReLoRA",
    about: "Trains small adapters, merges them into the weights and begins anew, again and again.",
    result: "The result is a whole model.",
    trains: "adapters",
    restarts: true,
    weights: "dtype",
    rules: ADAM,
    lr: { pretrain: LOW_RANK_RATE, continue: 1e-4, finetune: 2e-4 },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "lora", byOwnName: true },
  },
  low_rank: {
    title: "Low-rank factorisation",
    about: "Trains two small factors in place of each matrix, W = B·A, from random weights.",
    result: "The result is a whole model.",
    trains: "factors",
    weights: "dtype",
    rules: ADAM,
    lr: { pretrain: LOW_RANK_RATE },
    aliases: [],
    optim: [],
    llamaFactory: { finetuning_type: "full", byOwnName: true },
  },
} as const satisfies Record<string, Method>;

/** A name of {@link METHODS}. */
export type MethodName = keyof typeof METHODS;

/** In the order of the table; the first is the default. */
export const METHOD_NAMES = Object.keys(METHODS) as MethodName[];
export const DEFAULT_METHOD: MethodName = METHOD_NAMES[0];

/** The row of a method. */
export function methodOf(name: MethodName): Method {
  return METHODS[name];
}

/** Names of the methods for which this holds, in the order of the table. */
export function methodsWith(holds: (method: Method) => unknown): MethodName[] {
  return METHOD_NAMES.filter((name) => holds(METHODS[name]));
}

/** The method with this name or alias. */
export function methodNamed(name: unknown): MethodName | undefined {
  return METHOD_NAMES.find((each) => each === name || methodOf(each).aliases.includes(`${name}`));
}

/** Whether its moments have 8 bits, except for embedding and head. */
export function hasNarrowMoments({ rules }: Method): boolean {
  return rules.others === "adam8bit";
}

/** The option that sets a method's rank, if any. */
export function rankOptionOf(method: Method): "rank" | "loraRank" | undefined {
  if (method.trains === "adapters") return "loraRank";
  return hasRank(method) ? "rank" : undefined;
}

/** What a run makes: an adapter beside the weights of a model, or a whole model. */
export function resultOfMethod(
  { trains, restarts }: Method,
  { isRandom }: { readonly isRandom: boolean },
): "adapter" | "model" {
  return trains === "adapters" && !isRandom && !restarts ? "adapter" : "model";
}

/**
 * Whether a rank is part of it: that of its projections, of the space in which it measures, or of its
 * factors.
 */
export function hasRank(method: Method): boolean {
  return hasSpace(method) || method.trains === "factors";
}

/** Whether gradients have a space of low rank, which is chosen again from time to time. */
export function hasSpace({ projection, apollo }: Method): boolean {
  return !!projection || !!apollo;
}
