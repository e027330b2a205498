/** `/v1/fine_tuning`: OpenAI's jobs, and their memory plan in advance. */
import type { OpenAPIHono } from "../../../packages/zod_openapi.ts";
import { admitFineTuning } from "../../admission/fine_tuning.ts";
import {
  type FineTuningPlanRequest,
  fineTuningPlanRequest,
  fineTuningRequest,
} from "../../protocol/job_request.ts";
import type { Services } from "../../services.ts";
import type { JobCreation } from "./job_create.ts";
import { FINE_TUNING } from "./job_kinds.ts";
import { jobRoutes } from "./jobs.ts";

const creation: JobCreation<FineTuningPlanRequest> = {
  summary: "Fine-tune a model on a file",
  description:
    "The job is validated and its memory planned before it is accepted; a job that cannot run " +
    "is refused with the reason. In addition to OpenAI's hyperparameters it accepts those of the " +
    "command `finetune`.",
  request: fineTuningRequest,
  planRequest: fineTuningPlanRequest,
  admit: admitFineTuning,
};

export function fineTuningRoutes(services: Services): OpenAPIHono {
  return jobRoutes(services, FINE_TUNING, creation);
}
