/** Fine-tuning: trains the weights of a checkpoint on examples. */
import { join } from "@std/path";

import { checkTokenizer } from "../tokenizers/check_tokenizer.ts";
import { withoutGenerationMarks } from "../data/instruct/chat_template.ts";
import { chatTemplate } from "../data/instruct/templates.ts";
import { loadTokenizer } from "../tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { isHubSpec, parseHubSpec } from "../hub/spec.ts";
import { saveAdapter } from "../formats/peft.ts";
import { loadWeights } from "../formats/pretrained.ts";
import {
  openPretrained,
  type PretrainedModel,
  savePretrained,
} from "../formats/pretrained_model.ts";
import { UserError } from "../options/user_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LlamaConfig } from "../model/config.ts";
import { option, phrase } from "../options/phrase.ts";
import type { TrainedModel } from "./build.ts";
import { type FinetuneData, finetuneData } from "./finetune_data.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import { initializeAdapters } from "./initialize_adapters.ts";
import { optimizerRates, shapeWarnings, trainingShape } from "./method.ts";
import type { Recipe } from "./recipe.ts";
import { encodeQuestion, encodeText } from "./samples.ts";

/**
 * The recipe of a fine-tuning run: the base's weights, instruction data or text. Throws a {@link
 * UserError} if the base cannot be opened.
 */
export async function finetuneRecipe(options: FinetuneOptions): Promise<Recipe> {
  const { config, tokenizer, path } = await openBase(options);
  const shape = trainingShape(options, config);
  // Opened lazily: saving a checkpoint's model must work when the data no longer exists.
  let opened: Promise<FinetuneData> | undefined;
  const data = () => opened ??= finetuneData(options, tokenizer, config.vocabSize);
  return {
    options,
    config,
    shape,
    rates: optimizerRates(options),
    tokenizer,
    warnings: options.rank === "auto" ? [] : shapeWarnings(config, shape),
    evaluateFirst: true,
    openData: async (...args) => await (await data()).open(...args),
    openEvaluation: async () => await (await data()).openEvaluation(),
    encodePrompt: async (text) =>
      (await data()).kind === "instruct"
        ? encodeQuestion(tokenizer, options.template, text)
        : encodeText(tokenizer, text),
    async start(gpu, { model, load }, onPreparation) {
      using source = await openPretrained(path);
      await loadWeights(gpu, model.parameters, source.weights, {
        workspace: load,
        onProgress: (share) =>
          onPreparation?.({ type: "preparation", what: "loading weights", share }),
      });
      initializeAdapters(gpu, model.parameters, options.seed);
    },
    save: (gpu, training) => save(gpu, training, { options, config, tokenizer, path }),
  };
}

/** The model that a run starts from, without its weights, and its tokenizer. */
export async function openBase(
  { model: spec, tokenizer: tokenizerSpec, seqLen }: FinetuneOptions,
): Promise<Pick<PretrainedModel, "config" | "path"> & { tokenizer: Tokenizer }> {
  using source = await openPretrained(spec);
  const { config, path } = source;
  if (seqLen > config.maxPositions) {
    throw new UserError(
      phrase`${option("seqLen", seqLen)} exceeds the ${config.maxPositions} positions of ${spec}`,
      phrase`${option("seqLen", config.maxPositions)} or less`,
    );
  }
  const tokenizer = await loadTokenizer(tokenizerSpec ?? path);
  checkTokenizer(tokenizer, config, { tokenizer: tokenizerSpec ?? spec, model: spec });
  return { config, path, tokenizer };
}

/** Saves a model in Hugging Face's layout, or the adapters alone in peft's. */
async function save(
  gpu: Gpu,
  { model }: TrainedModel,
  { options, config, tokenizer, path }: {
    options: FinetuneOptions;
    config: LlamaConfig;
    tokenizer: Tokenizer;
    path: string;
  },
): Promise<string> {
  const { output, template } = options;
  const adapters = model.parameters.all.some(({ kind }) => kind === "adapter");
  const folder = join(output, adapters ? "adapter" : "model");
  await Deno.mkdir(folder, { recursive: true });
  if (adapters) {
    await saveAdapter(gpu, model.parameters, folder, { ...options, base: baseName(options, path) });
  } else {
    const { dtype } = options;
    await savePretrained(gpu, model.parameters, folder, { config, dtype, path });
  }
  await tokenizer.save(folder);
  // Save the template: a chat must format its prompts as training did.
  if (template !== "default") {
    const { source } = chatTemplate(template, tokenizer);
    // Readers other than transformers fail on its generation marks.
    const plain = withoutGenerationMarks(source);
    await Deno.writeTextFile(join(folder, "chat_template.jinja"), plain);
  }
  return folder;
}

/** How peft's configuration names the base model: its name on the Hub, or its path. */
function baseName({ model }: FinetuneOptions, path: string): string {
  if (!isHubSpec(model)) return path;
  return parseHubSpec(model, "model").name;
}
