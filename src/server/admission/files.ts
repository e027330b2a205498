/** Checks that the files of a job can be trained on. */
import { ApiError, notFound } from "../api_error.ts";
import type { Purpose } from "../store/file_kinds.ts";
import type { Services } from "../services.ts";

/** Throws an ApiError that names the field: 404 for an unknown file, 400 for a wrong purpose. */
export function assertFiles(
  { store }: Pick<Services, "store">,
  ids: readonly string[],
  { param, purpose }: { readonly param: string; readonly purpose: Purpose },
): void {
  for (const id of ids) {
    const file = store.files.get(id);
    if (!file) throw notFound("file", id, param);
    if (file.purpose === purpose) continue;
    throw new ApiError(400, {
      message: `${param}: ${id} has the purpose "${file.purpose}", this job needs files with the ` +
        `purpose "${purpose}"`,
      param,
      code: "invalid_purpose",
    });
  }
}
