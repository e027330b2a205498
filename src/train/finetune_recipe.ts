/** Fine-tuning: trains the weights of a checkpoint on examples. */
import { conversing, readBaseFiles } from "../export/model_folder.ts";
import { option, phrase } from "../options/phrase.ts";
import type { Only } from "../options/schema.ts";
import { UserError } from "../options/user_error.ts";
import { resultOf } from "../model/lora_shape.ts";
import { longerNote } from "../model/length_note.ts";
import { trainsEmbeddings } from "./build.ts";
import { describeResult, loadBase, openBase, otherResult, saveResult } from "./base_model.ts";
import { type FinetuneData, finetuneData } from "./finetune_data.ts";
import { type FinetuneInput, finetuneOptions } from "./finetune_options.ts";
import { withFittedBatch } from "./fitted_batch.ts";
import { optimizerRates, shapeWarnings, trainingShape } from "./method.ts";
import { readDataOnce } from "./read_data_once.ts";
import type { Recipe, RunResults } from "./recipe.ts";
import { writeRunCard } from "./run_card.ts";
import { encodeQuestion, encodeText } from "./samples.ts";

/**
 * The recipe of a fine-tuning run: the base's weights, instruction data or text. Throws a {@link
 * UserError} if the base cannot be opened.
 */
export async function finetuneRecipe<Given extends FinetuneInput>(
  input: Only<Given, FinetuneInput>,
): Promise<Recipe> {
  const asked = finetuneOptions.parse<FinetuneInput>(input);
  const { model, output, seqLen, seed } = asked;
  const { config, tokenizer, path, origin, adapter, warnings, mark, continued } = await openBase(
    asked,
  );
  const options = await withFittedBatch(asked, tokenizer, config.vocabSize);
  // Read before training: nothing must fail once the model is trained.
  const files = await readBaseFiles(path), talk = conversing(options.template, tokenizer);
  const given = trainingShape(options, config);
  if (continued && resultOf(given.lora) === "model") {
    throw new UserError(
      phrase`${model}: is an adapter, and ${
        option("optimizer", options.optimizer)
      } trains whole models`,
      phrase`merge the adapter into its model first, or train it further with ${
        option("optimizer", "lora")
      }`,
    );
  }
  const shape = continued
    ? { ...given, ...continued, lora: { ...continued.lora, dropout: options.loraDropout } }
    : given;
  const ofFrozen = (["embedding4bit", "offloadEmbedding"] as const).find((name) => options[name]);
  if (ofFrozen && trainsEmbeddings(shape)) {
    throw new UserError(
      phrase`${adapter ?? model}: has embedding or head whole, which are trained on; ${
        option(ofFrozen, true)
      } needs them frozen`,
      phrase`leave out ${option(ofFrozen)}`,
    );
  }
  // Opened lazily: saving a checkpoint's model must work when the data no longer exists.
  let opened: Promise<FinetuneData> | undefined;
  const data = () => opened ??= finetuneData(options, tokenizer, config.vocabSize);
  const trainedLength = config.trainedLength && Math.max(config.trainedLength, seqLen);
  const result = {
    output,
    model: origin,
    base: { path, files, mark },
    config: { ...config, trainedLength },
    shape,
    tokenizer,
    talk,
  };
  const writeCard = (folder: string, results: RunResults) => {
    const kind = resultOf(shape.lora);
    return writeRunCard(folder, { kind, base: model, chat: talk.about, options, results });
  };
  return {
    options,
    config,
    shape,
    rates: optimizerRates(options),
    tokenizer,
    warnings: [
      ...warnings,
      ...longerNote(config, seqLen),
      ...await otherResult(output, shape),
      ...options.rank === "auto" ? [] : shapeWarnings(config, shape),
    ],
    evaluateFirst: true,
    openData: async (position, onPreparation, done) => {
      await readDataOnce(options, onPreparation);
      return await (await data()).open(position, onPreparation, done);
    },
    openEvaluation: async () => await (await data()).openEvaluation(),
    encodePrompt: async (text) =>
      (await data()).kind === "instruct"
        ? encodeQuestion(tokenizer, options, text)
        : encodeText(tokenizer, text),
    start: (gpu, training, onPreparation, resumed) =>
      loadBase(gpu, training, { path, adapter, config, seed, resumed }, onPreparation),
    base: origin,
    markBase: mark,
    async describe(folder, parameters, results) {
      await describeResult(folder, parameters, result);
      await writeCard(folder, results);
    },
    async save(gpu, training, results, onProgress) {
      const folder = await saveResult(gpu, training, result, onProgress);
      await writeCard(folder, results);
      return folder;
    },
  };
}
