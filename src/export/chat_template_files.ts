/**
 * The places of a chat template in a tokenizer's folder: transformers 5 has it in a file, its earlier
 * versions and most other programs look into tokenizer_config.json.
 */
import { join } from "../packages/std_path.ts";
import { writeAll, writeAtomically, writeJson } from "../files/atomic.ts";
import { readJsonObject } from "../files/json_file.ts";
import {
  ADDITIONAL_TEMPLATES,
  CHAT_TEMPLATE,
  OLD_CHAT_TEMPLATE,
  TOKENIZER_CONFIG,
} from "../files/tokenizer_files.ts";
import { isThere } from "../files/stat.ts";
import { removeAll } from "../files/remove_all.ts";

/** Leaves one template in a folder, in both places. */
export async function writeChatTemplate(folder: string, template: string): Promise<void> {
  await removeChatTemplates(folder);
  const bytes = new TextEncoder().encode(template);
  await writeAtomically(join(folder, CHAT_TEMPLATE), (file) => writeAll(file, bytes));
  const path = join(folder, TOKENIZER_CONFIG), config = await readJsonObject(path) ?? {};
  if (config.chat_template === template) return;
  await writeJson(path, { ...config, chat_template: template });
}

/** The same for the tokenizer's own template; a folder with several named ones stays as it is. */
export async function alignChatTemplate(folder: string, template: string): Promise<void> {
  const config = await readJsonObject(join(folder, TOKENIZER_CONFIG));
  if (Array.isArray(config?.chat_template) || await isThere(join(folder, ADDITIONAL_TEMPLATES))) {
    return;
  }
  await writeChatTemplate(folder, template);
}

/** Removes the templates that lie in files of their own. */
export async function removeChatTemplates(folder: string): Promise<void> {
  for (const name of [CHAT_TEMPLATE, OLD_CHAT_TEMPLATE, ADDITIONAL_TEMPLATES]) {
    await removeAll(join(folder, name));
  }
}
