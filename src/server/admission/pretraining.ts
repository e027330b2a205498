/** Turns a pre-training request into a job that will run, or an error. */
import { parseLlamaConfig } from "../../formats/hf_config.ts";
import { explain, UserError } from "../../options/user_error.ts";
import { type LlamaConfig, PRESETS } from "../../model/config.ts";
import { runConfig, trainingShape, type Vocabulary } from "../../train/method.ts";
import { presetOf } from "../../train/presets.ts";
import { nearestWord } from "../../options/faults.ts";
import { ApiError } from "../api_error.ts";
import { pretrainHyperparameters } from "../protocol/hyperparameters.ts";
import type { PretrainingRequest } from "../protocol/job_request.ts";
import { REQUEST } from "../protocol/spelling.ts";
import { type Admission, type AdmissionServices, keptRequest } from "./admission.ts";
import { assertFiles } from "./files.ts";
import { BYTES, modelFacts } from "./model_facts.ts";
import { diskBytes, planJob } from "./plan.ts";

/** The deepest published model of this family has 126 layers; planning visits every layer. */
const MOST_LAYERS = 128;

/** Checks everything except whether it fits; creates nothing. Faults are ApiErrors. */
export async function admitPretraining(
  services: AdmissionServices,
  request: PretrainingRequest,
): Promise<Admission> {
  const { model, tokenizer } = request;
  const { name, config: asked } = configOf(model);
  const validationFiles = request.validation_files ?? [];
  const { options, kept } = pretrainHyperparameters.read(request.hyperparameters ?? {}, {
    // Of an option that holds a path only the presence matters here.
    model: typeof model === "string" ? model : "./config.json",
    data: ["-"],
    evalData: validationFiles.length ? ["-"] : undefined,
    tokenizer,
    seed: request.seed ?? undefined,
  }, "hyperparameters");
  const trainingFiles = trainingFilesOf(request);
  const purpose = "pretrain";
  assertFiles(services, trainingFiles, { param: "training_files", purpose });
  assertFiles(services, validationFiles, { param: "validation_files", purpose });
  const vocabulary = tokenizer === "bytes"
    ? BYTES
    : (await modelFacts(await services.models.get(tokenizer), "tokenizer")).vocabulary;
  const config = fit(asked, { name, seqLen: options.seqLen, tokenizer, vocabulary });
  const shape = trainingShape(options, config);
  const planned = planJob(services, { kind: "pretraining", config, shape });
  const hyperparameters = pretrainHyperparameters.show(kept);
  const { seed } = options;
  return {
    planned,
    job: {
      kind: "pretraining",
      model: name,
      request: {
        ...keptRequest(request, { seed, shape, hyperparameters }),
        model,
        tokenizer,
      },
      options: { ...kept, seed, model, tokenizer },
      trainingFiles,
      validationFiles,
      plan: {
        ...planned.plan,
        diskBytes: diskBytes(planned.disk, services.options.keepCheckpoints),
      },
    },
  };
}

/** The preset of that name, or the configuration in the request. */
function configOf(model: PretrainingRequest["model"]): { name: string; config: LlamaConfig } {
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
    `must be a configuration as in a config.json, or one of ${names.join(", ")}, got ${model}` +
      (nearest ? ` (did you mean ${nearest}?)` : ""),
  );
}

function fit(
  config: LlamaConfig,
  { name, seqLen, tokenizer, vocabulary }: {
    readonly name: string;
    readonly seqLen: number;
    readonly tokenizer: string;
    readonly vocabulary: Vocabulary;
  },
): LlamaConfig {
  // Only a preset grows to what the run needs, and presets are recognised by name.
  return inRequestTerms(
    "model",
    () => runConfig(config, { model: name, seqLen, tokenizer }, vocabulary),
  );
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
