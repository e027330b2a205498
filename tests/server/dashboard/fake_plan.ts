/** Plans and the OpenAPI document, realistic enough for the dashboard. */
import { documentField } from "../../../src/server/protocol/spelling.ts";
import { snakeCase } from "../../../src/text.ts";
import { finetuneOptions } from "../../../src/train/finetune_options.ts";

const GIB = 2 ** 30;
const NOT_HERE = ["model", "data", "dataset", "datasetDir", "evalData", "evalDataset", "tokenizer"];
const NOR_HERE = [
  "preview",
  "output",
  "keepCheckpoints",
  "gpuMemory",
  "tune",
  "overwriteOutput",
  "resume",
];

/** A base model that cannot chat. */
export const WITHOUT_TEMPLATE = "tiny-base";

/** The templates that it can be trained with. */
const TEMPLATES = ["chatml", "llama3", "alpaca"];

export type FakePlan = ReturnType<typeof planOf>;

/** Grows with batch and length, so that a form has something to show. */
export function fakePlan(body: {
  readonly model?: string;
  readonly training_file?: string;
  readonly method?: { supervised?: { hyperparameters?: Record<string, unknown> } };
}) {
  const options = body.method?.supervised?.hyperparameters ?? {};
  for (const name of ["batch_size", "seq_len", "lr"]) {
    const value = options[name];
    if (value === undefined || (typeof value === "number" && value > 0)) continue;
    const param = `method.supervised.hyperparameters.${name}`;
    const message = `${param}: must be a number above 0, got ${value}`;
    return { error: { message, type: "invalid_request_error", param, code: "invalid_value" } };
  }
  if (body.model === WITHOUT_TEMPLATE && body.training_file && !options.template) {
    const param = "method.supervised.hyperparameters.template";
    const message = `${param}: ${body.model} has no chat template, which the conversations of ` +
      `${body.training_file} need: choose one of ${TEMPLATES.join(", ")}`;
    const error = { message, type: "invalid_request_error", param, code: "missing_chat_template" };
    return { error: { ...error, choices: TEMPLATES } };
  }
  const own = body.model === WITHOUT_TEMPLATE ? [] : ["default"];
  return {
    ...planOf(options),
    base: { positions: 2048, vocab_size: 49_152, templates: [...own, ...TEMPLATES] },
    warnings: [],
  };
}

function planOf(options: Record<string, unknown>) {
  const batch = Number(options.batch_size ?? 4), length = Number(options.seq_len ?? 512);
  const adapters = String(options.optimizer ?? "").includes("lora");
  const by_purpose = {
    weights: 1.31 * GIB,
    quantisation_constants: 0.04 * GIB,
    projections: adapters ? 0 : 0.11 * GIB,
    optimizer_state: adapters ? 0.02 * GIB : 0.29 * GIB,
    gradients: 0.08 * GIB,
    activations: 0.31 * GIB * batch * length / 2048,
    workspace: 0.17 * GIB,
  };
  const planned_peak_bytes = Object.values(by_purpose).reduce((a, b) => a + b);
  const limit = 6 * GIB;
  const fits = planned_peak_bytes <= limit;
  return {
    object: "plan",
    planned_peak_bytes,
    by_purpose,
    limit,
    fits,
    alternatives: fits ? [] : [
      { change: { activation_checkpointing: true }, bytes: 3.1 * GIB },
      { change: { batch_size: Math.max(1, batch >> 2) }, bytes: 2.4 * GIB },
    ],
    allocated_bytes: planned_peak_bytes,
    largest_batches: [
      ...[1024, 2048].map((seq_len) => ({
        change: { optimizer: "q_galore_adamw8bit", seq_len, batch_size: 8192 / seq_len },
        bytes: 5.8 * GIB,
      })),
      ...[1024, 2048].map((seq_len) => ({
        change: {
          optimizer: "q_galore_adamw8bit",
          activation_checkpointing: true,
          seq_len,
          batch_size: 49_152 / seq_len,
        },
        bytes: 5.9 * GIB,
      })),
    ],
    checkpoint_bytes: 1.4 * GIB,
    result_bytes: 0.9 * GIB,
    hyperparameters: {
      n_epochs: 3,
      batch_size: 4,
      lr: 1e-4,
      seq_len: 512,
      rank: 144,
      lora_rank: 8,
    },
  };
}

export function fakeDocument() {
  const fields = finetuneOptions.fields as Record<string, Parameters<typeof documentField>[0]>;
  const own = Object.entries(fields)
    .filter(([name]) => ![...NOT_HERE, ...NOR_HERE, "seed"].includes(name))
    .map(([name, field]) => [snakeCase(name), documentField(field)]);
  const properties = {
    n_epochs: {
      anyOf: [{ type: "number" }, { type: "string", enum: ["auto"] }],
      description: "passes over the examples, as `epochs`",
      "x-default": "auto",
    },
    ...Object.fromEntries(own),
  };
  const object = (properties: Record<string, unknown>) => ({ type: "object", properties });
  return {
    components: { schemas: { Hyperparameters: object(properties) } },
    paths: {
      "/v1/fine_tuning/jobs": {
        post: {
          requestBody: {
            content: {
              "application/json": {
                schema: object({
                  method: object({
                    supervised: object({
                      hyperparameters: { $ref: "#/components/schemas/Hyperparameters" },
                    }),
                  }),
                }),
              },
            },
          },
        },
      },
    },
  };
}
