/** `/v1/pretraining`: training on text, in the shape of OpenAI's fine-tuning jobs. */
import type { OpenAPIHono } from "../../../packages/zod_openapi.ts";
import { admitPretraining } from "../../admission/pretraining.ts";
import {
  pretrainingPlanRequest,
  type PretrainingRequest,
  pretrainingRequest,
} from "../../protocol/job_request.ts";
import type { Services } from "../../services.ts";
import type { JobCreation } from "./job_create.ts";
import { PRETRAINING } from "./job_kinds.ts";
import { jobRoutes } from "./jobs.ts";

const creation: JobCreation<PretrainingRequest> = {
  summary: "Pre-train a model on text",
  description:
    "Beyond OpenAI's API: trains random initial weights, or those of a model, with the " +
    "options of the command `pretrain`.",
  request: pretrainingRequest,
  planRequest: pretrainingPlanRequest,
  admit: admitPretraining,
};

export function pretrainingRoutes(services: Services): OpenAPIHono {
  return jobRoutes(services, PRETRAINING, creation);
}
