/** Schemas of requests for jobs. Hyperparameters are validated by hyperparameters.ts. */
import { z } from "../../packages/zod_openapi.ts";
import { PRESETS } from "../../model/config.ts";
import { finetuneHyperparameters, pretrainHyperparameters } from "./hyperparameters.ts";
import { quoted } from "../../text.ts";

const fileId = z.string().min(1).max(100);

const common = {
  suffix: z.string().max(64).regex(/^[A-Za-z0-9_-]+$/, {
    error: "must be letters, digits, - and _",
  }).nullish().openapi({ description: "Part of the result's name", example: "my-experiment" }),
  seed: z.number().int().min(0).max(0xffffffff).nullish().openapi({
    description: "Seed for data order and random numbers; the same seed gives the " +
      "same run",
    "x-default": 42,
  }),
  metadata: z.record(z.string().max(64), z.string().max(512)).refine(
    (pairs) => Object.keys(pairs).length <= 16,
    { error: "must have at most 16 pairs" },
  ).nullish().openapi({
    description: "Up to 16 pairs for finding the job; keys of at most 64 characters, values of 512",
    maxProperties: 16,
  }),
};
export type CommonFields = Partial<
  { readonly [Field in keyof typeof common]: z.output<typeof common[Field]> }
>;

const method = z.strictObject({
  type: z.literal("supervised", {
    error: ({ input }) => `must be "supervised", the only supported method, got ${quoted(input)}`,
  }),
  supervised: z.strictObject({
    hyperparameters: finetuneHyperparameters.schema.nullish(),
  }).nullish(),
}).openapi("FineTuningMethod");

const fineTuning = {
  model: z.string().min(1).max(500).openapi({
    description: "A model of `GET /v1/models`, not an adapter",
  }),
  validation_file: fileId.nullish().openapi({
    description: "Evaluation file; without one, `eval_share` of the examples is held out",
  }),
  ...common,
  method: method.nullish(),
  hyperparameters: finetuneHyperparameters.schema.nullish().openapi({
    description: "OpenAI's older place for them, replaced by `method`",
    deprecated: true,
  }),
  integrations: z.array(z.unknown()).max(0, {
    error: "must be empty: this server has no integrations; its metrics are at /metrics and in " +
      "the events of a job",
  }).nullish(),
};

export const fineTuningRequest = z.strictObject({
  ...fineTuning,
  training_file: fileId.openapi({ description: 'A file with the purpose "fine-tune"' }),
}).openapi("CreateFineTuningJob");

/** The same without a required file. */
export const fineTuningPlanRequest = z.strictObject({
  ...fineTuning,
  training_file: fileId.nullish(),
}).openapi("PlanFineTuningJob");
export type FineTuningPlanRequest = z.output<typeof fineTuningPlanRequest>;

const configuration = z.record(z.string(), z.unknown()).openapi({
  description: "A model configuration with the fields of a Hugging Face config.json",
  example: {
    model_type: "llama",
    vocab_size: 257,
    hidden_size: 256,
    intermediate_size: 688,
    num_hidden_layers: 4,
    num_attention_heads: 4,
  },
});

const files = z.array(fileId).max(100);

const pretraining = {
  model: z.union([z.string().min(1).max(100), configuration], {
    error: "must be the name of a preset, or a configuration as in a config.json",
  }).nullish().openapi({
    description: "What to train from random weights: a configuration, or one of " +
      Object.keys(PRESETS).join(", "),
  }),
  from: z.string().min(1).max(500).nullish().openapi({
    description: "Instead of `model`: a model of `GET /v1/models`, not an adapter, whose weights " +
      "are trained further",
  }),
  training_file: fileId.nullish().openapi({ description: "Shorthand for one file" }),
  training_files: files.nullish().openapi({ description: 'Files with the purpose "pretrain"' }),
  validation_files: files.nullish().openapi({
    description: "Evaluation files; without them, `eval_share` of the text is held out",
  }),
  tokenizer: z.string().min(1).max(500).nullish().openapi({
    description: "`bytes`, or a model of `GET /v1/models` whose tokenizer to use; by default " +
      "`bytes`, or that of `from`",
  }),
  ...common,
  hyperparameters: pretrainHyperparameters.schema.nullish(),
};

export const pretrainingPlanRequest = z.strictObject(pretraining).openapi("PlanPretrainingJob");

/** What the next schema refuses, as JSON Schema. */
const TRAINING_FILES_RULE: object = {
  if: { properties: { training_file: { type: "string" } }, required: ["training_file"] },
  else: {
    properties: { training_files: { type: "array", minItems: 1 } },
    required: ["training_files"],
  },
};

export const pretrainingRequest = z.strictObject(pretraining).refine(
  ({ training_file, training_files }) => training_file || training_files?.length,
  { path: ["training_files"], error: "is required: ids of training files" },
).openapi("CreatePretrainingJob", TRAINING_FILES_RULE);
export type PretrainingRequest = z.output<typeof pretrainingPlanRequest>;
