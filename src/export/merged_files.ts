/** What lies beside the weights of a merged model: tokenizer and chat template of the adapter. */
import { basename, join, resolve } from "../packages/std_path.ts";
import { TOKENIZER_JSON } from "../files/tokenizer_files.ts";
import type { SavedDType } from "../formats/hf_config.ts";
import { isGgufPath } from "../files/gguf_path.ts";
import { loadTokenizer } from "../tokenizers/load_tokenizer.ts";
import { isThere } from "../files/stat.ts";
import { modelCard } from "./model_card.ts";
import { conversing, conversingAs, type ModelFolder } from "./model_folder.ts";

/**
 * The tokenizer and chat template of the adapter's training: those in its folder, or else the
 * model's.
 */
export async function mergedConversation(
  adapter: string,
  model: string,
): Promise<Pick<ModelFolder, "tokenizer" | "conversing">> {
  if (await isThere(join(adapter, TOKENIZER_JSON))) return await ownConversation(adapter);
  const base = isGgufPath(model) || await isThere(join(model, TOKENIZER_JSON))
    ? await ownConversation(model)
    : { conversing: { ends: [] } };
  const template = join(adapter, "chat_template.jinja");
  if (!base.tokenizer || !await isThere(template)) return base;
  return { ...base, conversing: conversingAs(await Deno.readTextFile(template), base.tokenizer) };
}

async function ownConversation(
  path: string,
): Promise<Pick<ModelFolder, "tokenizer" | "conversing">> {
  const tokenizer = await loadTokenizer(path);
  return { tokenizer, conversing: conversing("default", tokenizer) };
}

/** Writes README.md into the folder of a merged model. */
export async function writeMergedCard(
  { model, adapter, output }: { model: string; adapter: string; output: string },
  { dtype, chat }: { dtype: SavedDType; chat?: string },
): Promise<void> {
  const text = modelCard({
    kind: "model",
    title: basename(resolve(output)),
    summary: "A LoRA adapter merged into its base model.",
    base: model,
    chat,
    facts: [["Adapter", basename(resolve(adapter))], ["Weights", dtype]],
  });
  await Deno.writeTextFile(join(output, "README.md"), text);
}
