/** Rewords messages of a run in the API's terms. */
import { SEPARATOR } from "../../packages/std_path.ts";
import { explain, type Explanation } from "../../options/user_error.ts";
import { REQUEST } from "../protocol/spelling.ts";
import type { Storage } from "../services.ts";
import type { JobRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";

export interface Places {
  readonly store: { readonly files: Pick<Store["files"], "get"> };
  readonly storage: Pick<Storage, "path" | "filePath" | "jobFolder">;
}

export const noun = ({ kind }: Pick<JobRecord, "kind">) =>
  kind === "fine_tuning" ? "fine-tuning" : "pre-training";
export const title = ({ kind }: Pick<JobRecord, "kind">) =>
  kind === "fine_tuning" ? "Fine-tuning" : "Pre-training";

/** Replaces paths given to the run (run_options.ts) by ids, and options by field names. */
export function inClientTerms(
  explanation: Explanation,
  { id, trainingFiles, validationFiles }: Pick<
    JobRecord,
    "id" | "trainingFiles" | "validationFiles"
  >,
  { store, storage }: Places,
): string {
  const files = [...trainingFiles, ...validationFiles].flatMap((id) => store.files.get(id) ?? []);
  const names = [
    ...files.map((file) => [storage.filePath(file), file.id]),
    [storage.jobFolder(id), id],
    [storage.path + SEPARATOR, ""],
    [storage.path, "the data folder"],
  ];
  return names.reduce(
    (text, [path, name]) => text.replaceAll(path, name),
    explain(explanation, REQUEST),
  );
}
