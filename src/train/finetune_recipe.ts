/** Fine-tuning: trains the weights of a checkpoint on examples. */
import { join, resolve } from "@std/path";

import { checkTokenizer } from "../tokenizers/check_tokenizer.ts";
import { addSpecialTokens } from "../tokenizers/hf_tokenizer.ts";
import { loadModelTokenizer, loadTokenizer } from "../tokenizers/load_tokenizer.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { isThere } from "../files/is_there.ts";
import { isHubSpec, parseHubSpec } from "../hub/spec.ts";
import { withRows } from "../formats/grown_vocabulary.ts";
import { openWithAdapter } from "../formats/peft/adapted_model.ts";
import { saveAdapter } from "../formats/peft/save.ts";
import { loadWeights, saveWeights } from "../formats/pretrained.ts";
import { openPretrained, type PretrainedModel } from "../formats/pretrained_model.ts";
import {
  type BaseFiles,
  type Conversing,
  conversing,
  readBaseFiles,
  writeModelFolder,
  writeTokenizer,
} from "../export/model_folder.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { longerNote } from "../model/length_note.ts";
import type { TrainedModel, TrainingShape } from "./build.ts";
import { type Continued, continuedShape } from "./continued_adapter.ts";
import { type FinetuneData, finetuneData } from "./finetune_data.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import { initializeAdapters } from "./initialize_adapters.ts";
import { optimizerRates, shapeWarnings, trainingShape } from "./method.ts";
import type { Recipe, RunResults } from "./recipe.ts";
import { writeRunCard } from "./run_card.ts";
import { encodeQuestion, encodeText } from "./samples.ts";
import { stretchRope } from "./stretch_rope.ts";

/**
 * The recipe of a fine-tuning run: the base's weights, instruction data or text. Throws a {@link
 * UserError} if the base cannot be opened.
 */
export async function finetuneRecipe(options: FinetuneOptions): Promise<Recipe> {
  const { config, tokenizer, path, warnings, continued } = await openBase(options);
  // Read before training: nothing must fail once the model is trained.
  const files = await readBaseFiles(path), talk = conversing(options.template, tokenizer);
  const given = trainingShape(options, config);
  const shape = continued
    ? { ...given, ...continued, lora: { ...continued.lora, dropout: options.loraDropout } }
    : given;
  // Opened lazily: saving a checkpoint's model must work when the data no longer exists.
  let opened: Promise<FinetuneData> | undefined;
  const data = () => opened ??= finetuneData(options, tokenizer, config.vocabSize);
  return {
    options,
    config,
    shape,
    rates: optimizerRates(options),
    tokenizer,
    warnings: [
      ...warnings,
      ...longerNote(config, options.seqLen),
      ...await otherResult(options, shape),
      ...options.rank === "auto" ? [] : shapeWarnings(config, shape),
    ],
    evaluateFirst: true,
    openData: async (...args) => await (await data()).open(...args),
    openEvaluation: async () => await (await data()).openEvaluation(),
    encodePrompt: async (text) =>
      (await data()).kind === "instruct"
        ? encodeQuestion(tokenizer, options, text)
        : encodeText(tokenizer, text),
    async start(gpu, { model, load }, onPreparation) {
      using source = await openWithAdapter(path, options.adapter);
      await loadWeights(gpu, model.parameters, withRows(source.weights, config.vocabSize), {
        workspace: load,
        onProgress: (share) =>
          onPreparation?.({ type: "preparation", what: "loading weights", share }),
      });
      if (source.adapter) await source.adapter.load(gpu, model.parameters);
      else initializeAdapters(gpu, model.parameters, options.seed);
    },
    save: (gpu, training, results) => {
      const trainedLength = config.trainedLength &&
        Math.max(config.trainedLength, options.seqLen);
      const base = { config: { ...config, trainedLength }, path, files };
      return save(gpu, training, { options, base, shape, tokenizer, talk }, results);
    },
  };
}

/** What a run starts from, except the weights. */
export interface Base extends Pick<PretrainedModel, "config" | "path" | "warnings"> {
  /** The model's own or another, with the added tokens. */
  readonly tokenizer: Tokenizer;
  /** What an adapter that is trained further determines. */
  readonly continued?: Continued;
}

/** The model that a run starts from, without its weights, and its tokenizer. */
export async function openBase(options: FinetuneOptions): Promise<Base> {
  const { model: spec, adapter, addTokens } = options;
  using source = await openWithAdapter(spec, adapter);
  const { path, warnings } = source, stretched = stretchRope(source.config, options, spec);
  const continued = source.adapter && continuedShape(source.adapter, source.resized!, options);
  const own = options.tokenizer
    ? await loadTokenizer(options.tokenizer)
    : await loadModelTokenizer(path, adapter);
  const tokenizer = addTokens ? addSpecialTokens(own, addTokens) : own;
  const config = addTokens
    ? { ...stretched, vocabSize: Math.max(stretched.vocabSize, tokenizer.vocabSize) }
    : stretched;
  const names = { tokenizer: options.tokenizer ?? spec, model: spec };
  const unknown = checkTokenizer(tokenizer, config, names);
  return {
    config,
    path,
    tokenizer,
    warnings: [...warnings, ...tokenizer.warnings, ...unknown],
    continued,
  };
}

/** Saves a model in Hugging Face's layout, or the adapters alone in peft's. */
async function save(
  gpu: Gpu,
  { model: { parameters } }: TrainedModel,
  { options, base: { config, path, files }, shape: { lora }, tokenizer, talk }: {
    options: FinetuneOptions;
    base: Pick<PretrainedModel, "config" | "path"> & { files: BaseFiles };
    shape: TrainingShape;
    tokenizer: Tokenizer;
    talk: Conversing;
  },
  results: RunResults,
): Promise<string> {
  const { output, dtype } = options, kind = lora ? "adapter" : "model";
  const folder = join(output, kind);
  await Deno.mkdir(folder, { recursive: true });
  if (lora) {
    const { dropout, ...shape } = lora, base = baseName(options, path);
    await saveAdapter(gpu, parameters, folder, { lora: shape, dropout, base });
    await writeTokenizer(folder, tokenizer, talk);
  } else {
    using original = await openPretrained(path);
    await saveWeights(gpu, parameters, folder, dtype, withRows(original.weights, config.vocabSize));
    await writeModelFolder(folder, { config, dtype, base: files, tokenizer, conversing: talk });
  }
  await writeRunCard(folder, { kind, base: options.model, chat: talk.about, options, results });
  return folder;
}

/** Of a run with another method in the same folder, whose result is not replaced by this one's. */
async function otherResult(
  { output, model, adapter }: FinetuneOptions,
  { lora }: Pick<TrainingShape, "lora">,
): Promise<string[]> {
  const other = join(output, lora ? "model" : "adapter");
  const inUse = [model, adapter].some((path) => path && resolve(path) === resolve(other));
  if (inUse || !await isThere(other)) return [];
  return [`${other} is the result of an earlier run: this one will not replace it`];
}

/** How peft's configuration names the base model: its name on the Hub, or its path. */
function baseName({ model }: FinetuneOptions, path: string): string {
  if (!isHubSpec(model)) return path;
  return parseHubSpec(model, "model").name;
}
