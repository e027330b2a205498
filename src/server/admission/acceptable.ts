/** The last check of a job before it is accepted: that its run would begin. */
import { snakeCase } from "../../text.ts";
import { ApiError } from "../api_error.ts";
import type { Rehearsing } from "../services.ts";
import type { Admission } from "./admission.ts";

/** Options that are a file's id in a request. */
const FILES = ["data", "evalData"];

/**
 * Warnings of the run. Throws an ApiError 400 for what it would refuse before its first step: its
 * data, or options that do not suit them.
 */
export async function assertBegins(
  { job, fields: { hyperparameters, files } }: Admission,
  { rehearsal }: { readonly rehearsal: Rehearsing },
): Promise<readonly string[]> {
  const found = await rehearsal.rehearse(job);
  if (!found) return [];
  if ("warnings" in found) return found.warnings;
  const { refused: message, option } = found;
  const named = (ids: readonly string[]) => ids.some((id) => message.includes(id));
  const isValidation = option === "evalData" ||
    named(job.validationFiles) && !named(job.trainingFiles);
  throw option === undefined || FILES.includes(option)
    ? new ApiError(400, {
      message,
      param: isValidation ? files.validation : files.training,
      code: "invalid_training_file",
    })
    : new ApiError(400, {
      message,
      param: `${hyperparameters}.${snakeCase(option)}`,
      code: "invalid_hyperparameters",
    });
}
