/** A folder that a model is written to. */
import { assertNotLocked } from "../files/folder_lock.ts";
import { UserError } from "../options/user_error.ts";

/** What is written beside a model or an adapter. */
const COMPANIONS = [
  "README.md",
  "chat_template.jinja",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

/**
 * Creates the folder of a model. Refuses one that contains a model or an adapter, to avoid mixing
 * files, or a file that the model's would replace.
 */
export async function makeModelFolder(output: string, what = "model"): Promise<void> {
  try {
    await Deno.mkdir(output, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new UserError(`${output}: is a file`, `a ${what} is written to a folder`);
    }
    throw new UserError(`${output}: cannot be created: ${(error as Error).message}`);
  }
  await assertNotLocked(output);
  const names = await Array.fromAsync(Deno.readDir(output), ({ name }) => name);
  const models = names.filter((name) =>
    name === "config.json" || /\.safetensors(\.index\.json)?$/.test(name)
  );
  const held = models.length ? models : names.filter((name) => COMPANIONS.includes(name));
  if (held.length === 0) return;
  throw new UserError(
    `${output} already holds ${held.sort().slice(0, 3).join(", ")}`,
    `choose another folder for the ${what}`,
  );
}
