/** Folders that are opened as a model without being one: of a run, of a checkpoint, of an adapter. */
import { CheckpointError } from "../../formats/checkpoint/manifest.ts";
import { isCheckpoint, openCheckpoint } from "../../formats/checkpoint/contents.ts";
import { findModel } from "../../formats/find_model.ts";
import { isHubSpec, parseHubSpec } from "../../hub/spec.ts";
import { UserError } from "../../options/user_error.ts";

/** What is opened for such a folder. */
export interface SavedFolder {
  /** A model's folder or checkpoint; absent of an adapter, which is opened with its base. */
  readonly model?: string;
  readonly adapter?: string;
  /** The model that the rest of the weights is read from: a path, or a name on the hub. */
  readonly base?: string;
}

/** Undefined for any other folder, and for one that cannot be opened. */
export async function savedFolder(path: string): Promise<SavedFolder | undefined> {
  try {
    const { model, adapter } = await findModel(path);
    if (adapter !== undefined) {
      return { adapter, base: isHubSpec(model) ? parseHubSpec(model, "model").name : model };
    }
    if (!await isCheckpoint(model)) return model === path ? undefined : { model };
    using contents = await openCheckpoint(model);
    const isWhole = contents.parameters.all.every(({ kept }) => kept);
    return { model, base: isWhole ? undefined : contents.base };
  } catch (error) {
    const isExpected = error instanceof UserError || error instanceof CheckpointError ||
      error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable ||
      error instanceof Deno.errors.PermissionDenied;
    if (!isExpected) throw error;
  }
}
