/** Turns a fine-tuning request into a job that will run, or an error. */
import { isDeepStrictEqual } from "node:util";
import { longestSequence } from "../../model/rope_scaling.ts";
import { stretchRope } from "../../train/stretch_rope.ts";
import { ApiError } from "../api_error.ts";
import { asHyperparameters, finetuneHyperparameters } from "../protocol/hyperparameters.ts";
import type { FineTuningPlanRequest } from "../protocol/job_request.ts";
import { type Admission, type AdmissionServices, keptRequest } from "./admission.ts";
import { baseModel } from "./base_model.ts";
import { assertFiles } from "./files.ts";
import { diskBytes, planJob } from "./plan.ts";
import { assertPlaces, several, shapeOfEach } from "./ranks.ts";
import { assertTemplate, assertTemplateName } from "./template.ts";

/** The fields of a request that hold hyperparameters. */
const METHOD = "method.supervised.hyperparameters", DEPRECATED = "hyperparameters";

/** Checks everything except whether it fits; creates nothing. Faults are ApiErrors. */
export async function admitFineTuning(
  services: AdmissionServices,
  request: FineTuningPlanRequest,
): Promise<Admission> {
  const { options, kept, ranks, rateMultiplier, place } = readHyperparameters(request);
  const trainingFiles = listOf(request.training_file);
  const validationFiles = listOf(request.validation_file);
  const purpose = "fine-tune";
  assertFiles(services, trainingFiles, { param: "training_file", purpose });
  assertFiles(services, validationFiles, { param: "validation_file", purpose });
  const model = await baseModel(services, request.model, "model");
  const { name, config: own, vocabulary } = model;
  const longest = longestSequence(own);
  if (options.ropeScaling === undefined && options.seqLen > longest) {
    throw new ApiError(400, {
      message: `${place}.seq_len: must be at most ${longest}, the positions of ` +
        `${name}, got ${options.seqLen}`,
      param: `${place}.seq_len`,
      code: "invalid_hyperparameters",
    });
  }
  await assertTemplate(services, {
    model,
    options,
    files: [...trainingFiles, ...validationFiles],
    param: `${place}.template`,
  });
  // At most; tokens may be in the vocabulary already.
  const tokens = options.addTokens ? vocabulary.vocabSize + options.addTokens.length : 0;
  const stretched = stretchRope(own, options, name);
  const config = { ...stretched, vocabSize: Math.max(own.vocabSize, tokens) };
  assertPlaces(services, ranks, `${place}.ranks`);
  const shape = asHyperparameters(place, () => shapeOfEach(options, config, ranks));
  const planned = planJob(services, { kind: "fine_tuning", config, options, shape, ranks });
  const hyperparameters = finetuneHyperparameters.show({ ...kept, ...several(ranks) });
  const { seed } = options;
  return {
    planned,
    fields: {
      hyperparameters: place,
      files: { training: "training_file", validation: "validation_file" },
    },
    base: model,
    job: {
      kind: "fine_tuning",
      model: name,
      request: {
        ...keptRequest(request, { seed, shape, hyperparameters }),
        learning_rate_multiplier: rateMultiplier,
      },
      options: { ...kept, seed },
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

function readHyperparameters({ method, hyperparameters, ...request }: FineTuningPlanRequest) {
  const { given, place } = placeOfHyperparameters(method?.supervised?.hyperparameters, {
    deprecated: hyperparameters,
    method,
  });
  const beside = {
    model: request.model,
    data: ["-"],
    evalData: request.validation_file ? ["-"] : undefined,
    seed: request.seed ?? undefined,
  };
  const read = finetuneHyperparameters.read(given, beside, place);
  assertTemplateName(read.options.template, `${place}.template`);
  return { ...read, place };
}

type Given = Readonly<Record<string, unknown>> | null | undefined;

/** Clients fill in either field, or both alike; an empty one says nothing. */
function placeOfHyperparameters(
  nested: Given,
  { deprecated, method }: { readonly deprecated: Given; readonly method: unknown },
): { readonly given: NonNullable<Given>; readonly place: string } {
  const [inMethod, beside] = [nested, deprecated].map((given) => given ?? {});
  const [either, other] = [inMethod, beside].map((given) => Object.keys(given).length > 0);
  if (either && other && !isDeepStrictEqual(inMethod, beside)) {
    throw new ApiError(400, {
      message: `hyperparameters: differs from ${METHOD}: keep only that, the other is deprecated`,
      param: "hyperparameters",
      code: "invalid_value",
    });
  }
  return either || (method && !other)
    ? { given: inMethod, place: METHOD }
    : { given: beside, place: DEPRECATED };
}

const listOf = (id: string | null | undefined) => id ? [id] : [];
