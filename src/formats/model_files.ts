/** Files in a model's folder besides the weights. */
import { join } from "../packages/std_path.ts";
import { UserError } from "../options/user_error.ts";
import { readJsonObject } from "../files/json_file.ts";

/** The complete config.json of a folder, unknown fields included. */
export async function readRawConfig(folder: string): Promise<Record<string, unknown>> {
  const path = join(folder, "config.json");
  const json = await readJsonObject(path);
  if (json) return json;
  throw new UserError(
    `${path}: no such file`,
    "a model's folder has a config.json, as transformers' save_pretrained writes it",
  );
}
