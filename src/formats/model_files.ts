/** Files in a model's folder besides the weights that fine-tuning keeps. */
import { join } from "@std/path";
import { UserError } from "../options/user_error.ts";
import { writeAll, writeAtomically } from "../files/atomic.ts";
import { readJsonObject } from "../files/json_file.ts";

/** The tokenizer's own files are written by the tokenizer, config.json by `writeHfConfig`. */
const KEPT = ["generation_config.json", "chat_template.jinja", "chat_template.json"];

/**
 * Copies the files that a fine-tuned model inherits from its original, unchanged; returns the names
 * of those that exist. A `.gguf` original has none.
 */
export async function copyModelFiles(from: string, to: string): Promise<string[]> {
  const info = await Deno.stat(from).catch(() => undefined);
  if (!info?.isDirectory || await Deno.realPath(from) === await Deno.realPath(to)) return [];
  const copied: string[] = [];
  for (const name of KEPT) {
    const bytes = await Deno.readFile(join(from, name)).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw new UserError(`${join(from, name)}: cannot be read: ${error.message}`);
    });
    if (!bytes) continue;
    await writeAtomically(join(to, name), (file) => writeAll(file, bytes));
    copied.push(name);
  }
  return copied;
}

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
