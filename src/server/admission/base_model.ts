/** The model that a job starts from. */
import { ApiError } from "../api_error.ts";
import type { ModelRecord } from "../services.ts";
import type { AdmissionServices } from "./admission.ts";
import { type ModelFacts, modelFacts } from "./model_facts.ts";

/** Its name and facts. Throws an ApiError for one that is unknown, invalid, or an adapter. */
export async function baseModel(
  { models }: AdmissionServices,
  name: string,
  param: string,
): Promise<ModelFacts & { readonly name: string }> {
  const model = await models.get(name);
  refuseAdapter(model, param);
  return { ...await modelFacts(model, param), name: model.name };
}

function refuseAdapter({ name, adapter }: ModelRecord, param: string): void {
  if (!adapter) return;
  throw new ApiError(400, {
    message: `${param}: ${name} is an adapter, but a job starts from a full model: merge it with ` +
      "its model first (`cli.ts merge`) and put the result in the models folder",
    param,
    code: "unusable_model",
  });
}
