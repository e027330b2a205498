/** Turns a pre-training request into a job that will run, or an error. */
import { parseLlamaConfig } from "../../formats/hf_config.ts";
import { explain, UserError } from "../../options/user_error.ts";
import { type LlamaConfig, PRESETS } from "../../model/config.ts";
import { runConfig, type Vocabulary } from "../../train/method.ts";
import type { PretrainOptions } from "../../train/options.ts";
import { assertRoom } from "../../train/pretrain_start.ts";
import { stretchRope } from "../../train/stretch_rope.ts";
import { presetOf } from "../../train/presets.ts";
import { nearestWord } from "../../options/faults.ts";
import { ApiError } from "../api_error.ts";
import { asHyperparameters, pretrainHyperparameters } from "../protocol/hyperparameters.ts";
import type { PretrainingRequest } from "../protocol/job_request.ts";
import { REQUEST } from "../protocol/spelling.ts";
import { type Admission, type AdmissionServices, keptRequest } from "./admission.ts";
import { baseModel } from "./base_model.ts";
import { assertFiles } from "./files.ts";
import { BYTES, modelFacts } from "./model_facts.ts";
import { diskBytes, planJob } from "./plan.ts";
import { assertPlaces, several, shapeOfEach } from "./ranks.ts";
import { shortened } from "../../text.ts";

/** The deepest published model of this family has 126 layers; planning visits every layer. */
const MOST_LAYERS = 128;

/** Checks everything except whether it fits; creates nothing. Faults are ApiErrors. */
export async function admitPretraining(
  services: AdmissionServices,
  request: PretrainingRequest,
): Promise<Admission> {
  const { model, from } = request, asked = askedConfig(request);
  const validationFiles = request.validation_files ?? [];
  const tokenizer = request.tokenizer ?? (from ? undefined : "bytes");
  const { options, kept, ranks } = pretrainHyperparameters.read(request.hyperparameters ?? {}, {
    // Of an option that holds a path only the presence matters here.
    ...(from
      ? { from: "./model" }
      : { model: typeof model === "string" ? model : "./config.json" }),
    data: ["-"],
    evalData: validationFiles.length ? ["-"] : undefined,
    tokenizer,
    seed: request.seed ?? undefined,
  }, "hyperparameters");
  const trainingFiles = trainingFilesOf(request);
  const purpose = "pretrain";
  assertFiles(services, trainingFiles, { param: "training_files", purpose });
  assertFiles(services, validationFiles, { param: "validation_files", purpose });
  const base = from ? await baseModel(services, from, "from") : undefined;
  const { name, config } = base
    ? { name: base.name, config: await trainedConfig(services, { base, tokenizer, options }) }
    : {
      name: asked!.name,
      config: await fit(services, asked!, { tokenizer: tokenizer!, options }),
    };
  assertPlaces(services, ranks, "hyperparameters.ranks");
  const shape = asHyperparameters("hyperparameters", () => shapeOfEach(options, config, ranks));
  const planned = planJob(services, { kind: "pretraining", config, options, shape, ranks });
  const hyperparameters = pretrainHyperparameters.show({ ...kept, ...several(ranks) });
  const { seed } = options, begins = from ? { from: name } : { model };
  return {
    planned,
    fields: {
      hyperparameters: "hyperparameters",
      files: { training: "training_files", validation: "validation_files" },
    },
    base,
    job: {
      kind: "pretraining",
      model: name,
      request: {
        ...keptRequest(request, { seed, shape, hyperparameters }),
        ...begins,
        tokenizer: tokenizer ?? null,
      },
      options: { ...kept, seed, ...begins, ...(tokenizer && { tokenizer }) },
      trainingFiles,
      validationFiles,
      plan: {
        ...planned.plan,
        ...several(ranks),
        diskBytes: diskBytes(planned.disk, services.options.keepCheckpoints),
      },
    },
  };
}

/** The configuration to train from random weights; undefined where the weights of a model are. */
function askedConfig({ model, from }: PretrainingRequest): NamedConfig | undefined {
  if (from && model) {
    throw invalid("model", "starts from random weights, from from those of a model: keep only one");
  }
  if (from) return undefined;
  if (!model) throw invalid("model", "is required, or from: a model to train further");
  return configOf(model);
}

interface NamedConfig {
  readonly name: string;
  readonly config: LlamaConfig;
}

async function trainedConfig(
  services: AdmissionServices,
  { base: { name, config: own }, tokenizer, options }: {
    readonly base: NamedConfig;
    readonly tokenizer?: string;
    readonly options: PretrainOptions;
  },
): Promise<LlamaConfig> {
  if (tokenizer) {
    const given = await vocabularyOf(services, tokenizer);
    inRequestTerms("tokenizer", () => assertRoom(tokenizer, given, { name, config: own }));
  }
  const stretch = () => stretchRope(own, options, name);
  return inRequestTerms("hyperparameters.seq_len", stretch);
}

async function vocabularyOf(services: AdmissionServices, tokenizer: string): Promise<Vocabulary> {
  if (tokenizer === "bytes") return BYTES;
  return (await modelFacts(await services.models.get(tokenizer), "tokenizer")).vocabulary;
}

/** The preset of that name, or the configuration in the request. */
function configOf(
  model: NonNullable<PretrainingRequest["model"]>,
): { name: string; config: LlamaConfig } {
  if (typeof model !== "string") {
    const config = inRequestTerms("model", () => parseLlamaConfig(model, "model"));
    if (config.layers > MOST_LAYERS) {
      throw invalid("model", `num_hidden_layers must be at most ${MOST_LAYERS}`);
    }
    return { name: config.modelType, config };
  }
  const config = presetOf(model);
  if (config) return { name: model, config };
  const names = Object.keys(PRESETS), nearest = nearestWord(model, names);
  throw invalid(
    "model",
    `must be a configuration as in a config.json, or one of ${names.join(", ")}, got ${
      shortened(model)
    }` +
      (nearest ? ` (did you mean ${nearest}?)` : ""),
  );
}

async function fit(
  services: AdmissionServices,
  { name, config }: NamedConfig,
  { tokenizer, options: { seqLen, vocabSize } }: {
    readonly tokenizer: string;
    readonly options: PretrainOptions;
  },
): Promise<LlamaConfig> {
  const vocabulary = await vocabularyOf(services, tokenizer);
  // Only a preset is fitted to what the run needs, and presets are recognised by name.
  const asked = { model: name, seqLen, tokenizer, vocabSize };
  const fitted = () => runConfig(config, asked, vocabulary);
  return inRequestTerms("model", fitted);
}

function trainingFilesOf({ training_file, training_files }: PretrainingRequest): string[] {
  if (training_file && training_files?.length) {
    throw invalid("training_file", "means the same as training_files: keep only one");
  }
  return training_file ? [training_file] : [...training_files ?? []];
}

/** Rethrows faults worded for the command line in the API's terms. */
function inRequestTerms<T>(param: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new ApiError(400, { message: explain(error, REQUEST), param, code: "invalid_value" });
  }
}

function invalid(param: string, message: string): ApiError {
  return new ApiError(400, { message: `${param}: ${message}`, param, code: "invalid_value" });
}
