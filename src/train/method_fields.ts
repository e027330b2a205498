/** Option fields, defaults and rules derived from the table of methods. */
import type { RuleName } from "../optim/rules/rules.ts";
import { z } from "../packages/zod.ts";
import {
  DEFAULT_METHOD,
  type Method,
  METHOD_NAMES,
  type MethodName,
  methodNamed,
  methodOf,
  methodsWith,
  rankOptionOf,
} from "./methods.ts";

export const trainsWeights = ({ trains }: Method) => trains === "weights";

/** Methods that train weights. */
export const WEIGHT_METHODS = methodsWith(trainsWeights);
/** Methods that start from random weights. */
export const PRETRAIN_METHODS = methodsWith(({ lr }) => lr.pretrain !== undefined);
/** Methods that pre-train a model further, and that fine-tune it. */
export const CONTINUE_METHODS = methodsWith(({ lr }) => lr.continue !== undefined);
export const FINETUNE_METHODS = methodsWith(({ lr }) => lr.finetune !== undefined);

/** A method as documents generated from the schema show it, such as OpenAPI's. */
export interface DescribedMethod {
  readonly title: string;
  readonly description: string;
  /** The option that sets its rank, if any. */
  readonly rankOption?: string;
}

/**
 * The field that chooses a method, among the names that a command accepts. Its schema carries the
 * rows of the table, so that no reader of the schema needs its own list.
 */
export function optimizerField(names: readonly MethodName[]) {
  const methods = Object.fromEntries(names.map((name): [string, DescribedMethod] => {
    const method = methodOf(name), { title, about, result } = method;
    const description = result ? `${about} ${result}` : about;
    return [name, { title, description, rankOption: rankOptionOf(method) }];
  }));
  return z.enum([...names, ...names.flatMap((name) => methodOf(name).aliases)])
    .default(DEFAULT_METHOD).transform((name) => methodNamed(name)!)
    .describe(methodsText(names)).meta({ methods });
}

/** The methods by what they train with, as their rows say. */
function methodsText(names: readonly MethodName[]): string {
  const kinds: readonly (readonly [what: string, holds: (method: Method) => boolean])[] = [
    ["gradients projected to a low rank", isLowRank],
    ["gradients of full rank", (method) => trainsWeights(method) && !isLowRank(method)],
    ["adapters beside frozen weights", trainsAdapters],
    ["low-rank factors in place of weights", trainsFactors],
  ];
  const texts = kinds.flatMap(([what, holds]) => {
    const titles = names.map(methodOf).filter(holds).map(({ title }) => title);
    return titles.length ? [`${what} (${titles.join(", ")})`] : [];
  });
  return `training method: ${texts.join("; ")}`;
}

/** `on with q_galore_adamw8bit`: a default that applies to some methods only. */
export function onWith(holds: (method: Method) => unknown): string {
  return `on with ${methodsWith(holds).join(", ")}`;
}

/** `0.01 with q_galore_adamw8bit, …; 0.001 with adamw, …`: a default that depends on the method. */
function byMethod(valueOf: (method: Method) => string | number | undefined): string {
  const names = new Map<string | number, MethodName[]>();
  for (const name of METHOD_NAMES) {
    const value = valueOf(methodOf(name));
    if (value !== undefined) names.set(value, [...names.get(value) ?? [], name]);
  }
  return [...names].map(([value, with_]) => `${value} with ${with_.join(", ")}`).join("; ");
}

/** The default rates of a kind of run. */
export function ratesText(run: keyof Method["lr"]): string {
  return byMethod(({ lr }) => lr[run]);
}

/** The default of `apolloScale`. */
export function apolloScalesText(): string {
  return byMethod(({ apollo }) => apollo?.scale);
}

/** The default of `rank`. */
export function ranksText(): string {
  const own = methodsWith(({ apollo }) => apollo?.rank);
  return `a quarter of the model's width; 1 with ${own.join(", ")}`;
}

/** The update rules that embedding and head may have, by the values of `embeddingOptimizer`. */
const EMBEDDING_RULES: Readonly<Record<EmbeddingOptimizer, RuleName>> = {
  adamw: "adam",
  adamw8bit: "adam8bit",
  adam_factored: "adam_factored",
};

/** A value of `embeddingOptimizer`. */
export type EmbeddingOptimizer = "adamw" | "adamw8bit" | "adam_factored";
export const EMBEDDING_OPTIMIZERS = Object.keys(EMBEDDING_RULES) as EmbeddingOptimizer[];

/** The value of `embeddingOptimizer` that means this rule, if any does. */
export function embeddingOptimizerOf(rule: RuleName): EmbeddingOptimizer | undefined {
  return EMBEDDING_OPTIMIZERS.find((name) => EMBEDDING_RULES[name] === rule);
}

/** The default of `embeddingOptimizer`. */
export function embeddingsText(): string {
  return byMethod(({ rules }) => embeddingOptimizerOf(rules.embeddings));
}

/**
 * The rule of embedding and head that was asked for, if any: otherwise the method decides, or the
 * checkpoint that a run continues from.
 */
export function chosenEmbeddingRule(
  { embeddingOptimizer, embeddingAdam8bit }: {
    readonly embeddingOptimizer?: EmbeddingOptimizer;
    /** Its former name: float32 moments were the only other choice. */
    readonly embeddingAdam8bit?: boolean;
  },
): RuleName | undefined {
  if (embeddingOptimizer) return EMBEDDING_RULES[embeddingOptimizer];
  return embeddingAdam8bit === undefined ? undefined : embeddingAdam8bit ? "adam8bit" : "adam";
}

/** Quantisation options are on by default with the methods that are defined by them. */
export const hasInt8Weights = ({ weights }: Method) => weights === "int8";
/** Whether weights may be in INT8: those of NF4 are in fewer bits already. */
export const takesInt8 = ({ weights }: Method) => weights !== "nf4";
/** Whether the matrices of attention and feed-forward may be. */
export const hasMatrices = (method: Method) => takesInt8(method) && !trainsFactors(method);
export const hasInt4Projection = ({ projection }: Method) => projection === "int4";
export const isLowRank = ({ projection }: Method) => projection !== undefined;
export const trainsByAdam = ({ trains, rules }: Method) =>
  trains === "weights" && ["adam", "adam8bit"].includes(rules.matrices);
export const isApollo = ({ apollo }: Method) => apollo !== undefined;
export const restarts = (method: Method) => method.restarts === true;
/** Whether it writes to matrices that may be in INT8 or bfloat16. */
export const writesWeights = (method: Method) => trainsWeights(method) || restarts(method);
export const trainsFactors = ({ trains }: Method) => trains === "factors";
export const trainsAdapters = ({ trains }: Method) => trains === "adapters";

/** Whether weights and projections are quantised: as requested, or by the method's default. */
export function quantisation(
  { optimizer, weightQuant, projQuant }: {
    optimizer: MethodName;
    weightQuant?: boolean;
    projQuant?: boolean;
  },
): { weightQuant: boolean; projQuant: boolean } {
  const method = methodOf(optimizer);
  return {
    weightQuant: weightQuant ?? hasInt8Weights(method),
    projQuant: projQuant ?? hasInt4Projection(method),
  };
}

/** Whether embedding and head are stored in INT8: as requested, or as the other weights where frozen. */
export function quantisesEmbeddings(
  options: {
    optimizer: MethodName;
    weightQuant?: boolean;
    trainEmbeddings: boolean;
    embeddingQuant?: boolean;
    embedding4bit: boolean;
  },
): boolean {
  return options.embeddingQuant ??
    (quantisation(options).weightQuant && !options.trainEmbeddings && !options.embedding4bit);
}

export const embeddingQuant = z.boolean().optional().describe(
  "store the embedding and head in INT8",
).meta({ derived: `${onWith(hasInt8Weights)}, where they are not trained` });

export const embedding4bit = z.boolean().default(false).describe(
  "store the embedding and head in 4 bits (NF4), where they are not trained; the saved model has " +
    "them as they were",
);

export const offloadEmbedding = z.boolean().default(false).describe(
  "keep the embedding in host memory, if it is frozen and not tied to the head; only the rows of a " +
    "batch go to the device. Host memory grows by what the device saves (in INT8 a byte per " +
    "weight), and samples are read token by token",
);
